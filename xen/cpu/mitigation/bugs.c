/* Which weaknesses a processor has: by what it says, else by its model. Sources: Intel's
 * "Affected processors: guidance for security issues" and IA32_ARCH_CAPABILITIES; AMD's
 * security bulletins AMD-SB-1036, 1037, 7005, 7008, 7029 and CPUID.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/mitigation/mitigation.h"
#include "cpu/mitigation/bits.h"

#define B(bug) (1u << BUG_##bug)

/* What all out-of-order cores of that vendor had before anyone knew. */
#define OLD_CORE (B(BTI) | B(SSB) | B(L1TF) | B(MDS) | B(ITLB_MULTIHIT))
#define OLD_ATOM (B(BTI) | B(SSB) | B(MDS))
#define SKYLAKE  (OLD_CORE | B(RSBA) | B(BTC) | B(MMIO) | B(GDS) | B(TAA) | B(BHI))
#define ICELAKE  (B(BTI) | B(SSB) | B(BTC) | B(MMIO) | B(GDS) | B(BHI) | B(ITS))
#define GOLDMONT (B(BTI) | B(SSB) | B(RFDS))
#define TREMONT  (GOLDMONT | B(MMIO))
#define GOLDEN   (B(BTI) | B(SSB) | B(BHI))

/* Intel, family 6, by model. The processor's own word takes bits away again. */
struct model_bugs {
    uint8_t model;
    uint32_t bugs;
};
static const struct model_bugs intel_models[] = {
    /* In-order Atoms do not speculate. */
    {0x1c, 0},
    {0x26, 0},
    {0x27, 0},
    {0x35, 0},
    {0x36, 0},
    /* Silvermont, Airmont */
    {0x37, OLD_ATOM & ~B(SSB)},
    {0x4a, OLD_ATOM & ~B(SSB)},
    {0x4c, OLD_ATOM & ~B(SSB)},
    {0x4d, OLD_ATOM & ~B(SSB)},
    {0x5a, OLD_ATOM & ~B(SSB)},
    {0x5d, OLD_ATOM & ~B(SSB)},
    {0x75, OLD_ATOM & ~B(SSB)},
    /* Goldmont, Goldmont Plus, Tremont */
    {0x5c, GOLDMONT},
    {0x5f, GOLDMONT},
    {0x7a, GOLDMONT},
    {0x86, TREMONT},
    {0x96, TREMONT},
    {0x9c, TREMONT},
    /* Haswell and Broadwell with more than a client's I/O */
    {0x3f, OLD_CORE | B(TAA) | B(MMIO)},
    {0x4f, OLD_CORE | B(TAA) | B(MMIO)},
    {0x56, OLD_CORE | B(TAA) | B(MMIO)},
    {0x3c, OLD_CORE | B(TAA)},
    {0x45, OLD_CORE | B(TAA)},
    {0x46, OLD_CORE | B(TAA)},
    {0x3d, OLD_CORE | B(TAA) | B(RSBA)},
    {0x47, OLD_CORE | B(TAA)},
    /* Skylake to Comet Lake, Cascade Lake, Cooper Lake, Cannon Lake */
    {0x4e, SKYLAKE},
    {0x5e, SKYLAKE},
    {0x55, SKYLAKE | B(ITS)},
    {0x8e, SKYLAKE | B(ITS)},
    {0x9e, SKYLAKE | B(ITS)},
    {0xa5, SKYLAKE | B(ITS)},
    {0xa6, SKYLAKE | B(ITS)},
    {0x66, SKYLAKE},
    /* Ice Lake, Lakefield, Rocket Lake, Tiger Lake */
    {0x6a, ICELAKE},
    {0x6c, ICELAKE},
    {0x7d, ICELAKE},
    {0x7e, ICELAKE},
    {0xa7, ICELAKE},
    {0x8a, (ICELAKE & ~(B(GDS) | B(ITS))) | B(RFDS)},
    {0x8c, ICELAKE & ~(B(MMIO) | B(BTC))},
    {0x8d, ICELAKE & ~(B(MMIO) | B(BTC))},
    /* Alder Lake, Raptor Lake, Gracemont */
    {0x97, GOLDEN | B(RFDS)},
    {0x9a, GOLDEN | B(RFDS)},
    {0xb7, GOLDEN | B(RFDS)},
    {0xba, GOLDEN | B(RFDS)},
    {0xbf, GOLDEN | B(RFDS)},
    {0xbe, GOLDEN | B(RFDS)},
    /* Sapphire, Emerald and Granite Rapids, Meteor, Arrow and Lunar Lake */
    {0x8f, GOLDEN},
    {0xcf, GOLDEN},
    {0xad, GOLDEN},
    {0xae, GOLDEN},
    {0xaa, GOLDEN},
    {0xac, GOLDEN},
    {0xc5, GOLDEN},
    {0xc6, GOLDEN},
    {0xb5, GOLDEN},
    {0xbd, GOLDEN},
    /* Sierra Forest, Grand Ridge */
    {0xaf, B(BTI) | B(SSB)},
    {0xb6, B(BTI) | B(SSB)},
};

/* Models that none of us knows: the old ones are Cores without what came later; new ones
 * say what they do not have. */
static uint32_t intel_by_model(const struct cpu_facts *f)
{
    if (f->family < 6)
        return 0; /* Pentium: in order */
    if (f->family == 6)
        for (unsigned int i = 0; i < ARRAY_SIZE(intel_models); i++)
            if (intel_models[i].model == f->model)
                return intel_models[i].bugs;
    return OLD_CORE | B(BHI);
}

static uint32_t intel_bugs(const struct cpu_facts *f)
{
    const uint64_t mmio_no = CAPS_SBDR_SSDP_NO | CAPS_FBSDP_NO | CAPS_PSDP_NO;
    uint32_t bugs = intel_by_model(f);
    uint64_t caps = f->arch_caps;
    static const struct {
        uint64_t cap;
        uint32_t bugs;
    } cured[] = {
        {CAPS_RDCL_NO, B(L1TF)}, {CAPS_SSB_NO, B(SSB)},
        {CAPS_MDS_NO, B(MDS)},   {CAPS_TAA_NO, B(TAA)},
        {CAPS_BHI_NO, B(BHI)},   {CAPS_GDS_NO, B(GDS)},
        {CAPS_RFDS_NO, B(RFDS)}, {CAPS_PSCHANGE_NO, B(ITLB_MULTIHIT)},
        {CAPS_ITS_NO, B(ITS)},
    };

    if (caps & (CAPS_RSBA | CAPS_RRSBA))
        bugs |= B(RSBA);
    if ((caps & CAPS_EIBRS) && !(caps & CAPS_PBRSB_NO) && (bugs & B(BTI)))
        bugs |= B(PBRSB);
    for (unsigned int i = 0; i < ARRAY_SIZE(cured); i++)
        if (caps & cured[i].cap)
            bugs &= ~cured[i].bugs;
    if ((caps & mmio_no) == mmio_no)
        bugs &= ~B(MMIO);
    if (!(f->leaf7_ebx & L7B_RTM)) /* no transactions */
        bugs &= ~B(TAA);
    return bugs;
}

static bool is_zen1(const struct cpu_facts *f)
{
    return f->family == 0x18 || (f->family == 0x17 && f->model < 0x30);
}

/* Family 0x17 and before: AMD-SB-1037; 0x17 to 0x1a: AMD-SB-7005. */
static uint32_t amd_bugs(const struct cpu_facts *f)
{
    uint32_t bugs = B(BTI) | B(SSB);

    if (f->family < 0xf)
        return 0;
    if (f->family >= 0x15 && f->family <= 0x18)
        bugs |= B(BTC);
    if (f->family >= 0x17)
        bugs |= B(SRSO);
    if (f->family == 0x17 && !is_zen1(f))
        bugs |= B(ZENBLEED);
    if (f->family == 0x19)
        bugs |= B(TSA);
    if (f->ext8_ebx & E8_BTC_NO)
        bugs &= ~B(BTC);
    if (f->ext8_ebx & E8_SSB_NO)
        bugs &= ~B(SSB);
    if (f->ext21_eax & E21_SRSO_NO)
        bugs &= ~B(SRSO);
    if ((f->ext21_ecx & (E21C_TSA_SQ_NO | E21C_TSA_L1_NO)) ==
        (E21C_TSA_SQ_NO | E21C_TSA_L1_NO))
        bugs &= ~B(TSA);
    return bugs;
}

uint32_t cpu_bugs(const struct cpu_facts *f)
{
    if (f->emulated)
        return 0;
    switch (f->vendor) {
    case CPU_INTEL:
        return intel_bugs(f);
    case CPU_AMD:
        return amd_bugs(f);
    default:
        return B(BTI) | B(SSB); /* any out-of-order core */
    }
}
