/* The decompressors behind unpack(). SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_UNPACK_INTERNAL_H
#define CORBEL_LIB_UNPACK_INTERNAL_H

#include "lib/unpack/unpack.h"
#include "lib/errno.h"
#include "lib/string.h"

#define always_inline inline __attribute__((always_inline))

/* Each: the whole of `in`, from its magic on; as unpack(). */
int unpack_xz(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
              size_t *out_len);
int unpack_gzip(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
                size_t *out_len);
int unpack_lz4(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
               size_t *out_len);
int unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
                size_t *out_len);

/* Raw LZMA2 data from in[*pos] on, appended at out[*out_pos]; both are moved. `state` is
 * memory of lzma2_state_size() bytes. */
int lzma2_decode(void *state, const uint8_t *in, size_t in_len, size_t *pos, uint8_t *out,
                 size_t out_max, size_t *out_pos);
size_t lzma2_state_size(void);

/* CRCs of the xz and gzip formats, reflected; start with 0, feed pieces in turn. */
uint32_t crc32(uint32_t crc, const uint8_t *p, size_t n);
uint64_t crc64(uint64_t crc, const uint8_t *p, size_t n);
/* XXH32 of lz4 frames, XXH64 of zstd frames, seed 0. */
uint32_t xxh32(const uint8_t *p, size_t n);
uint64_t xxh64(const uint8_t *p, size_t n);

static inline uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* Copy a match of `len` bytes from `dist` behind; ranges may overlap, all checked before.
 * A short distance is a pattern: once it has filled eight bytes, words can be copied from
 * a multiple of it. */
static always_inline void copy_match(uint8_t *out, size_t dist, size_t len)
{
    const uint8_t *from = out - dist;

    if (dist < 8 && len > 16) {
        for (int i = 0; i < 8; i++)
            *out++ = *from++;
        len -= 8;
        from = out - dist * ((7 + dist) / dist);
        dist = 8;
    }
    if (dist >= 8) {
        for (; len >= 8; len -= 8, out += 8, from += 8)
            __builtin_memcpy(out, from, 8);
    }
    while (len--)
        *out++ = *from++;
}

#endif
