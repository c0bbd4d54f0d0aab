/* LZMA2 as xz carries it. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The LZMA specification (Igor Pavlov, public domain text) and the xz file format 1.1.0,
 * 5.3.1. The output buffer is the dictionary, so there is no copy of it and no limit but
 * the buffer. The range coder's state is a local struct that lives in registers; input
 * that ends too early gives zeros and is found out after the symbol.
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
#define END_MARKER  UINT32_MAX

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
    const uint8_t *in, *end;
    bool overrun;
};

size_t lzma2_state_size(void)
{
    return sizeof(struct lzma);
}

static always_inline void rc_normalize(struct rc *rc)
{
    if (rc->range >= TOP)
        return;
    rc->range <<= 8;
    rc->code <<= 8;
    if (likely(rc->in < rc->end))
        rc->code |= *rc->in++;
    else
        rc->overrun = true;
}

static always_inline unsigned int rc_bit(struct rc *rc, prob_t *p)
{
    uint32_t prob = *p, bound;

    rc_normalize(rc);
    bound = (rc->range >> PROB_BITS) * prob;
    if (rc->code < bound) {
        rc->range = bound;
        *p = (prob_t)(prob + (((1u << PROB_BITS) - prob) >> MOVE_BITS));
        return 0;
    }
    rc->range -= bound;
    rc->code -= bound;
    *p = (prob_t)(prob - (prob >> MOVE_BITS));
    return 1;
}

/* A bit of a tree: the node's number grows by the bit. */
static always_inline void rc_tree_bit(struct rc *rc, prob_t *probs, uint32_t *node)
{
    prob_t *p = &probs[*node];
    uint32_t prob = *p, bound;

    rc_normalize(rc);
    bound = (rc->range >> PROB_BITS) * prob;
    *node <<= 1;
    if (rc->code < bound) {
        rc->range = bound;
        *p = (prob_t)(prob + (((1u << PROB_BITS) - prob) >> MOVE_BITS));
    } else {
        rc->range -= bound;
        rc->code -= bound;
        *p = (prob_t)(prob - (prob >> MOVE_BITS));
        *node += 1;
    }
}

static always_inline uint32_t rc_tree(struct rc *rc, prob_t *probs, uint32_t limit)
{
    uint32_t node = 1;

    do
        rc_tree_bit(rc, probs, &node);
    while (node < limit);
    return node - limit;
}

static always_inline uint32_t rc_tree_reverse(struct rc *rc, prob_t *probs,
                                              unsigned int bits)
{
    uint32_t node = 1, value = 0;

    for (unsigned int i = 0; i < bits; i++) {
        unsigned int bit = rc_bit(rc, &probs[node]);

        node = node << 1 | bit;
        value |= bit << i;
    }
    return value;
}

/* Bits with equal probabilities. */
static always_inline uint32_t rc_direct(struct rc *rc, unsigned int bits)
{
    uint32_t value = 0;

    while (bits--) {
        uint32_t mask;

        rc_normalize(rc);
        rc->range >>= 1;
        rc->code -= rc->range;
        mask = 0 - (rc->code >> 31); /* all ones: it went below zero, a 0 bit */
        rc->code += rc->range & mask;
        value = (value << 1) + mask + 1;
    }
    return value;
}

static uint32_t decode_len(struct rc *outer, struct len_probs *l, unsigned int pos_state)
{
    struct rc rc = *outer;
    uint32_t len;

    if (!rc_bit(&rc, &l->choice))
        len = rc_tree(&rc, l->low[pos_state], 8);
    else if (!rc_bit(&rc, &l->choice2))
        len = 8 + rc_tree(&rc, l->mid[pos_state], 8);
    else
        len = 16 + rc_tree(&rc, l->high, 256);
    *outer = rc;
    return len + LEN_MIN;
}

/* Distance - 1 of a match. */
static uint32_t decode_dist(struct rc *outer, struct lzma *s, uint32_t len)
{
    struct rc rc = *outer;
    uint32_t slot = rc_tree(&rc, s->slot[min(len - LEN_MIN, DIST_STATES - 1u)], 64);
    uint32_t dist = slot;
    unsigned int bits;

    if (slot >= 4) {
        bits = (slot >> 1) - 1;
        dist = (2 | (slot & 1)) << bits;
        if (slot < 14) {
            dist += rc_tree_reverse(&rc, s->special + dist - slot, bits);
        } else {
            dist += rc_direct(&rc, bits - 4) << 4;
            dist += rc_tree_reverse(&rc, s->align, 4);
        }
    }
    *outer = rc;
    return dist;
}

/* After a match, the byte at the last distance helps to predict the literal. */
static uint8_t decode_literal_matched(struct rc *outer, prob_t *probs, uint32_t match)
{
    struct rc rc = *outer;
    uint32_t node = 1, offset = 0x100;

    do {
        uint32_t bit;

        match <<= 1;
        bit = match & offset;
        if (rc_bit(&rc, &probs[offset + bit + node])) {
            node = node << 1 | 1;
            offset &= bit;
        } else {
            node <<= 1;
            offset &= ~bit;
        }
    } while (node < 0x100);
    *outer = rc;
    return (uint8_t)node;
}

/* The distance of a repeated match moves to the front. Returns the length. */
static uint32_t decode_rep(struct rc *rc, struct lzma *s, unsigned int pos_state)
{
    uint32_t state = s->state, dist;

    if (!rc_bit(rc, &s->is_rep0[state])) {
        if (!rc_bit(rc, &s->is_rep0_long[state][pos_state])) {
            s->state = state < LIT_STATES ? 9 : 11;
            return 1;
        }
    } else {
        if (!rc_bit(rc, &s->is_rep1[state])) {
            dist = s->rep[1];
        } else {
            if (!rc_bit(rc, &s->is_rep2[state])) {
                dist = s->rep[2];
            } else {
                dist = s->rep[3];
                s->rep[3] = s->rep[2];
            }
            s->rep[2] = s->rep[1];
        }
        s->rep[1] = s->rep[0];
        s->rep[0] = dist;
    }
    s->state = state < LIT_STATES ? 8 : 11;
    return decode_len(rc, &s->rep_len, pos_state);
}

static uint32_t decode_match(struct rc *rc, struct lzma *s, unsigned int pos_state)
{
    uint32_t len;

    s->rep[3] = s->rep[2];
    s->rep[2] = s->rep[1];
    s->rep[1] = s->rep[0];
    s->state = s->state < LIT_STATES ? 7 : 10;
    len = decode_len(rc, &s->match_len, pos_state);
    s->rep[0] = decode_dist(rc, s, len);
    return len;
}

/* One LZMA chunk: out[pos .. limit). */
static int lzma_chunk(struct lzma *s, const uint8_t *in, const uint8_t *in_end,
                      uint8_t *out, size_t pos, size_t limit)
{
    struct rc rc = {UINT32_MAX, 0, in, in_end, false};

    if (in_end - in < 5 || in[0])
        return -EINVAL;
    rc.code =
        (uint32_t)in[1] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 8 | in[4];
    rc.in += 5;
    while (pos < limit) {
        size_t rel = pos - s->dict_start;
        unsigned int pos_state = rel & s->pb_mask;
        uint32_t len;

        if (!rc_bit(&rc, &s->is_match[s->state][pos_state])) {
            uint32_t prev = rel ? out[pos - 1] : 0;
            prob_t *probs = s->literal + LIT_SIZE * (((rel & s->lp_mask) << s->lc) +
                                                     (prev >> (8 - s->lc)));

            if (s->state < LIT_STATES) {
                out[pos++] = (uint8_t)rc_tree(&rc, probs, 0x100);
                s->state = s->state <= 3 ? 0 : s->state - 3;
            } else {
                if (s->rep[0] >= rel)
                    return -EINVAL;
                out[pos] = decode_literal_matched(&rc, probs, out[pos - s->rep[0] - 1]);
                pos++;
                s->state = s->state <= 9 ? s->state - 3 : s->state - 6;
            }
            continue;
        }
        len = rc_bit(&rc, &s->is_rep[s->state]) ? decode_rep(&rc, s, pos_state)
                                                : decode_match(&rc, s, pos_state);
        if (s->rep[0] >= rel || len > limit - pos || rc.overrun)
            return -EINVAL;
        copy_match(out + pos, (size_t)s->rep[0] + 1, len);
        pos += len;
    }
    rc_normalize(&rc);
    return rc.overrun || rc.in != rc.end || rc.code ? -EINVAL : 0;
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
    err =
        lzma_chunk(s, in + *pos, in + *pos + packed, out, *out_pos, *out_pos + unpacked);
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
