/* LZMA2 as xz carries it. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The LZMA specification (Igor Pavlov, public domain text) and the xz file format 1.1.0,
 * 5.3.1. The output buffer is the dictionary, so there is no copy of it and no limit but
 * the buffer.
 *
 * This is most of the time from power-on to Dom0, so it is written for few instructions:
 * one function with everything inlined, the range coder in registers, loops of known
 * length unrolled, and no test for the end of the input within a symbol. A symbol takes
 * at most SYMBOL_MAX bytes; the last ones of a chunk are read from a copy with zeros
 * behind.
 */
#include "lib/unpack/internal.h"

#define STATES      12
#define LIT_STATES  7 /* states below come after a literal */
#define POS_STATES  16
#define LIT_SIZE    0x300
#define LEN_MIN     2
#define DIST_STATES 4
#define PROB_INIT   1024 /* one half of 2^11 */
#define PROB_BITS   11
#define MOVE_BITS   5
#define TOP         (1u << 24)
#define SYMBOL_MAX  20

typedef uint16_t prob_t;

struct len_probs {
    prob_t choice, choice2;
    prob_t low[POS_STATES][8], mid[POS_STATES][8], high[256];
};

struct lzma {
    /* All probabilities, in one run of prob_t. */
    prob_t is_match[STATES][POS_STATES];
    prob_t is_rep[STATES], is_rep0[STATES], is_rep1[STATES], is_rep2[STATES];
    prob_t is_rep0_long[STATES][POS_STATES];
    prob_t slot[DIST_STATES][64];
    prob_t special[128];
    prob_t align[16];
    struct len_probs match_len, rep_len;
    prob_t literal[LIT_SIZE << 4]; /* lc + lp <= 4 */

    uint32_t state, rep[4];
    uint32_t lc, lp_mask, pb_mask;
    bool have_props;
    size_t dict_start; /* in the output: matches reach back to here */
};

struct rc {
    uint32_t range, code;
    const uint8_t *in;
};

size_t lzma2_state_size(void)
{
    return sizeof(struct lzma);
}

static always_inline void rc_normalize(struct rc *rc)
{
    if (unlikely(rc->range < TOP)) {
        rc->range <<= 8;
        rc->code = rc->code << 8 | *rc->in++;
    }
}

/* In memory: the compiler would do it in a register and write that back. */
static always_inline void prob_sub(prob_t *p, int v)
{
    __asm__("subw %w1, %0" : "+m"(*p) : "r"(v) : "cc");
}

static always_inline unsigned int rc_bit_at(struct rc *rc, prob_t *probs, uint32_t index)
{
    uint32_t prob = probs[index], bound;

    rc_normalize(rc);
    bound = (rc->range >> PROB_BITS) * prob;
    if (rc->code < bound) {
        rc->range = bound;
        /* prob + (2^11 - prob >> 5), as a subtraction. */
        prob_sub(&probs[index],
                 (int)(prob + (1 << MOVE_BITS) - 1 - (1 << PROB_BITS)) >> MOVE_BITS);
        return 0;
    }
    rc->range -= bound;
    rc->code -= bound;
    prob_sub(&probs[index], (int)(prob >> MOVE_BITS));
    return 1;
}

static always_inline unsigned int rc_bit(struct rc *rc, prob_t *p)
{
    return rc_bit_at(rc, p, 0);
}

/* A symbol of `bits` bits, the highest first. */
static always_inline uint32_t rc_tree(struct rc *rc, prob_t *probs,
                                      const unsigned int bits)
{
    uint32_t node = 1;

#pragma GCC unroll 8
    for (unsigned int i = 0; i < bits; i++) {
        if (rc_bit_at(rc, probs, node))
            node = node * 2 + 1;
        else
            node = node * 2;
    }
    return node - (1u << bits);
}

/* The lowest first. */
static always_inline uint32_t rc_tree_reverse(struct rc *rc, prob_t *probs,
                                              unsigned int bits)
{
    uint32_t node = 1, value = 0, weight = 1;

    for (; bits; bits--, weight <<= 1) {
        if (rc_bit_at(rc, probs, node)) {
            node = node * 2 + 1;
            value += weight;
        } else {
            node = node * 2;
        }
    }
    return value;
}

/* Bits with equal probabilities. */
static always_inline uint32_t rc_direct(struct rc *rc, unsigned int bits)
{
    uint32_t value = 0;

    while (bits--) {
        rc_normalize(rc);
        rc->range >>= 1;
        value <<= 1;
        if (rc->code >= rc->range) {
            rc->code -= rc->range;
            value++;
        }
    }
    return value;
}

static always_inline uint32_t decode_len(struct rc *rc, struct len_probs *l,
                                         unsigned int pos_state)
{
    if (!rc_bit(rc, &l->choice))
        return LEN_MIN + rc_tree(rc, l->low[pos_state], 3);
    if (!rc_bit(rc, &l->choice2))
        return LEN_MIN + 8 + rc_tree(rc, l->mid[pos_state], 3);
    return LEN_MIN + 16 + rc_tree(rc, l->high, 8);
}

/* Distance - 1 of a match. */
static always_inline uint32_t decode_dist(struct rc *rc, struct lzma *s, uint32_t len)
{
    uint32_t slot = rc_tree(rc, s->slot[min(len - LEN_MIN, DIST_STATES - 1u)], 6), dist;
    unsigned int bits;

    if (slot < 4)
        return slot;
    bits = (slot >> 1) - 1;
    dist = (2 | (slot & 1)) << bits;
    if (slot < 14)
        return dist + rc_tree_reverse(rc, s->special + dist - slot, bits);
    dist += rc_direct(rc, bits - 4) << 4;
    return dist + rc_tree_reverse(rc, s->align, 4);
}

/* After a match, the byte at the last distance helps to predict the literal, until they
 * differ for the first time. */
static always_inline uint8_t decode_literal_matched(struct rc *rc, prob_t *probs,
                                                    uint32_t match)
{
    uint32_t node = 1;

    while (node < 0x100) {
        uint32_t expect = match >> 7 & 1;

        match <<= 1;
        if (rc_bit_at(rc, probs, 0x100 + (expect << 8) + node)) {
            node = node * 2 + 1;
            if (!expect)
                break;
        } else {
            node = node * 2;
            if (expect)
                break;
        }
    }
    while (node < 0x100) {
        if (rc_bit_at(rc, probs, node))
            node = node * 2 + 1;
        else
            node = node * 2;
    }
    return (uint8_t)node;
}

/* The distance of a repeated match moves to the front: which of the four it is. */
static always_inline void decode_rep(struct rc *rc, struct lzma *s, uint32_t rep[4],
                                     uint32_t state)
{
    uint32_t dist;

    if (!rc_bit(rc, &s->is_rep1[state])) {
        dist = rep[1];
    } else {
        if (!rc_bit(rc, &s->is_rep2[state])) {
            dist = rep[2];
        } else {
            dist = rep[3];
            rep[3] = rep[2];
        }
        rep[2] = rep[1];
    }
    rep[1] = rep[0];
    rep[0] = dist;
}

/* Copy a match; if there is room behind it, with whole words that may go too far. */
static always_inline void put_match(uint8_t *out, size_t dist, size_t len, size_t room)
{
    const uint8_t *from = out - dist, *end = out + len;

    if (unlikely(room < len + 8 || dist < 8)) {
        copy_match(out, dist, len);
        return;
    }
    do {
        __builtin_memcpy(out, from, 8);
        out += 8;
        from += 8;
    } while (out < end);
}

/* Decode out[pos .. limit) from rc->in, as long as symbols begin before `in_end`; returns
 * how far it came, or 0 for damaged data. out_max: where writing must stop. */
static size_t lzma_symbols(struct lzma *s, struct rc *outer, const uint8_t *in_end,
                           uint8_t *out, size_t pos, size_t limit, size_t out_max)
{
    struct rc rc = *outer;
    uint32_t state = s->state, rep[4] = {s->rep[0], s->rep[1], s->rep[2], s->rep[3]};
    const size_t start = s->dict_start;

    while (pos < limit && rc.in < in_end) {
        size_t rel = pos - start;
        unsigned int pos_state = rel & s->pb_mask;
        uint32_t len;

        if (!rc_bit(&rc, &s->is_match[state][pos_state])) {
            uint32_t prev = rel ? out[pos - 1] : 0;
            prob_t *probs = s->literal + LIT_SIZE * (((rel & s->lp_mask) << s->lc) +
                                                     (prev >> (8 - s->lc)));

            if (state < LIT_STATES) {
                out[pos++] = (uint8_t)rc_tree(&rc, probs, 8);
                state = state <= 3 ? 0 : state - 3;
                continue;
            }
            if (rep[0] >= rel)
                return 0;
            out[pos] = decode_literal_matched(&rc, probs, out[pos - rep[0] - 1]);
            pos++;
            state = state <= 9 ? state - 3 : state - 6;
            continue;
        }
        if (!rc_bit(&rc, &s->is_rep[state])) {
            rep[3] = rep[2];
            rep[2] = rep[1];
            rep[1] = rep[0];
            state = state < LIT_STATES ? 7 : 10;
            len = decode_len(&rc, &s->match_len, pos_state);
            rep[0] = decode_dist(&rc, s, len);
        } else {
            bool same = !rc_bit(&rc, &s->is_rep0[state]);

            if (same && !rc_bit(&rc, &s->is_rep0_long[state][pos_state])) {
                state = state < LIT_STATES ? 9 : 11;
                len = 1;
            } else {
                if (!same)
                    decode_rep(&rc, s, rep, state);
                state = state < LIT_STATES ? 8 : 11;
                len = decode_len(&rc, &s->rep_len, pos_state);
            }
        }
        if (rep[0] >= rel || len > limit - pos)
            return 0;
        put_match(out + pos, (size_t)rep[0] + 1, len, out_max - pos);
        pos += len;
    }
    *outer = rc;
    s->state = state;
    for (int i = 0; i < 4; i++)
        s->rep[i] = rep[i];
    return pos;
}

/* One LZMA chunk: out[pos .. limit). */
static int lzma_chunk(struct lzma *s, const uint8_t *in, const uint8_t *in_end,
                      uint8_t *out, size_t pos, size_t limit, size_t out_max)
{
    uint8_t tail[3 * SYMBOL_MAX] = {0};
    size_t left;
    struct rc rc;

    if (in_end - in < 5 || in[0])
        return -EINVAL;
    rc.range = UINT32_MAX;
    rc.code =
        (uint32_t)in[1] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 8 | in[4];
    rc.in = in + 5;
    if (in_end - rc.in > SYMBOL_MAX) {
        pos = lzma_symbols(s, &rc, in_end - SYMBOL_MAX, out, pos, limit, out_max);
        if (!pos)
            return -EINVAL;
    }
    left = (size_t)(in_end - rc.in);
    if (left > SYMBOL_MAX) /* all is decoded, but not all was used */
        return -EINVAL;
    memcpy(tail, rc.in, left);
    rc.in = tail;
    pos = lzma_symbols(s, &rc, tail + left + 1, out, pos, limit, out_max);
    if (pos != limit)
        return -EINVAL;
    rc_normalize(&rc);
    return rc.in != tail + left || rc.code ? -EINVAL : 0;
}

static void state_reset(struct lzma *s)
{
    prob_t *p = (prob_t *)s, *end = s->literal + ARRAY_SIZE(s->literal);

    while (p < end)
        *p++ = PROB_INIT;
    s->state = 0;
    memset(s->rep, 0, sizeof(s->rep));
}

static int set_props(struct lzma *s, uint8_t props)
{
    uint32_t lc, lp, pb;

    if (props >= 9 * 5 * 5)
        return -EINVAL;
    lc = props % 9;
    lp = props / 9 % 5;
    pb = props / 45;
    if (lc + lp > 4)
        return -EINVAL;
    s->lc = lc;
    s->lp_mask = (1u << lp) - 1;
    s->pb_mask = (1u << pb) - 1;
    s->have_props = true;
    return 0;
}

/* The head of an LZMA chunk behind its control byte, then its data. */
static int compressed_chunk(struct lzma *s, uint8_t control, const uint8_t *in,
                            size_t in_len, size_t *pos, uint8_t *out, size_t out_max,
                            size_t *out_pos)
{
    unsigned int reset =
        control >> 5 & 3; /* 1: state, 2: and properties, 3: and dictionary */
    size_t head = reset >= 2 ? 5 : 4, unpacked, packed;
    int err;

    if (in_len - *pos < head)
        return -EINVAL;
    unpacked = (((control & 0x1fu) << 16) | in[*pos] << 8 | in[*pos + 1]) + 1u;
    packed = (in[*pos + 2] << 8 | in[*pos + 3]) + 1u;
    if (reset == 3)
        s->dict_start = *out_pos;
    if (reset >= 2 && set_props(s, in[*pos + 4]))
        return -EINVAL;
    if (!s->have_props)
        return -EINVAL;
    if (reset >= 1)
        state_reset(s);
    *pos += head;
    if (in_len - *pos < packed)
        return -EINVAL;
    if (out_max - *out_pos < unpacked)
        return -ENOSPC;
    err = lzma_chunk(s, in + *pos, in + *pos + packed, out, *out_pos, *out_pos + unpacked,
                     out_max);
    *pos += packed;
    *out_pos += unpacked;
    return err;
}

static int stored_chunk(const uint8_t *in, size_t in_len, size_t *pos, uint8_t *out,
                        size_t out_max, size_t *out_pos)
{
    size_t bytes;

    if (in_len - *pos < 2)
        return -EINVAL;
    bytes = (in[*pos] << 8 | in[*pos + 1]) + 1u;
    *pos += 2;
    if (in_len - *pos < bytes)
        return -EINVAL;
    if (out_max - *out_pos < bytes)
        return -ENOSPC;
    memcpy(out + *out_pos, in + *pos, bytes);
    *pos += bytes;
    *out_pos += bytes;
    return 0;
}

int lzma2_decode(void *state, const uint8_t *in, size_t in_len, size_t *pos, uint8_t *out,
                 size_t out_max, size_t *out_pos)
{
    struct lzma *s = state;
    bool need_dict_reset = true, need_state_reset = true;
    int err;

    s->have_props = false;
    for (;;) {
        uint8_t control;

        if (*pos >= in_len)
            return -EINVAL;
        control = in[(*pos)++];
        if (control == 0)
            return 0;
        if (need_dict_reset && control != 1 && control < 0xe0)
            return -EINVAL;
        need_dict_reset = false;
        if (control >= 0x80) {
            if (need_state_reset && control < 0xa0)
                return -EINVAL;
            need_state_reset = false;
            err = compressed_chunk(s, control, in, in_len, pos, out, out_max, out_pos);
        } else if (control <= 2) {
            if (control == 1)
                s->dict_start = *out_pos;
            err = stored_chunk(in, in_len, pos, out, out_max, out_pos);
        } else {
            return -EINVAL;
        }
        if (err)
            return err;
    }
}
