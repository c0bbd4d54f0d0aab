/* Zstandard's entropy coding: bit streams read backwards, FSE tables, Huffman tables.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RFC 8878, section 4.
 */
#ifndef CORBEL_LIB_UNPACK_FSE_H
#define CORBEL_LIB_UNPACK_FSE_H

#include "lib/unpack/internal.h"

#define FSE_MAX_LOG     9
#define FSE_MAX_SYMBOLS 53
#define HUF_MAX_BITS    11
#define HUF_MAX_SYMBOLS 256

/* A bit stream whose last byte is read first; its highest set bit marks the end. */
struct bits {
    const uint8_t *start;
    size_t bytes;
    size_t left;  /* bits not read yet */
    bool overrun; /* more was read than there is; zeros came */
};
int bits_open(struct bits *b, const uint8_t *p, size_t bytes);

/* n <= 32 */
static always_inline uint32_t bits_peek_at(const struct bits *b, size_t pos,
                                           unsigned int n)
{
    size_t byte = pos >> 3;
    uint64_t w = 0;

    if (likely(byte + 8 <= b->bytes))
        __builtin_memcpy(&w, b->start + byte, 8);
    else
        __builtin_memcpy(&w, b->start + byte, b->bytes - byte);
    return (uint32_t)(w >> (pos & 7) & ((1ull << n) - 1));
}

static always_inline uint32_t bits_read(struct bits *b, unsigned int n)
{
    uint32_t v;

    if (unlikely(n > b->left)) {
        v = b->left ? bits_peek_at(b, 0, (unsigned int)b->left) << (n - b->left) : 0;
        b->left = 0;
        b->overrun = true;
        return v;
    }
    b->left -= n;
    return n ? bits_peek_at(b, b->left, n) : 0;
}

struct fse_entry {
    uint16_t base; /* of the next state */
    uint8_t symbol, bits;
};
struct fse {
    unsigned int log;
    bool valid;
    struct fse_entry entry[1 << FSE_MAX_LOG];
};
/* From a distribution (-1: less than one) of `symbols` entries. */
int fse_make(struct fse *t, const int16_t *freq, unsigned int symbols, unsigned int log);
/* One symbol, always. */
void fse_make_rle(struct fse *t, uint8_t symbol);
/* From the compressed form at in[*pos]; *pos moves behind it. */
int fse_read(struct fse *t, const uint8_t *in, size_t in_len, size_t *pos,
             unsigned int max_symbols, unsigned int max_log);

struct huf {
    unsigned int bits; /* 0: no table */
    struct {
        uint8_t symbol, bits;
    } entry[1 << HUF_MAX_BITS];
};
/* The tree's description at in[*pos]. */
int huf_read(struct huf *h, const uint8_t *in, size_t in_len, size_t *pos);
/* Decode exactly n symbols, which must use up the stream. */
int huf_decode(const struct huf *h, const uint8_t *in, size_t in_len, uint8_t *out,
               size_t n);

#endif
