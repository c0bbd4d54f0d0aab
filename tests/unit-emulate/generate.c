/* Random instructions, and what Zydis says about them.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "generate.h"

#include <string.h>

/* xorshift64* */
uint64_t rng_next(struct rng *r)
{
    r->s ^= r->s >> 12;
    r->s ^= r->s << 25;
    r->s ^= r->s >> 27;
    return r->s * 0x2545f4914f6cdd1dull;
}

unsigned int rng_below(struct rng *r, unsigned int n)
{
    return (rng_next(r) >> 32) * n >> 32;
}

bool rng_chance(struct rng *r, unsigned int percent)
{
    return rng_below(r, 100) < percent;
}

static void put(struct candidate *c, unsigned int *at, uint8_t b)
{
    if (*at < 15)
        c->bytes[(*at)++] = b;
}

static void put_prefixes(struct rng *r, unsigned int bits, struct candidate *c,
                         unsigned int *at)
{
    static const uint8_t seg[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

    if (bits == 64 && rng_chance(r, 2))
        put(c, at, 0x40 | rng_below(r, 16)); /* without effect */
    if (rng_chance(r, 15))
        put(c, at, seg[rng_below(r, 6)]);
    if (rng_chance(r, 20))
        put(c, at, 0x66);
    if (rng_chance(r, 8))
        put(c, at, 0x67);
    if (rng_chance(r, 7))
        put(c, at, 0xf0);
    if (rng_chance(r, 15))
        put(c, at, rng_chance(r, 50) ? 0xf2 : 0xf3);
    if (bits == 64 && rng_chance(r, 50))
        put(c, at, 0x40 | rng_below(r, 16));
}

/* The second half of the map is nearly empty. */
static uint8_t map2_opcode(struct rng *r)
{
    return rng_chance(r, 30)   ? 0xf0 + rng_below(r, 8)
           : rng_chance(r, 60) ? rng_below(r, 0x60)
                               : rng_next(r);
}

static uint8_t map3_opcode(struct rng *r)
{
    return rng_chance(r, 20)   ? 0xf0
           : rng_chance(r, 70) ? rng_below(r, 0x64)
                               : rng_next(r);
}

static void put_vex(struct rng *r, struct candidate *c, unsigned int *at)
{
    unsigned int map = 1 + rng_below(r, 3);
    uint8_t op = map == 1 ? rng_next(r) : map == 2 ? map2_opcode(r) : map3_opcode(r);

    if (map == 1 && rng_chance(r, 50)) {
        put(c, at, 0xc5);
        put(c, at, rng_next(r) | (rng_chance(r, 50) ? 0x78 : 0));
    } else {
        put(c, at, 0xc4);
        put(c, at, (rng_next(r) & 0xe0) | map);
        put(c, at, rng_next(r) | (rng_chance(r, 50) ? 0x78 : 0));
    }
    put(c, at, op);
}

void candidate_make(struct rng *r, unsigned int bits, struct candidate *c)
{
    unsigned int at = 0, kind = rng_below(r, 100);

    memset(c, 0, sizeof(*c));
    put_prefixes(r, bits, c, &at);
    if (kind < 52) {
        put(c, &at, rng_next(r));
    } else if (kind < 88) {
        put(c, &at, 0x0f);
        put(c, &at, rng_next(r));
    } else if (kind < 92) {
        put(c, &at, 0x0f);
        put(c, &at, 0x38);
        put(c, &at, map2_opcode(r));
    } else if (kind < 94) {
        put(c, &at, 0x0f);
        put(c, &at, 0x3a);
        put(c, &at, map3_opcode(r));
    } else {
        if (rng_chance(r, 90))
            at = 0;
        if (rng_chance(r, 15))
            put(c, &at, rng_chance(r, 50) ? 0x64 : 0x67);
        put_vex(r, c, &at);
    }
    while (at < 15)
        put(c, &at, rng_next(r));
    if (rng_chance(r, 10))
        c->bytes[14] = 0x0f;
    candidate_decode(bits, c);
}

void candidate_decode(unsigned int bits, struct candidate *c)
{
    static ZydisDecoder decoder[3];
    static bool ready;
    ZydisDecoder *d = &decoder[bits == 64 ? 0 : bits == 32 ? 1 : 2];

    if (!ready) {
        ZydisDecoderInit(&decoder[0], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisDecoderInit(&decoder[1], ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                         ZYDIS_STACK_WIDTH_32);
        ZydisDecoderInit(&decoder[2], ZYDIS_MACHINE_MODE_LONG_COMPAT_16,
                         ZYDIS_STACK_WIDTH_16);
        for (unsigned int k = 0; k < 3; k++) { /* the CPU of this machine is AMD's */
            ZydisDecoderEnableMode(&decoder[k], ZYDIS_DECODER_MODE_AMD_BRANCHES,
                                   ZYAN_TRUE);
            ZydisDecoderEnableMode(&decoder[k], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
            ZydisDecoderEnableMode(&decoder[k], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
            ZydisDecoderEnableMode(&decoder[k], ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
        }
        ready = true;
    }
    c->valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(d, c->bytes, 15, &c->insn, c->ops));
    if (!c->valid)
        c->insn.machine_mode = d->machine_mode;
    c->len = c->valid ? c->insn.length : 15;
}

/* Which opcode byte follows the legacy prefixes, for what must never reach the CPU. */
static const uint8_t *opcode_of(const struct candidate *c)
{
    unsigned int k = 0;

    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                       0x66, 0x67, 0xf0, 0xf2, 0xf3};

    while (k < 12 && (memchr(prefixes, c->bytes[k], sizeof(prefixes)) ||
                      (c->insn.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
                       (c->bytes[k] & 0xf0) == 0x40)))
        k++;
    return c->bytes + k;
}

bool candidate_runs(const struct candidate *c)
{
    const uint8_t *p = opcode_of(c);

    /* INT: the kernel's own gates; ICEBP: this machine's hypervisor intercepts it */
    if ((p[0] == 0xcd && p[1] == 0x80) || p[0] == 0xf1)
        return false;
    /* LOOPcc with a REP prefix is reserved: AMD takes the condition from the prefix */
    if ((p[0] & 0xfe) == 0xe0 &&
        (memchr(c->bytes, 0xf2, p - c->bytes) || memchr(c->bytes, 0xf3, p - c->bytes)))
        return false;
    /* FNSTENV, FNSAVE: where the last instruction was */
    if ((p[0] == 0xd9 || p[0] == 0xdd) && p[1] < 0xc0 && (p[1] >> 3 & 7) == 6)
        return false;
    if (p[0] != 0x0f)
        return true;
    switch (p[1]) {
    case 0x05: /* SYSCALL and relatives enter the kernel */
    case 0x34:
    case 0x31: /* RDTSC, RDPMC, CPUID: not a function of the inputs */
    case 0x33:
    case 0xa2:
    case 0x37:
        return false;
    case 0x00: /* SLDT, STR, SMSW, SGDT, SIDT: the kernel emulates them (UMIP) */
        if ((p[2] >> 3 & 7) == 5 && memchr(c->bytes, 0xf0, p - c->bytes))
            return false; /* some microcode of AMD's takes LOCK VERW */
        return (p[2] >> 3 & 7) > 1;
    case 0x01:
        if (p[2] >= 0xc0 && (p[2] >> 3 & 7) != 6)
            return p[2] == 0xd1 || p[2] == 0xf8 || p[2] == 0xc8 || p[2] == 0xc9 ||
                   p[2] == 0xca || p[2] == 0xcb;
        return (p[2] >> 3 & 7) > 1 && (p[2] >> 3 & 7) != 4;
    case 0xc7: /* RDRAND, RDSEED, RDPID */
        return (p[2] >> 3 & 7) < 6;
    default:
        return true;
    }
}

bool candidate_required(const struct candidate *c)
{
    switch (c->insn.mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE ... ZYDIS_MNEMONIC_FXTRACT:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_UD0 ... ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_RSM:
    /* Part of their operand is not accessed. */
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
        return false;
    default:
        break;
    }
    if (c->insn.meta.category == ZYDIS_CATEGORY_AVX2GATHER)
        return false;
    switch (c->insn.meta.isa_ext) {
    case ZYDIS_ISA_EXT_X87:
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
    case ZYDIS_ISA_EXT_AVX:
    case ZYDIS_ISA_EXT_AVX2:
    case ZYDIS_ISA_EXT_AVXAES:
    case ZYDIS_ISA_EXT_AVX2GATHER:
    case ZYDIS_ISA_EXT_FMA:
    case ZYDIS_ISA_EXT_F16C:
    case ZYDIS_ISA_EXT_SHA:
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_LONGMODE:
    case ZYDIS_ISA_EXT_BMI1:
    case ZYDIS_ISA_EXT_BMI2:
    case ZYDIS_ISA_EXT_ADOX_ADCX:
    case ZYDIS_ISA_EXT_LZCNT:
    case ZYDIS_ISA_EXT_RDWRFSGS:
    case ZYDIS_ISA_EXT_CLFSH:
    case ZYDIS_ISA_EXT_CLFLUSHOPT:
        return true;
    default:
        return false;
    }
}

uint64_t candidate_undefined(const struct candidate *c, uint64_t rcx)
{
    uint64_t mask = c->insn.cpu_flags ? c->insn.cpu_flags->undefined : 0;
    unsigned int width = c->ops[0].size, count;

    switch (c->insn.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
        count =
            c->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? c->ops[1].imm.value.u : rcx;
        break;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
        count =
            c->ops[2].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? c->ops[2].imm.value.u : rcx;
        break;
    default:
        return mask;
    }
    count &= width == 64 ? 63 : 31;
    if (count == 0)
        return 0;
    mask &= ~(uint64_t)(0x800 | 0x001);
    if (count > 1)
        mask |= 0x800; /* OF */
    if (c->insn.mnemonic < ZYDIS_MNEMONIC_RCL || c->insn.mnemonic > ZYDIS_MNEMONIC_ROR)
        mask |= 0x10; /* AF */
    if (count > width)
        mask |= 0x8d5; /* SHLD of 16 bits by more: everything */
    if (count == width && c->insn.mnemonic != ZYDIS_MNEMONIC_ROL &&
        c->insn.mnemonic != ZYDIS_MNEMONIC_ROR)
        mask |= 0x001;
    return mask;
}

bool candidate_vector(const struct candidate *c)
{
    switch (c->insn.meta.isa_ext) {
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_LONGMODE:
    case ZYDIS_ISA_EXT_BMI1:
    case ZYDIS_ISA_EXT_BMI2:
    case ZYDIS_ISA_EXT_ADOX_ADCX:
    case ZYDIS_ISA_EXT_LZCNT:
    case ZYDIS_ISA_EXT_RDWRFSGS:
        return c->insn.mnemonic == ZYDIS_MNEMONIC_FWAIT;
    default:
        return true;
    }
}
