/* Facts of this machine; MSRs of each CPU; the barrier between domains.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/mitigation/mitigation.h"
#include "cpu/mitigation/bits.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "cpu/x86.h"
#include "boot/boot.h"
#include "domain/domain.h"
#include "lib/printk.h"
#include "lib/string.h"

#define MSR_MCU_OPT_CTRL 0x123
#define GDS_MITG_DIS     BIT(4)
#define GDS_MITG_LOCK    BIT(5)
#define MSR_UCODE_REV    0x8b
#define MSR_AMD_DE_CFG   0xc0011029
#define DE_CFG_LFENCE    BIT(1)
#define DE_CFG_FP_BACKUP BIT(9)
#define MSR_AMD_BP_CFG   0xc001102e
#define BP_SPEC_REDUCE   BIT(4)

struct mitigations mitigations;
/* A copy for the entry code, which needs nothing else of it. */
uint32_t mitigations_spec_ctrl;

static struct mitigation_wishes wishes;
static bool wishes_ready;

static struct mitigation_wishes *get_wishes(void)
{
    if (!wishes_ready)
        mitigation_wishes_init(&wishes);
    wishes_ready = true;
    return &wishes;
}

static int parse_spec_ctrl(const char *list)
{
    return mitigation_wishes_parse(get_wishes(), list);
}
option_custom("spec-ctrl", parse_spec_ctrl,
              "what to do about side channels of the processor");

static enum cpu_vendor vendor(uint32_t ebx)
{
    switch (ebx) {
    case 0x756e6547: /* Genu */
        return CPU_INTEL;
    case 0x68747541: /* Auth */
    case 0x6f677948: /* Hygo */
        return CPU_AMD;
    default:
        return CPU_OTHER;
    }
}

static void read_model(struct cpu_facts *f)
{
    uint32_t a, b, c, d;

    cpuid(1, &a, &b, &c, &d);
    f->family = a >> 8 & 15;
    f->model = a >> 4 & 15;
    f->stepping = a & 15;
    if (f->family == 15)
        f->family += a >> 20 & 0xff;
    if (f->family >= 15 || f->family == 6)
        f->model |= a >> 12 & 0xf0;
    f->hypervisor = c >> 31;
    if (f->hypervisor) {
        cpuid(0x40000000, &a, &b, &c, &d);
        f->emulated = b == 0x54474354; /* TCGT(CGTCGTCG): QEMU's translator */
    }
}

/* Leaf 0xb, or AMD's core count: more than one thread on the boot processor's core? */
static bool threads_in_use(uint32_t max_leaf)
{
    uint32_t a, b, c, d, siblings = 0;

    if (max_leaf < 0xb || !smt_wanted())
        return false;
    cpuid_count(0xb, 0, &a, &b, &c, &d);
    if ((c >> 8 & 0xff) != 1 || !(a & 31))
        return false;
    for (unsigned int i = 0; i < acpi.cpu_count; i++)
        siblings += acpi.cpu[i].apic_id >> (a & 31) == acpi.cpu[0].apic_id >> (a & 31);
    return siblings > 1;
}

static void read_facts(struct cpu_facts *f)
{
    uint32_t a, b, c, d, max_leaf, max_extended;
    uint64_t msr;

    memset(f, 0, sizeof(*f));
    cpuid(0, &max_leaf, &b, &c, &d);
    f->vendor = vendor(b);
    read_model(f);
    cpuid(0x80000000, &max_extended, &b, &c, &d);
    if (max_leaf >= 7) {
        cpuid_count(7, 0, &a, &f->leaf7_ebx, &c, &f->leaf7_edx);
        if (a >= 2)
            cpuid_count(7, 2, &a, &b, &c, &f->leaf7_2_edx);
    }
    if (max_extended >= 0x80000008)
        cpuid(0x80000008, &a, &f->ext8_ebx, &c, &d);
    if (max_extended >= 0x80000021)
        cpuid(0x80000021, &f->ext21_eax, &b, &f->ext21_ecx, &d);
    if (max_extended >= 0x8000000a && f->vendor == CPU_AMD)
        f->spec_ctrl_switched = cpuid_get(0x8000000a, CPUID_EDX) >> 20 & 1;
    if (f->leaf7_edx & L7D_ARCH_CAPS)
        (void)rdmsr_safe(MSR_ARCH_CAPS, &f->arch_caps);
    f->smt = threads_in_use(max_leaf);
    if (f->vendor == CPU_INTEL) { /* filled in by CPUID (SDM vol 3, 10.11.7.1) */
        (void)wrmsr_safe(MSR_UCODE_REV, 0);
        cpuid_get(1, CPUID_EAX);
    }
    if (!rdmsr_safe(MSR_UCODE_REV, &msr))
        f->microcode = f->vendor == CPU_INTEL ? msr >> 32 : msr;
    if ((f->arch_caps & CAPS_GDS_CTRL) && !rdmsr_safe(MSR_MCU_OPT_CTRL, &msr))
        f->gds_locked_off = (msr & GDS_MITG_DIS) && (msr & GDS_MITG_LOCK);
}

static void set_bits(uint32_t msr, uint64_t bits, bool on)
{
    uint64_t val;

    if (!rdmsr_safe(msr, &val))
        (void)wrmsr_safe(msr, on ? val | bits : val & ~bits);
}

/* Families 0Fh and 11h have no such bit, their LFENCE always is one ("Software Techniques
 * for Managing Speculation on AMD Processors", mitigation G-2). Guests are told. */
static bool make_lfence_serialize(const struct cpu_facts *f)
{
    uint64_t val;

    if (f->vendor != CPU_AMD)
        return false;
    if (f->family == 0xf || f->family == 0x11)
        return true;
    set_bits(MSR_AMD_DE_CFG, DE_CFG_LFENCE, true);
    return !rdmsr_safe(MSR_AMD_DE_CFG, &val) && (val & DE_CFG_LFENCE);
}

void mitigation_init(void)
{
    struct cpu_facts facts;

    read_facts(&facts);
    mitigation_decide(&facts, get_wishes(), &mitigations);
    mitigations.lfence_serializes = make_lfence_serialize(&facts);
    mitigations_spec_ctrl = mitigations.spec_ctrl;
    mitigation_report(&facts, &mitigations);
    mitigation_patch(&mitigations);
}

void mitigation_cpu_up(void)
{
    const struct mitigations *m = &mitigations;

    if (m->auto_ibrs)
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AIBRSE);
    if (m->has_spec_ctrl)
        (void)wrmsr_safe(MSR_SPEC_CTRL, m->spec_ctrl);
    if (m->lfence_serializes)
        set_bits(MSR_AMD_DE_CFG, DE_CFG_LFENCE, true);
    if (m->zenbleed_chicken)
        set_bits(MSR_AMD_DE_CFG, DE_CFG_FP_BACKUP, true);
    if (m->bp_spec_reduce)
        set_bits(MSR_AMD_BP_CFG, BP_SPEC_REDUCE, true);
    if (m->gds_unlock)
        set_bits(MSR_MCU_OPT_CTRL, GDS_MITG_DIS, false);
}

/* What a domain taught the predictors must not steer another one, nor the device model
 * that serves it in Dom0. */
void mitigation_switch_to(struct vcpu *next)
{
    struct percpu *cpu = this_cpu();
    const struct vcpu *last = cpu->last_guest;

    if (!mitigations.switch_ibpb || last == next)
        return;
    cpu->last_guest = next;
    if (!last || last->domain != next->domain)
        (void)wrmsr_safe(MSR_PRED_CMD, 1);
}

void mitigation_forget(const struct vcpu *v)
{
    for (unsigned int i = 0; i < nr_cpus; i++)
        if (cpus[i]->last_guest == v)
            cpus[i]->last_guest = NULL;
}
