/* The xz container: streams of blocks, LZMA2 with or without the x86 branch filter.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * xz file format 1.1.0. The index behind the blocks is not read: the decoded data has its
 * own check. Other filters than x86 and LZMA2 are not handled, nor is SHA-256 verified.
 */
#include "lib/unpack/internal.h"
#include "mm/frame.h"

#define STREAM_HEADER 12
#define FILTER_X86    0x04
#define FILTER_LZMA2  0x21

enum { CHECK_NONE = 0, CHECK_CRC32 = 1, CHECK_CRC64 = 4, CHECK_SHA256 = 10 };

struct block {
    bool x86;
    uint64_t packed, unpacked; /* ~0: not told */
};

/* Bytes of a check, by its id: format 2.1.1.2. */
static size_t check_bytes(unsigned int id)
{
    static const uint8_t bytes[16] = {0,  4,  4,  4,  8,  8,  8,  16,
                                      16, 16, 32, 32, 32, 64, 64, 64};

    return bytes[id & 15];
}

/* Variable-length integer: 7 bits a byte, the lowest first. */
static int get_vli(const uint8_t *p, size_t end, size_t *pos, uint64_t *v)
{
    *v = 0;
    for (unsigned int shift = 0; shift < 63; shift += 7) {
        uint8_t b;

        if (*pos >= end)
            return -EINVAL;
        b = p[(*pos)++];
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return 0;
    }
    return -EINVAL;
}

/* The list of filters; the last one must be LZMA2. */
static int parse_filters(const uint8_t *h, size_t end, size_t *pos, unsigned int count,
                         struct block *b)
{
    for (unsigned int i = 0; i < count; i++) {
        uint64_t id, props;

        if (get_vli(h, end, pos, &id) || get_vli(h, end, pos, &props) ||
            props > end - *pos)
            return -EINVAL;
        if (i == count - 1) {
            if (id != FILTER_LZMA2)
                return -EOPNOTSUPP;
        } else if (id == FILTER_X86 && !b->x86 &&
                   (props == 0 || (props == 4 && !get32(h + *pos)))) {
            b->x86 = true;
        } else {
            return -EOPNOTSUPP;
        }
        *pos += props;
    }
    return 0;
}

/* Block header, format 3.1; moves *pos behind it. */
static int parse_block_header(const uint8_t *in, size_t in_len, size_t *pos,
                              struct block *b)
{
    const uint8_t *h = in + *pos;
    size_t bytes = (h[0] + 1u) * 4, p = 2;
    int err;

    *b = (struct block){false, ~0ull, ~0ull};
    if (in_len - *pos < bytes || crc32(0, h, bytes - 4) != get32(h + bytes - 4))
        return -EINVAL;
    if (h[1] & 0x3c)
        return -EOPNOTSUPP;
    if ((h[1] & 0x40) && get_vli(h, bytes - 4, &p, &b->packed))
        return -EINVAL;
    if ((h[1] & 0x80) && get_vli(h, bytes - 4, &p, &b->unpacked))
        return -EINVAL;
    err = parse_filters(h, bytes - 4, &p, (h[1] & 3u) + 1, b);
    *pos += bytes;
    return err;
}

/* The first byte e8 or e9 (CALL, JMP) at or behind `i`, eight at a time; `end` if none.
 */
static always_inline size_t find_branch(const uint8_t *buf, size_t i, size_t end)
{
    const uint64_t ones = 0x0101010101010101ull;

    for (; end - i >= 8; i += 8) {
        uint64_t w;

        __builtin_memcpy(&w, buf + i, 8);
        w = (w & ~ones) ^ (0xe8 * ones); /* such bytes become zero */
        w = (w - ones) & ~w & (0x80 * ones);
        if (w)
            return i + (size_t)__builtin_ctzll(w) / 8;
    }
    while (i < end && (buf[i] & 0xfe) != 0xe8)
        i++;
    return i;
}

static bool sign_byte(uint32_t b)
{
    return (b & 0xff) == 0 || (b & 0xff) == 0xff;
}

/* Undo the x86 filter: operands of CALL and JMP were made absolute if they looked like
 * near ones, that is, their highest byte was a sign. `mask` has a bit for each of the
 * last three bytes that looked like such an opcode too but were left alone; what it says
 * of the bytes that are shared with those decides as well. */
static void x86_unfilter(uint8_t *buf, size_t bytes)
{
    static const bool mask_ok[8] = {true, true, true, false, true, false, false, false};
    static const uint8_t shared[8] = {0, 1, 2, 2, 3, 3, 3, 3};
    size_t end = bytes > 4 ? bytes - 4 : 0, i = 0, prev = (size_t)-1;
    uint32_t mask = 0;

    for (; (i = find_branch(buf, i, end)) < end; i++) {
        uint32_t src, dest;

        mask = i - prev > 3 ? 0 : (mask << (i - prev - 1)) & 7;
        prev = i;
        if ((mask && (!mask_ok[mask] || sign_byte(buf[i + 4 - shared[mask]]))) ||
            !sign_byte(buf[i + 4])) {
            mask = mask << 1 | 1;
            continue;
        }
        src = get32(buf + i + 1);
        dest = src - (uint32_t)(i + 5);
        while (mask && sign_byte(dest >> (24 - shared[mask] * 8u))) {
            src = dest ^ ((1u << (32 - shared[mask] * 8u)) - 1);
            dest = src - (uint32_t)(i + 5);
        }
        dest &= 0x01ffffff;
        dest |= 0 - (dest & 0x01000000);
        __builtin_memcpy(buf + i + 1, &dest, 4);
        i += 4;
    }
}

static int verify(unsigned int check, const uint8_t *sum, const uint8_t *data,
                  size_t bytes)
{
    if (check == CHECK_CRC32)
        return crc32(0, data, bytes) == get32(sum) ? 0 : -EINVAL;
    if (check == CHECK_CRC64)
        return crc64(0, data, bytes) == get64(sum) ? 0 : -EINVAL;
    return 0;
}

static int decode_block(void *state, unsigned int check, const uint8_t *in, size_t in_len,
                        size_t *pos, uint8_t *out, size_t out_max, size_t *out_pos)
{
    struct block b;
    size_t start, out_start = *out_pos;
    int err = parse_block_header(in, in_len, pos, &b);

    if (err)
        return err;
    start = *pos;
    err = lzma2_decode(state, in, in_len, pos, out, out_max, out_pos);
    if (err)
        return err;
    if ((b.packed != ~0ull && b.packed != *pos - start) ||
        (b.unpacked != ~0ull && b.unpacked != *out_pos - out_start))
        return -EINVAL;
    while ((*pos - start) % 4) {
        if (*pos >= in_len || in[(*pos)++])
            return -EINVAL;
    }
    if (in_len - *pos < check_bytes(check))
        return -EINVAL;
    if (b.x86)
        x86_unfilter(out + out_start, *out_pos - out_start);
    err = verify(check, in + *pos, out + out_start, *out_pos - out_start);
    *pos += check_bytes(check);
    return err;
}

int unpack_xz(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
              size_t *out_len)
{
    size_t pos = STREAM_HEADER, out_pos = 0;
    unsigned int check;
    void *state;
    int err = 0;

    if (in_len < STREAM_HEADER || in[6] || (in[7] & 0xf0) ||
        crc32(0, in + 6, 2) != get32(in + 8))
        return -EINVAL;
    check = in[7];
    state = zalloc(lzma2_state_size());
    if (!state)
        return -ENOMEM;
    while (!err) {
        if (pos >= in_len) {
            err = -EINVAL;
            break;
        }
        if (in[pos] == 0) /* the index begins */
            break;
        err = decode_block(state, check, in, in_len, &pos, out, out_max, &out_pos);
    }
    zfree(state);
    *out_len = out_pos;
    return err;
}
