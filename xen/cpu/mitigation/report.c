/* What was found and decided, in one block of the boot messages.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/mitigation/mitigation.h"
#include "cpu/mitigation/bits.h"
#include "lib/printk.h"

static const char *const bug_names[CPU_BUGS] = {
    [BUG_BTI] = "BTI",
    [BUG_RSBA] = "RSBA",
    [BUG_PBRSB] = "PBRSB",
    [BUG_BHI] = "BHI",
    [BUG_BTC] = "BTC",
    [BUG_SRSO] = "SRSO",
    [BUG_SSB] = "SSB",
    [BUG_L1TF] = "L1TF",
    [BUG_MDS] = "MDS",
    [BUG_TAA] = "TAA",
    [BUG_MMIO] = "MMIO-stale-data",
    [BUG_RFDS] = "RFDS",
    [BUG_TSA] = "TSA",
    [BUG_GDS] = "GDS",
    [BUG_ITS] = "ITS",
    [BUG_ZENBLEED] = "Zenbleed",
    [BUG_ITLB_MULTIHIT] = "iTLB-multihit",
};

const char *cpu_bug_name(enum cpu_bug bug)
{
    return bug_names[bug];
}

static void print_bugs(const char *title, uint32_t bugs)
{
    printk("  %s", title);
    for (unsigned int i = 0; i < CPU_BUGS; i++)
        if (bugs >> i & 1)
            printk(" %s", bug_names[i]);
    printk("%s\n", bugs ? "" : " none");
}

struct word {
    uint32_t bit;
    const char *name;
};

static void print_words(uint32_t bits, const struct word *words, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        if (bits & words[i].bit)
            printk(" %s", words[i].name);
}

static void print_remedies(const struct cpu_facts *f)
{
    static const struct word l7[] = {
        {L7D_IBRS_IBPB, "IBRS/IBPB"}, {L7D_STIBP, "STIBP"},       {L7D_SSBD, "SSBD"},
        {L7D_L1D_FLUSH, "L1D_FLUSH"}, {L7D_MD_CLEAR, "MD_CLEAR"},
    };
    static const struct word l72[] = {
        {L72_PSFD, "PSFD"},
        {L72_IPRED_CTRL, "IPRED_CTRL"},
        {L72_RRSBA_CTRL, "RRSBA_CTRL"},
        {L72_BHI_CTRL, "BHI_CTRL"},
    };
    static const struct word e8[] = {
        {E8_IBPB, "IBPB"}, {E8_IBRS, "IBRS"}, {E8_STIBP, "STIBP"},
        {E8_SSBD, "SSBD"}, {E8_PSFD, "PSFD"}, {E8_IBPB_RET, "IBPB_RET"},
    };
    static const struct word e21[] = {
        {E21_AUTO_IBRS, "AUTO_IBRS"},
        {E21_VERW_CLEAR, "VERW_CLEAR"},
        {E21_IBPB_BRTYPE, "IBPB_BRTYPE"},
        {E21_SRSO_MSR_FIX, "BP_SPEC_REDUCE"},
    };

    printk("  offers");
    print_words(f->leaf7_edx, l7, ARRAY_SIZE(l7));
    print_words(f->leaf7_2_edx, l72, ARRAY_SIZE(l72));
    print_words(f->ext8_ebx, e8, ARRAY_SIZE(e8));
    print_words(f->ext21_eax, e21, ARRAY_SIZE(e21));
    printk(", ARCH_CAPABILITIES %lx\n", f->arch_caps);
}

static void print_measures(const struct mitigations *m)
{
    static const char *const thunks[] = {"plain jumps", "LFENCE and jumps", "retpolines"};
    static const struct word exits[] = {
        {1u << SITE_EXIT_IBPB, "IBPB(guests)"}, {1u << SITE_EXIT_RSB, "RSB-filling"},
        {1u << SITE_EXIT_PBRSB, "LFENCE"},      {1u << SITE_EXIT_BHB, "BHB-clearing"},
        {1u << SITE_SPEC_CTRL, "SPEC_CTRL"},
    };
    static const struct word entries[] = {
        {1u << SITE_SPEC_CTRL, "SPEC_CTRL"},
        {1u << SITE_ENTRY_VERW, "VERW"},
    };

    printk("  hypervisor: %s%s%s%s%s, SPEC_CTRL %x\n", thunks[m->thunk],
           m->eibrs ? ", enhanced IBRS" : "", m->auto_ibrs ? ", automatic IBRS" : "",
           m->bp_spec_reduce ? ", BP_SPEC_REDUCE" : "",
           m->zenbleed_chicken ? ", FP backup fix" : "", m->spec_ctrl);
    printk("  at exits:");
    print_words(m->sites, exits, ARRAY_SIZE(exits));
    printk("; at entries:");
    print_words(m->sites, entries, ARRAY_SIZE(entries));
    printk("%s; between domains:%s\n", m->l1d_flush ? " L1D-flush(guests)" : "",
           m->switch_ibpb ? " IBPB" : "");
}

void mitigation_report(const struct cpu_facts *f, const struct mitigations *m)
{
    static const char *const vendors[] = {"other", "Intel", "AMD"};

    printk("Side channels (option spec-ctrl): %s %02x-%02x-%02x, microcode %x%s%s\n",
           vendors[f->vendor], f->family, f->model, f->stepping, f->microcode,
           f->emulated ? ", emulated: does not speculate" : "",
           f->hypervisor ? ", under a hypervisor" : "");
    print_remedies(f);
    print_bugs("vulnerable to", m->bugs);
    print_measures(m);
    print_bugs("left open:", m->open);
    if (m->smt_leaks)
        printk("  WARNING: threads of a core can read each other's data here; smt=no "
               "uses one of them\n");
}
