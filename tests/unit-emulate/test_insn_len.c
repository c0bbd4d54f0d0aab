/* Tests of emul_insn_len(): lengths of the instructions that cause exits.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "check.h"

#define LEN(bits, which, regs, ...)                                                      \
    emul_insn_len((const uint8_t[]){__VA_ARGS__},                                        \
                  sizeof((const uint8_t[]){__VA_ARGS__}), bits, which, regs)

static void test_plain(void **state)
{
    assert_int_equal(LEN(64, EMUL_INSN_CPUID, NULL, 0x0f, 0xa2), 2);
    assert_int_equal(LEN(16, EMUL_INSN_CPUID, NULL, 0x66, 0x0f, 0xa2, 0x90), 3);
    assert_int_equal(LEN(64, EMUL_INSN_VMMCALL, NULL, 0x0f, 0x01, 0xd9), 3);
    assert_int_equal(LEN(64, EMUL_INSN_HLT, NULL, 0x48, 0xf4), 2);
    assert_int_equal(LEN(32, EMUL_INSN_HLT, NULL, 0x48, 0xf4), 0); /* dec eax */
    assert_int_equal(LEN(64, EMUL_INSN_PAUSE, NULL, 0xf3, 0x90), 2);
    assert_int_equal(LEN(64, EMUL_INSN_INTN, NULL, 0xcd, 0x80), 2);
    assert_int_equal(LEN(64, EMUL_INSN_IN, NULL, 0xe4, 0x71), 2);
    assert_int_equal(LEN(64, EMUL_INSN_IN, NULL, 0x66, 0xed), 2);
    assert_int_equal(LEN(64, EMUL_INSN_OUT, NULL, 0xee), 1);
    assert_int_equal(LEN(64, EMUL_INSN_OUT, NULL, 0xe7, 0x80), 2);
    assert_int_equal(LEN(64, EMUL_INSN_OUT, NULL, 0xed), 0);
    assert_int_equal(LEN(64, EMUL_INSN_INS, NULL, 0xf3, 0x6c), 2);
    assert_int_equal(LEN(64, EMUL_INSN_OUTS, NULL, 0x67, 0xf3, 0x65, 0x6f), 4);
    assert_int_equal(LEN(64, EMUL_INSN_WRMSR, NULL, 0x0f, 0x32), 0);
    assert_int_equal(LEN(64, EMUL_INSN_KNOWN_COUNT, NULL, 0x0f, 0x32), 0);
}

static void test_truncated(void **state)
{
    uint8_t prefixes[20];

    assert_int_equal(LEN(64, EMUL_INSN_CPUID, NULL, 0x0f), 0);
    assert_int_equal(LEN(64, EMUL_INSN_VMMCALL, NULL, 0x0f, 0x01), 0);
    assert_int_equal(LEN(64, EMUL_INSN_INTN, NULL, 0xcd), 0);
    assert_int_equal(LEN(64, EMUL_INSN_MOV_TO_CR, NULL, 0x0f, 0x22), 0);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x3c), 0);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x7c, 0x24), 0);
    memset(prefixes, 0x66, sizeof(prefixes));
    assert_int_equal(emul_insn_len(prefixes, 20, 64, EMUL_INSN_HLT, NULL), 0);
    prefixes[14] = 0xf4;
    assert_int_equal(emul_insn_len(prefixes, 20, 64, EMUL_INSN_HLT, NULL), 15);
    prefixes[14] = 0x66;
    prefixes[15] = 0xf4; /* 16 bytes: no instruction */
    assert_int_equal(emul_insn_len(prefixes, 20, 64, EMUL_INSN_HLT, NULL), 0);
    assert_int_equal(emul_insn_len(prefixes, 0, 64, EMUL_INSN_HLT, NULL), 0);
}

static void test_registers(void **state)
{
    struct emul_insn_regs r;

    assert_int_equal(LEN(64, EMUL_INSN_MOV_TO_CR, &r, 0x45, 0x0f, 0x22, 0xc7), 4);
    assert_int_equal(r.gpr, 15);
    assert_int_equal(r.creg, 8);
    assert_int_equal(LEN(32, EMUL_INSN_MOV_FROM_CR, &r, 0x0f, 0x20, 0xd9), 3);
    assert_int_equal(r.gpr, 1);
    assert_int_equal(r.creg, 3);
    /* mod 0 with rm 4: no SIB byte follows */
    assert_int_equal(LEN(32, EMUL_INSN_MOV_TO_DR, &r, 0x0f, 0x23, 0x3c), 3);
    assert_int_equal(r.gpr, 4);
    assert_int_equal(r.creg, 7);
    /* REX before a legacy prefix does not count */
    assert_int_equal(LEN(64, EMUL_INSN_MOV_TO_CR, &r, 0x45, 0x66, 0x0f, 0x22, 0xc7), 5);
    assert_int_equal(r.gpr, 7);
    assert_int_equal(r.creg, 0);
    assert_int_equal(LEN(64, EMUL_INSN_LMSW, &r, 0x0f, 0x01, 0xf0), 3);
    assert_false(r.memory);
    assert_int_equal(LEN(64, EMUL_INSN_LMSW, &r, 0x0f, 0x01, 0x30), 3);
    assert_true(r.memory);
}

static void test_memory(void **state)
{
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x38), 3);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x7b, 0x10), 4);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0xbb, 1, 2, 3, 4), 7);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x3d, 1, 2, 3, 4), 7);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x3c, 0x25, 1, 2, 3, 4),
                     8);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x3c, 0x24), 4);
    assert_int_equal(LEN(16, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x3e, 1, 2), 5);
    assert_int_equal(LEN(16, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x3c), 3);
    assert_int_equal(LEN(32, EMUL_INSN_INVLPG, NULL, 0x67, 0x0f, 0x01, 0x3e, 1, 2), 6);
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0xf8), 0); /* swapgs */
    assert_int_equal(LEN(64, EMUL_INSN_INVLPG, NULL, 0x0f, 0x01, 0x30), 0); /* lmsw */
}

/* The emulator's own decoder is the witness: for every opcode byte that it takes for one
 * of these instructions, both give the same length. */
static void test_against_decoder(void **state)
{
    unsigned int agreed = 0;

    for (unsigned int modrm = 0; modrm < 256; modrm++) {
        for (unsigned int prefix = 0; prefix < 3; prefix++) {
            const uint8_t p[] = {0x67, 0x44, 0x0f, 0x01, modrm, 0x25, 1,
                                 2,    3,    4,    5,    6,     7};
            unsigned int skip = prefix == 0 ? 2 : prefix == 1 ? 1 : 0;
            struct machine *m = check_machine(64);
            unsigned int len =
                emul_insn_len(p + skip, sizeof(p) - skip, 64, EMUL_INSN_INVLPG, NULL);

            if (modrm >= 0xc0 || (modrm >> 3 & 7) != 7)
                continue;
            assert_int_equal(check_run(m, p + skip, sizeof(p) - skip), EMUL_OKAY);
            assert_int_equal(m->c.i.pos, len);
            agreed++;
        }
    }
    assert_int_equal(agreed, 3 * 3 * 8);
}

const struct CMUnitTest insn_len_tests[] = {
    cmocka_unit_test(test_plain),           cmocka_unit_test(test_truncated),
    cmocka_unit_test(test_registers),       cmocka_unit_test(test_memory),
    cmocka_unit_test(test_against_decoder),
};
const size_t insn_len_count = sizeof(insn_len_tests) / sizeof(insn_len_tests[0]);
