/* Checksums of compressed formats: CRC-32, CRC-64, XXH32, XXH64.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The CRCs work on eight bytes at a time, with eight tables each that are made when first
 * needed; CRC-32, which is that of a kernel, with four larger ones if there is much to
 * do. xxHash: specification 0.1.1, xxhash.com.
 */
#include "lib/unpack/internal.h"
#include "mm/frame.h"

#define CRC32_POLY 0xedb88320u
#define CRC64_POLY 0xc96c5795d7870f42ull
#define SLICES     8
#define WIDE_FROM  (4u << 20) /* bytes from which tables of 16 bits pay */
#define WIDE_SIZE  65536

static uint32_t table32[SLICES][256];
static uint64_t table64[SLICES][256];

static void make_table32(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? CRC32_POLY : 0);
        table32[0][i] = c;
    }
    for (int s = 1; s < SLICES; s++) {
        for (int i = 0; i < 256; i++)
            table32[s][i] = table32[s - 1][i] >> 8 ^ table32[0][table32[s - 1][i] & 0xff];
    }
}

static void make_table64(void)
{
    for (uint64_t i = 0; i < 256; i++) {
        uint64_t c = i;

        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? CRC64_POLY : 0);
        table64[0][i] = c;
    }
    for (int s = 1; s < SLICES; s++) {
        for (int i = 0; i < 256; i++)
            table64[s][i] = table64[s - 1][i] >> 8 ^ table64[0][table64[s - 1][i] & 0xff];
    }
}

/* Eight bytes in four look-ups. `c` is the CRC without the final inversion. */
static uint32_t crc32_wide(uint32_t c, const uint8_t *p, size_t words,
                           uint32_t *const t[4])
{
    for (; words; words--, p += 8) {
        uint64_t w;

        __builtin_memcpy(&w, p, 8);
        w ^= c;
        c = t[0][w & 0xffff] ^ t[1][w >> 16 & 0xffff] ^ t[2][w >> 32 & 0xffff] ^
            t[3][w >> 48];
    }
    return c;
}

/* With tables for pairs of bytes, if there is memory for them; returns the bytes done. */
static size_t crc32_large(uint32_t *c, const uint8_t *p, size_t n)
{
    uint32_t *t[4] = {NULL};
    size_t done = 0;
    int k;

    for (k = 0; k < 4; k++) {
        t[k] = zalloc(WIDE_SIZE * sizeof(uint32_t));
        if (!t[k])
            goto out;
        for (uint32_t i = 0; i < WIDE_SIZE; i++)
            t[k][i] = table32[7 - 2 * k][i & 0xff] ^ table32[6 - 2 * k][i >> 8];
    }
    *c = crc32_wide(*c, p, n / 8, t);
    done = n & ~(size_t)7;
out:
    for (k = 0; k < 4; k++)
        zfree(t[k]);
    return done;
}

uint32_t crc32(uint32_t crc, const uint8_t *p, size_t n)
{
    uint32_t c = ~crc;
    size_t done;

    if (!table32[0][1])
        make_table32();
    if (n >= WIDE_FROM) {
        done = crc32_large(&c, p, n);
        p += done;
        n -= done;
    }
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;

        __builtin_memcpy(&w, p, 8);
        w ^= c;
        c = table32[7][w & 0xff] ^ table32[6][w >> 8 & 0xff] ^
            table32[5][w >> 16 & 0xff] ^ table32[4][w >> 24 & 0xff] ^
            table32[3][w >> 32 & 0xff] ^ table32[2][w >> 40 & 0xff] ^
            table32[1][w >> 48 & 0xff] ^ table32[0][w >> 56];
    }
    while (n--)
        c = c >> 8 ^ table32[0][(c ^ *p++) & 0xff];
    return ~c;
}

uint64_t crc64(uint64_t crc, const uint8_t *p, size_t n)
{
    uint64_t c = ~crc;

    if (!table64[0][1])
        make_table64();
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;

        __builtin_memcpy(&w, p, 8);
        w ^= c;
        c = table64[7][w & 0xff] ^ table64[6][w >> 8 & 0xff] ^
            table64[5][w >> 16 & 0xff] ^ table64[4][w >> 24 & 0xff] ^
            table64[3][w >> 32 & 0xff] ^ table64[2][w >> 40 & 0xff] ^
            table64[1][w >> 48 & 0xff] ^ table64[0][w >> 56];
    }
    while (n--)
        c = c >> 8 ^ table64[0][(c ^ *p++) & 0xff];
    return ~c;
}

#define P32_1 2654435761u
#define P32_2 2246822519u
#define P32_3 3266489917u
#define P32_4 668265263u
#define P32_5 374761393u

static uint32_t rotl32(uint32_t v, int n)
{
    return v << n | v >> (32 - n);
}

static uint32_t round32(uint32_t acc, const uint8_t *p)
{
    return rotl32(acc + get32(p) * P32_2, 13) * P32_1;
}

uint32_t xxh32(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    uint32_t h = P32_5;

    if (n >= 16) {
        uint32_t a = P32_1 + P32_2, b = P32_2, c = 0, d = 0u - P32_1;

        for (; end - p >= 16; p += 16) {
            a = round32(a, p);
            b = round32(b, p + 4);
            c = round32(c, p + 8);
            d = round32(d, p + 12);
        }
        h = rotl32(a, 1) + rotl32(b, 7) + rotl32(c, 12) + rotl32(d, 18);
    }
    h += (uint32_t)n;
    for (; end - p >= 4; p += 4)
        h = rotl32(h + get32(p) * P32_3, 17) * P32_4;
    for (; p < end; p++)
        h = rotl32(h + *p * P32_5, 11) * P32_1;
    h = (h ^ h >> 15) * P32_2;
    h = (h ^ h >> 13) * P32_3;
    return h ^ h >> 16;
}

#define P64_1 11400714785074694791ull
#define P64_2 14029467366897019727ull
#define P64_3 1609587929392839161ull
#define P64_4 9650029242287828579ull
#define P64_5 2870177450012600261ull

static uint64_t rotl64(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

static uint64_t round64(uint64_t acc, uint64_t v)
{
    return rotl64(acc + v * P64_2, 31) * P64_1;
}

static uint64_t merge64(uint64_t h, uint64_t acc)
{
    return (h ^ round64(0, acc)) * P64_1 + P64_4;
}

uint64_t xxh64(const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    uint64_t h = P64_5;

    if (n >= 32) {
        uint64_t a = P64_1 + P64_2, b = P64_2, c = 0, d = 0ull - P64_1;

        for (; end - p >= 32; p += 32) {
            a = round64(a, get64(p));
            b = round64(b, get64(p + 8));
            c = round64(c, get64(p + 16));
            d = round64(d, get64(p + 24));
        }
        h = rotl64(a, 1) + rotl64(b, 7) + rotl64(c, 12) + rotl64(d, 18);
        h = merge64(merge64(merge64(merge64(h, a), b), c), d);
    }
    h += n;
    for (; end - p >= 8; p += 8)
        h = rotl64(h ^ round64(0, get64(p)), 27) * P64_1 + P64_4;
    if (end - p >= 4) {
        h = rotl64(h ^ get32(p) * P64_1, 23) * P64_2 + P64_3;
        p += 4;
    }
    for (; p < end; p++)
        h = rotl64(h ^ *p * P64_5, 11) * P64_1;
    h = (h ^ h >> 33) * P64_2;
    h = (h ^ h >> 29) * P64_3;
    return h ^ h >> 32;
}
