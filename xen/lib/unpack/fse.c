/* Zstandard's entropy coding (fse.h). SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/unpack/fse.h"

#define FSE_MIN_LOG    5
#define WEIGHT_MAX_LOG 6
#define HUF_DIRECT     127 /* header bytes above: weights of 4 bits each */

static unsigned int highest_bit(uint32_t v)
{
    return 31 - (unsigned int)__builtin_clz(v);
}

int bits_open(struct bits *b, const uint8_t *p, size_t bytes)
{
    if (!bytes || !p[bytes - 1])
        return -EINVAL;
    *b = (struct bits){p, bytes, (bytes - 1) * 8 + highest_bit(p[bytes - 1]), false};
    return 0;
}

int fse_make(struct fse *t, const int16_t *freq, unsigned int symbols, unsigned int log)
{
    unsigned int size = 1u << log, high = size, pos = 0;
    unsigned int step = (size >> 1) + (size >> 3) + 3;
    uint16_t next[FSE_MAX_SYMBOLS];

    t->log = log;
    t->valid = true;
    for (unsigned int s = 0; s < symbols; s++) {
        next[s] = freq[s] < 0 ? 1 : (uint16_t)freq[s];
        if (freq[s] < 0)
            t->entry[--high].symbol = (uint8_t)s;
    }
    for (unsigned int s = 0; s < symbols; s++) {
        for (int i = 0; i < freq[s]; i++) {
            t->entry[pos].symbol = (uint8_t)s;
            do
                pos = (pos + step) & (size - 1);
            while (pos >= high);
        }
    }
    if (pos)
        return -EINVAL;
    for (unsigned int i = 0; i < size; i++) {
        uint16_t n = next[t->entry[i].symbol]++;

        t->entry[i].bits = (uint8_t)(log - highest_bit(n));
        t->entry[i].base = (uint16_t)((n << t->entry[i].bits) - size);
    }
    return 0;
}

void fse_make_rle(struct fse *t, uint8_t symbol)
{
    t->log = 0;
    t->valid = true;
    t->entry[0] = (struct fse_entry){0, symbol, 0};
}

/* Bits in the order of a stream that is read forwards. */
struct forward {
    const uint8_t *p;
    size_t bits, pos;
};

static uint32_t forward_read(struct forward *f, unsigned int n)
{
    uint32_t v = 0;

    for (unsigned int i = 0; i < n; i++, f->pos++) {
        if (f->pos < f->bits)
            v |= (uint32_t)(f->p[f->pos >> 3] >> (f->pos & 7) & 1) << i;
    }
    return v;
}

/* One probability: a value of a range that shrinks; small values take a bit less. */
static int read_probability(struct forward *f, int remaining)
{
    unsigned int bits = highest_bit((uint32_t)remaining + 1) + 1;
    uint32_t val = forward_read(f, bits), mask = (1u << (bits - 1)) - 1;
    uint32_t threshold = (1u << bits) - 1 - ((uint32_t)remaining + 1);

    if ((val & mask) < threshold) {
        f->pos--;
        val &= mask;
    } else if (val > mask) {
        val -= threshold;
    }
    return (int)val - 1;
}

/* RFC 8878, 4.1.1. */
int fse_read(struct fse *t, const uint8_t *in, size_t in_len, size_t *pos,
             unsigned int max_symbols, unsigned int max_log)
{
    struct forward f = {in + *pos, (in_len - *pos) * 8, 0};
    unsigned int log = forward_read(&f, 4) + FSE_MIN_LOG, n = 0;
    int16_t freq[FSE_MAX_SYMBOLS] = {0};
    int remaining = 1 << log;

    if (log > max_log)
        return -EINVAL;
    while (remaining > 0 && n < max_symbols) {
        int p = read_probability(&f, remaining);
        unsigned int repeat = p ? 0 : 3;

        remaining -= p < 0 ? -p : p;
        freq[n++] = (int16_t)p;
        while (repeat == 3) {
            repeat = forward_read(&f, 2);
            n += repeat; /* their probability is 0 */
            if (n > max_symbols || f.pos > f.bits)
                return -EINVAL;
        }
    }
    if (remaining || f.pos > f.bits)
        return -EINVAL;
    *pos += (f.pos + 7) / 8;
    return fse_make(t, freq, n, log);
}

/* Weights compressed with FSE: two states take turns, RFC 8878, 4.2.1.2. */
static int read_fse_weights(const uint8_t *in, size_t in_len, uint8_t *weights)
{
    struct fse t;
    struct bits b;
    size_t pos = 0;
    uint32_t state[2];
    unsigned int n = 0, turn = 0;
    int err = fse_read(&t, in, in_len, &pos, 12 + 1, WEIGHT_MAX_LOG);

    if (!err)
        err = bits_open(&b, in + pos, in_len - pos);
    if (err)
        return err;
    state[0] = bits_read(&b, t.log);
    state[1] = bits_read(&b, t.log);
    if (b.overrun)
        return -EINVAL;
    while (n < HUF_MAX_SYMBOLS - 2) {
        const struct fse_entry *e = &t.entry[state[turn]];

        weights[n++] = e->symbol;
        if (e->bits > b.left) { /* the other state still holds a last symbol */
            weights[n++] = t.entry[state[turn ^ 1]].symbol;
            return (int)n;
        }
        state[turn] = e->base + bits_read(&b, e->bits);
        turn ^= 1;
    }
    return -EINVAL;
}

static int read_direct_weights(const uint8_t *in, size_t in_len, unsigned int n,
                               uint8_t *weights)
{
    if (in_len < (n + 1) / 2)
        return -EINVAL;
    for (unsigned int i = 0; i < n; i++)
        weights[i] = i & 1 ? in[i / 2] & 15 : in[i / 2] >> 4;
    return (int)n;
}

/* Fill the table from the weights; the last one makes their sum a power of two. */
static int huf_make(struct huf *h, uint8_t *weights, unsigned int n)
{
    uint32_t sum = 0, left, at = 0;
    unsigned int bits;

    for (unsigned int i = 0; i < n; i++) {
        if (weights[i] > HUF_MAX_BITS)
            return -EINVAL;
        sum += weights[i] ? 1u << (weights[i] - 1) : 0;
    }
    if (!sum)
        return -EINVAL;
    bits = highest_bit(sum) + 1;
    left = (1u << bits) - sum;
    if (bits > HUF_MAX_BITS || (left & (left - 1)))
        return -EINVAL;
    weights[n++] = (uint8_t)(highest_bit(left) + 1);
    for (unsigned int w = 1; w <= bits; w++) {
        for (unsigned int s = 0; s < n; s++) {
            if (weights[s] != w)
                continue;
            for (uint32_t i = 0; i < 1u << (w - 1); i++, at++) {
                h->entry[at].symbol = (uint8_t)s;
                h->entry[at].bits = (uint8_t)(bits + 1 - w);
            }
        }
    }
    h->bits = bits;
    return 0;
}

int huf_read(struct huf *h, const uint8_t *in, size_t in_len, size_t *pos)
{
    uint8_t weights[HUF_MAX_SYMBOLS];
    size_t bytes;
    uint8_t head;
    int n;

    h->bits = 0;
    if (*pos >= in_len)
        return -EINVAL;
    head = in[(*pos)++];
    bytes = head > HUF_DIRECT ? (head - HUF_DIRECT + 1u) / 2 : head;
    if (bytes > in_len - *pos)
        return -EINVAL;
    n = head > HUF_DIRECT
            ? read_direct_weights(in + *pos, bytes, head - HUF_DIRECT + 0u, weights)
            : read_fse_weights(in + *pos, bytes, weights);
    *pos += bytes;
    return n < 0 ? n : huf_make(h, weights, (unsigned int)n);
}

int huf_decode(const struct huf *h, const uint8_t *in, size_t in_len, uint8_t *out,
               size_t n)
{
    struct bits b;

    if (bits_open(&b, in, in_len))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        uint32_t index, used;

        if (b.left >= h->bits)
            index = bits_peek_at(&b, b.left - h->bits, h->bits);
        else
            index = b.left
                        ? bits_peek_at(&b, 0, (unsigned int)b.left) << (h->bits - b.left)
                        : 0;
        used = h->entry[index].bits;
        if (used > b.left)
            return -EINVAL;
        b.left -= used;
        out[i] = h->entry[index].symbol;
    }
    return b.left ? -EINVAL : 0;
}
