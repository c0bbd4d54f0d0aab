/* What is decided about side channels for known processors of both vendors.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The facts are those that the processors report with the microcode named; the
 * expectations are the vendors' guidance for a hypervisor. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/mitigation/mitigation.h"
#include "cpu/mitigation/bits.h"
#include "boot/boot.h"
#include "lib/printk.h"

/* What boot/options.c wants of the image. */
const struct option options_start[1], options_end[1];

void printk(const char *format, ...)
{
}

#define B(bug)  (1u << BUG_##bug)
#define S(site) (1u << SITE_##site)

#define IBRS    1u
#define STIBP   2u
#define BHI_DIS (1u << 10)

/* Leaf 7 EDX of Intel's processors with microcode of 2018, 2019. */
#define L7_2018  (L7D_IBRS_IBPB | L7D_STIBP | L7D_SSBD | L7D_L1D_FLUSH)
#define L7_2019  (L7_2018 | L7D_MD_CLEAR)
#define L7_CAPS  (L7_2019 | L7D_ARCH_CAPS)
#define CLX_CAPS (CAPS_RDCL_NO | CAPS_EIBRS | CAPS_SKIP_L1DFL | CAPS_MDS_NO)
#define ICX_CAPS                                                                         \
    (CLX_CAPS | CAPS_PSCHANGE_NO | CAPS_TAA_NO | CAPS_FB_CLEAR | CAPS_GDS_CTRL)
#define SPR_CAPS                                                                         \
    (CLX_CAPS | CAPS_PSCHANGE_NO | CAPS_TAA_NO | CAPS_SBDR_SSDP_NO | CAPS_FBSDP_NO |     \
     CAPS_PSDP_NO | CAPS_PBRSB_NO | CAPS_GDS_NO | CAPS_RFDS_NO | CAPS_ITS_NO |           \
     CAPS_RRSBA)
#define L72_NEW (L72_PSFD | L72_IPRED_CTRL | L72_RRSBA_CTRL | L72_BHI_CTRL)
#define ZEN2_E8 (E8_IBPB | E8_IBRS | E8_STIBP | E8_STIBP_ALWAYS | E8_SSBD)
#define ZEN3_E8 (ZEN2_E8 | E8_PSFD | E8_BTC_NO)
#define ZEN4_E8 (ZEN3_E8 | E8_IBPB_RET)

struct known {
    const char *name;
    struct cpu_facts facts;
    /* Expected. */
    uint32_t bugs, open, sites, spec_ctrl;
    enum bti_thunk thunk;
    bool eibrs, auto_ibrs, switch_ibpb, l1d_flush, smt_leaks;
    bool zenbleed, bp_spec_reduce, gds;
};

#define INTEL(m, s)  .vendor = CPU_INTEL, .family = 6, .model = (m), .stepping = (s)
#define AMD(f, m, s) .vendor = CPU_AMD, .family = (f), .model = (m), .stepping = (s)

static const struct known known[] = {
    {.name = "Atom Bonnell: does not speculate",
     .facts = {INTEL(0x1c, 10)},
     .thunk = THUNK_JMP},
    {.name = "Nehalem without microcode",
     .facts = {INTEL(0x1a, 5)},
     .bugs = B(BTI) | B(SSB) | B(L1TF) | B(MDS) | B(ITLB_MULTIHIT) | B(BHI),
     .open = B(SSB) | B(L1TF) | B(MDS),
     .sites = S(EXIT_RSB),
     .thunk = THUNK_RETPOLINE},
    {.name = "Haswell server, microcode of 2019, two threads",
     .facts = {INTEL(0x3f, 2), .leaf7_edx = L7_2019, .smt = true},
     .bugs = B(BTI) | B(SSB) | B(L1TF) | B(MDS) | B(ITLB_MULTIHIT) | B(MMIO),
     .open = B(SSB),
     .sites = S(EXIT_RSB) | S(SPEC_CTRL) | S(ENTRY_VERW),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true,
     .l1d_flush = true,
     .smt_leaks = true},
    {.name = "Skylake client, microcode of 2019: IBRS at each exit",
     .facts = {INTEL(0x5e, 3), .leaf7_ebx = L7B_RTM, .leaf7_edx = L7_2019},
     .bugs = B(BTI) | B(SSB) | B(L1TF) | B(MDS) | B(ITLB_MULTIHIT) | B(RSBA) | B(BTC) |
             B(MMIO) | B(GDS) | B(TAA) | B(BHI),
     .open = B(SSB) | B(GDS),
     .sites =
         S(EXIT_RSB) | S(SPEC_CTRL) | S(SPEC_CTRL_ALWAYS) | S(ENTRY_VERW) | S(EXIT_BHB),
     .spec_ctrl = IBRS,
     .thunk = THUNK_JMP,
     .switch_ibpb = true,
     .l1d_flush = true},
    {.name = "Skylake without microcode: retpolines, and open",
     .facts = {INTEL(0x5e, 3)},
     .bugs = B(BTI) | B(SSB) | B(L1TF) | B(MDS) | B(ITLB_MULTIHIT) | B(RSBA) | B(BTC) |
             B(MMIO) | B(GDS) | B(BHI),
     .open = B(SSB) | B(L1TF) | B(MDS) | B(RSBA) | B(BTC) | B(MMIO) | B(GDS),
     .sites = S(EXIT_RSB),
     .thunk = THUNK_RETPOLINE},
    {.name = "Cascade Lake server: enhanced IBRS",
     .facts = {INTEL(0x55, 7), .leaf7_edx = L7_CAPS,
               .arch_caps = CLX_CAPS | CAPS_FB_CLEAR | CAPS_GDS_CTRL | CAPS_RRSBA},
     .bugs = B(BTI) | B(SSB) | B(ITLB_MULTIHIT) | B(RSBA) | B(PBRSB) | B(BTC) | B(MMIO) |
             B(GDS) | B(BHI) | B(ITS),
     .open = B(SSB) | B(ITS),
     .sites = S(EXIT_PBRSB) | S(EXIT_BHB) | S(SPEC_CTRL) | S(ENTRY_VERW),
     .spec_ctrl = IBRS,
     .eibrs = true,
     .switch_ibpb = true,
     .gds = true},
    {.name = "Ice Lake server with BHI_DIS_S",
     .facts = {INTEL(0x6a, 6), .leaf7_edx = L7_CAPS, .leaf7_2_edx = L72_NEW,
               .arch_caps = ICX_CAPS, .smt = true},
     .bugs = B(BTI) | B(SSB) | B(PBRSB) | B(BTC) | B(MMIO) | B(GDS) | B(BHI) | B(ITS),
     .open = B(SSB) | B(ITS),
     .sites = S(EXIT_PBRSB) | S(SPEC_CTRL) | S(ENTRY_VERW),
     .spec_ctrl = IBRS | BHI_DIS,
     .eibrs = true,
     .switch_ibpb = true,
     .gds = true},
    {.name = "Ice Lake server whose firmware locked the GDS mitigation off",
     .facts = {INTEL(0x6a, 6), .leaf7_edx = L7_CAPS, .leaf7_2_edx = L72_NEW,
               .arch_caps = ICX_CAPS | CAPS_ITS_NO, .gds_locked_off = true},
     .bugs = B(BTI) | B(SSB) | B(PBRSB) | B(BTC) | B(MMIO) | B(GDS) | B(BHI),
     .open = B(SSB) | B(GDS),
     .sites = S(EXIT_PBRSB) | S(SPEC_CTRL) | S(ENTRY_VERW),
     .spec_ctrl = IBRS | BHI_DIS,
     .eibrs = true,
     .switch_ibpb = true},
    {.name = "Alder Lake: register files",
     .facts = {INTEL(0x97, 2), .leaf7_edx = L7_CAPS, .leaf7_2_edx = L72_NEW,
               .arch_caps = (SPR_CAPS & ~CAPS_RFDS_NO) | CAPS_RFDS_CLEAR},
     .bugs = B(BTI) | B(SSB) | B(RFDS) | B(BHI) | B(RSBA),
     .open = B(SSB),
     .sites = S(SPEC_CTRL) | S(ENTRY_VERW),
     .spec_ctrl = IBRS | BHI_DIS,
     .eibrs = true,
     .switch_ibpb = true},
    {.name = "Sapphire Rapids",
     .facts = {INTEL(0x8f, 8), .leaf7_edx = L7_CAPS, .leaf7_2_edx = L72_NEW,
               .arch_caps = SPR_CAPS, .smt = true},
     .bugs = B(BTI) | B(SSB) | B(BHI) | B(RSBA),
     .open = B(SSB),
     .sites = S(SPEC_CTRL),
     .spec_ctrl = IBRS | BHI_DIS,
     .eibrs = true,
     .switch_ibpb = true},
    {.name = "Goldmont without new microcode",
     .facts = {INTEL(0x5c, 9), .leaf7_edx = L7_2018},
     .bugs = B(BTI) | B(SSB) | B(RFDS),
     .open = B(SSB) | B(RFDS),
     .sites = S(EXIT_RSB) | S(SPEC_CTRL),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true},
    {.name = "an Intel model of the future that says it is free of all that",
     .facts = {INTEL(0xfe, 0), .leaf7_edx = L7_CAPS, .leaf7_2_edx = L72_NEW,
               .arch_caps = SPR_CAPS | CAPS_SSB_NO | CAPS_BHI_NO},
     .bugs = B(BTI) | B(RSBA),
     .sites = S(SPEC_CTRL),
     .spec_ctrl = IBRS,
     .eibrs = true,
     .switch_ibpb = true},
    {.name = "Opteron, family 10h",
     .facts = {AMD(0x10, 9, 1)},
     .bugs = B(BTI) | B(SSB),
     .open = B(SSB),
     .sites = S(EXIT_RSB),
     .thunk = THUNK_RETPOLINE},
    {.name = "Zen 1: barriers only",
     .facts = {AMD(0x17, 1, 2), .ext8_ebx = E8_IBPB},
     .bugs = B(BTI) | B(SSB) | B(BTC) | B(SRSO),
     .open = B(SSB),
     .sites = S(EXIT_RSB) | S(EXIT_IBPB),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true},
    {.name = "Hygon",
     .facts = {AMD(0x18, 0, 1), .ext8_ebx = E8_IBPB},
     .bugs = B(BTI) | B(SSB) | B(BTC) | B(SRSO),
     .open = B(SSB),
     .sites = S(EXIT_RSB) | S(EXIT_IBPB),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true},
    {.name = "Zen 1 without microcode",
     .facts = {AMD(0x17, 1, 1)},
     .bugs = B(BTI) | B(SSB) | B(BTC) | B(SRSO),
     .open = B(SSB) | B(BTC) | B(SRSO),
     .sites = S(EXIT_RSB),
     .thunk = THUNK_RETPOLINE},
    {.name = "Zen 2",
     .facts = {AMD(0x17, 0x31, 0), .ext8_ebx = ZEN2_E8},
     .bugs = B(BTI) | B(SSB) | B(BTC) | B(SRSO) | B(ZENBLEED),
     .open = B(SSB),
     .sites = S(EXIT_RSB) | S(EXIT_IBPB) | S(SPEC_CTRL),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true,
     .zenbleed = true},
    {.name = "Zen 3 of 2021",
     .facts = {AMD(0x19, 1, 1), .ext8_ebx = ZEN3_E8},
     .bugs = B(BTI) | B(SSB) | B(SRSO) | B(TSA),
     .open = B(SSB) | B(SRSO) | B(TSA),
     .sites = S(EXIT_RSB) | S(EXIT_IBPB) | S(SPEC_CTRL),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true},
    {.name = "Zen 3 with microcode of 2025",
     .facts = {AMD(0x19, 1, 1), .ext8_ebx = ZEN3_E8,
               .ext21_eax = E21_IBPB_BRTYPE | E21_VERW_CLEAR},
     .bugs = B(BTI) | B(SSB) | B(SRSO) | B(TSA),
     .open = B(SSB),
     .sites = S(EXIT_RSB) | S(EXIT_IBPB) | S(SPEC_CTRL) | S(ENTRY_VERW),
     .thunk = THUNK_RETPOLINE,
     .switch_ibpb = true},
    {.name = "Zen 4: automatic IBRS, SPEC_CTRL switched by the hardware",
     .facts = {AMD(0x19, 0x11, 1), .ext8_ebx = ZEN4_E8,
               .ext21_eax = E21_AUTO_IBRS | E21_IBPB_BRTYPE | E21_VERW_CLEAR,
               .spec_ctrl_switched = true},
     .bugs = B(BTI) | B(SSB) | B(SRSO) | B(TSA),
     .open = B(SSB),
     .sites = S(EXIT_IBPB) | S(ENTRY_VERW),
     .auto_ibrs = true,
     .switch_ibpb = true},
    {.name = "Zen 5: less speculation instead of barriers",
     .facts = {AMD(0x1a, 2, 1), .ext8_ebx = ZEN4_E8,
               .ext21_eax =
                   E21_AUTO_IBRS | E21_IBPB_BRTYPE | E21_SRSO_US_NO | E21_SRSO_MSR_FIX,
               .spec_ctrl_switched = true},
     .bugs = B(BTI) | B(SSB) | B(SRSO),
     .open = B(SSB),
     .auto_ibrs = true,
     .switch_ibpb = true,
     .bp_spec_reduce = true},
    {.name = "Zen 5 under another hypervisor: the switch is not ours",
     .facts = {AMD(0x1a, 2, 1), .ext8_ebx = ZEN4_E8,
               .ext21_eax = E21_AUTO_IBRS | E21_IBPB_BRTYPE | E21_SRSO_MSR_FIX,
               .spec_ctrl_switched = true, .hypervisor = true},
     .bugs = B(BTI) | B(SSB) | B(SRSO),
     .open = B(SSB),
     .sites = S(EXIT_IBPB),
     .auto_ibrs = true,
     .switch_ibpb = true},
    {.name = "AMD of the future",
     .facts = {AMD(0x1b, 0, 0), .ext8_ebx = ZEN4_E8 | E8_SSB_NO,
               .ext21_eax = E21_AUTO_IBRS | E21_SRSO_NO, .spec_ctrl_switched = true},
     .bugs = B(BTI),
     .auto_ibrs = true,
     .switch_ibpb = true},
    {.name = "K6: in order enough", .facts = {AMD(5, 8, 0)}},
    {.name = "QEMU's translator, whatever it plays",
     .facts = {AMD(0xf, 107, 1), .hypervisor = true, .emulated = true}},
    {.name = "VIA and Zhaoxin",
     .facts = {.vendor = CPU_OTHER, .family = 7, .model = 0x1b},
     .bugs = B(BTI) | B(SSB),
     .open = B(SSB),
     .sites = S(EXIT_RSB),
     .thunk = THUNK_RETPOLINE},
};

static struct mitigations decide(const struct cpu_facts *f, const char *words)
{
    struct mitigation_wishes w;
    struct mitigations m;

    mitigation_wishes_init(&w);
    if (words)
        assert_int_equal(mitigation_wishes_parse(&w, words), 0);
    mitigation_decide(f, &w, &m);
    return m;
}

#define SAME(field, want)                                                                \
    do {                                                                                 \
        if ((uint64_t)m.field != (uint64_t)(want)) {                                     \
            print_error("%s: " #field " is %#lx, not %#lx\n", k->name,                   \
                        (unsigned long)m.field, (unsigned long)(want));                  \
            wrong++;                                                                     \
        }                                                                                \
    } while (0)

static void test_known_processors(void **state)
{
    unsigned int wrong = 0;

    for (const struct known *k = known; k < known + ARRAY_SIZE(known); k++) {
        struct mitigations m = decide(&k->facts, NULL);

        SAME(bugs, k->bugs);
        SAME(open, k->open | (k->bugs & B(ITLB_MULTIHIT) & 0));
        SAME(sites, k->sites);
        SAME(spec_ctrl, k->spec_ctrl);
        SAME(thunk, k->thunk);
        SAME(eibrs, k->eibrs);
        SAME(auto_ibrs, k->auto_ibrs);
        SAME(switch_ibpb, k->switch_ibpb);
        SAME(l1d_flush, k->l1d_flush);
        SAME(smt_leaks, k->smt_leaks);
        SAME(zenbleed_chicken, k->zenbleed);
        SAME(bp_spec_reduce, k->bp_spec_reduce);
        SAME(gds_unlock, k->gds);
    }
    assert_int_equal(wrong, 0);
}

static const struct cpu_facts *facts_of(const char *start)
{
    for (const struct known *k = known; k < known + ARRAY_SIZE(known); k++)
        if (!strncmp(k->name, start, strlen(start)))
            return &k->facts;
    fail_msg("no processor '%s'", start);
    return NULL;
}

static void test_switched_off(void **state)
{
    for (const struct known *k = known; k < known + ARRAY_SIZE(known); k++) {
        struct mitigations m = decide(&k->facts, "no");

        assert_int_equal(m.sites, 0);
        assert_int_equal(m.spec_ctrl, 0);
        assert_int_equal(m.thunk, THUNK_JMP);
        assert_int_equal(m.open, m.bugs);
        assert_false(m.switch_ibpb || m.l1d_flush || m.eibrs || m.auto_ibrs ||
                     m.has_spec_ctrl || m.gds_unlock || m.zenbleed_chicken);
    }
}

static void test_words(void **state)
{
    const struct cpu_facts *skl = facts_of("Skylake client"),
                           *zen5 = facts_of("Zen 5: l"), *clx = facts_of("Cascade"),
                           *tcg = facts_of("QEMU"), *hsw = facts_of("Haswell");
    struct mitigations m;

    m = decide(skl, "no-ibrs");
    assert_int_equal(m.thunk, THUNK_RETPOLINE);
    assert_true(m.open & B(RSBA));
    m = decide(skl, "no-msr-sc");
    assert_false(m.has_spec_ctrl || m.spec_ctrl || (m.sites & S(SPEC_CTRL)));
    m = decide(skl, "no-verw,l1d-flush=off");
    assert_false((m.sites & S(ENTRY_VERW)) || m.l1d_flush);
    assert_true((m.open & (B(MDS) | B(L1TF))) == (B(MDS) | B(L1TF)));
    m = decide(skl, "ssbd,stibp");
    assert_int_equal(m.spec_ctrl, 7);
    assert_false(m.open & B(SSB));
    m = decide(skl, "hvm=no");
    assert_false((m.sites & ~S(SPEC_CTRL_ALWAYS) & ~S(SPEC_CTRL)) || m.l1d_flush);
    m = decide(hsw, "ibrs"); /* instead of retpolines */
    assert_int_equal(m.thunk, THUNK_JMP);
    assert_true(m.sites & S(SPEC_CTRL_ALWAYS));
    m = decide(clx, "rsb,bti-thunk=retpoline");
    assert_true(m.sites & S(EXIT_RSB));
    assert_int_equal(m.thunk, THUNK_RETPOLINE);
    m = decide(clx, "no-bhi-seq");
    assert_true(m.open & B(BHI));
    m = decide(clx, "no-gds-mit");
    assert_true((m.open & B(GDS)) && !m.gds_unlock);
    m = decide(zen5, "no-bp-spec-reduce");
    assert_true(m.sites & S(EXIT_IBPB));
    m = decide(zen5, "no-ibpb");
    assert_false(m.switch_ibpb);
    m = decide(zen5, "no-xen");
    assert_false(m.auto_ibrs);
    assert_true(m.open & B(BTI));
    /* For tests: what is not needed, but wished. */
    m = decide(tcg, "rsb,verw,bhi-seq,bti-thunk=retpoline");
    assert_int_equal(m.sites, S(EXIT_RSB) | S(ENTRY_VERW) | S(EXIT_BHB));
    assert_int_equal(m.thunk, THUNK_RETPOLINE);
}

static void test_bad_words(void **state)
{
    static const char *const bad[] = {
        "nonsense",    "rsb=maybe",
        "bti-thunk",   "bti-thunk=",
        "no-rsb=on",   "rsb,,verw",
        "no-nonsense", "=",
        "no-",         "bti-thunk=jmp=",
        "rsb=on=on",   "a-word-that-is-longer-than-any-word-of-this-option"};
    struct mitigation_wishes w;

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        mitigation_wishes_init(&w);
        if (mitigation_wishes_parse(&w, bad[i]) != -EINVAL)
            fail_msg("'%s' is taken", bad[i]);
    }
    mitigation_wishes_init(&w);
    assert_int_equal(mitigation_wishes_parse(&w, ""), 0);
    assert_int_equal(w.all, 1);
}

/* Whatever a processor says: only bits of SPEC_CTRL that exist, only open bugs that are
 * there, nothing at exits that a switch of the table excludes. */
static void test_random_facts(void **state)
{
    static const char *const words[] = {NULL,      "no-msr-sc",     "ssbd,stibp,psfd",
                                        "no-ibrs", "ibrs",          "no-xen",
                                        "hvm=no",  "no-rsb,no-verw"};

    srandom(7);
    for (unsigned int i = 0; i < 200000; i++) {
        struct cpu_facts f = {
            .vendor = random() % 3,
            .family = random() % 0x20,
            .model = random() % 256,
            .leaf7_ebx = random(),
            .leaf7_edx = (uint32_t)random() * 2 + random() % 2,
            .leaf7_2_edx = random(),
            .ext8_ebx = (uint32_t)random() * 2,
            .ext21_eax = (uint32_t)random() * 2,
            .ext21_ecx = random(),
            .arch_caps = (uint64_t)random() << 32 | (uint64_t)random() << 1,
            .smt = random() % 2,
            .hypervisor = random() % 2,
            .spec_ctrl_switched = random() % 4 == 0,
        };
        struct mitigations m = decide(&f, words[i % ARRAY_SIZE(words)]);
        uint32_t valid = spec_ctrl_valid(f.leaf7_edx, f.leaf7_2_edx, f.ext8_ebx);

        assert_int_equal(m.spec_ctrl & ~valid, 0);
        assert_int_equal(m.open & ~m.bugs, 0);
        assert_true(m.has_spec_ctrl || !(m.sites & S(SPEC_CTRL)));
        assert_true((m.sites & S(SPEC_CTRL)) || !(m.sites & S(SPEC_CTRL_ALWAYS)) ||
                    f.spec_ctrl_switched);
        assert_false(m.l1d_flush && !(f.leaf7_edx & L7D_L1D_FLUSH));
        assert_false((m.sites & S(EXIT_IBPB)) && !(f.leaf7_edx & L7D_IBRS_IBPB) &&
                     !(f.ext8_ebx & E8_IBPB));
        if ((m.bugs & B(BTI)) && !(m.open & B(BTI)))
            assert_true(m.thunk != THUNK_JMP || m.eibrs || m.auto_ibrs ||
                        (m.sites & S(SPEC_CTRL_ALWAYS)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_processors),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_random_facts),
    };

    return cmocka_run_group_tests_name("mitigation", tests, NULL, NULL);
}
