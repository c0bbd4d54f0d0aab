/* LZ4: the block format in frames (lz4_Frame_format 1.6.3) and in the legacy container
 * that Linux uses for kernels. SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/unpack/internal.h"

#define FRAME_MAGIC  0x184d2204u
#define LEGACY_MAGIC 0x184c2102u
#define LEGACY_BLOCK (8u << 20)
#define BLOCK_STORED BIT(31)
#define MIN_MATCH    4

#define FLG_DICT_ID      0x01
#define FLG_RESERVED     0x02
#define FLG_CONTENT_SUM  0x04
#define FLG_CONTENT_SIZE 0x08
#define FLG_BLOCK_SUM    0x10
#define FLG_INDEPENDENT  0x20

/* A length that goes on in bytes of 255. */
static int more_length(const uint8_t **in, const uint8_t *end, size_t *len)
{
    uint8_t b;

    do {
        if (*in == end)
            return -EINVAL;
        b = *(*in)++;
        *len += b;
    } while (b == 255);
    return 0;
}

/* One block, appended at *pos; matches reach back to `start`. */
static int block(const uint8_t *in, size_t in_len, uint8_t *out, size_t start, size_t max,
                 size_t *pos)
{
    const uint8_t *end = in + in_len;

    while (in < end) {
        uint8_t token = *in++;
        size_t len = token >> 4, dist;

        if (len == 15 && more_length(&in, end, &len))
            return -EINVAL;
        if (len > (size_t)(end - in))
            return -EINVAL;
        if (len > max - *pos)
            return -ENOSPC;
        memcpy(out + *pos, in, len);
        in += len;
        *pos += len;
        if (in == end) /* the last sequence has no match */
            return 0;
        if (end - in < 2)
            return -EINVAL;
        dist = get16(in);
        in += 2;
        len = token & 15;
        if (len == 15 && more_length(&in, end, &len))
            return -EINVAL;
        len += MIN_MATCH;
        if (!dist || dist > *pos - start)
            return -EINVAL;
        if (len > max - *pos)
            return -ENOSPC;
        copy_match(out + *pos, dist, len);
        *pos += len;
    }
    return in_len ? -EINVAL : 0; /* ended with a match */
}

/* Blocks of 8 MiB (the last one less), each with its packed size in front, to the end of
 * the input. A kernel's payload has four more bytes there: the unpacked size. */
static int legacy(const uint8_t *in, size_t in_len, uint8_t *out, size_t max, size_t *pos)
{
    size_t at = 4;

    while (in_len - at >= 4) {
        uint32_t bytes = get32(in + at);
        size_t start = *pos;
        int err;

        if (in_len - at == 4 && *pos && bytes == (uint32_t)*pos)
            return 0;
        if (bytes == LEGACY_MAGIC) { /* another stream */
            at += 4;
            continue;
        }
        at += 4;
        if (bytes > in_len - at)
            return -EINVAL;
        err = block(in + at, bytes, out, start, min(max, start + LEGACY_BLOCK), pos);
        if (err)
            return err == -ENOSPC && max - start > LEGACY_BLOCK ? -EINVAL : err;
        at += bytes;
    }
    return at == in_len ? 0 : -EINVAL;
}

/* Frame descriptor; *at moves behind it. */
static int frame_header(const uint8_t *in, size_t in_len, size_t *at, uint8_t *flags,
                        size_t *block_max)
{
    size_t start = *at, bytes = 2;
    uint8_t flg, bd;

    if (in_len - start < 3)
        return -EINVAL;
    flg = in[start];
    bd = in[start + 1];
    if (flg >> 6 != 1 || (flg & FLG_RESERVED) || (bd & 0x8f) || (bd >> 4) < 4)
        return -EINVAL;
    if (flg & FLG_DICT_ID)
        return -EOPNOTSUPP;
    bytes += flg & FLG_CONTENT_SIZE ? 8 : 0;
    if (in_len - start < bytes + 1 ||
        in[start + bytes] != (xxh32(in + start, bytes) >> 8 & 0xff))
        return -EINVAL;
    *block_max = 1ull << (8 + 2 * (bd >> 4));
    *flags = flg;
    *at = start + bytes + 1;
    return 0;
}

static int frame(const uint8_t *in, size_t in_len, size_t *at, uint8_t *out, size_t max,
                 size_t *pos)
{
    size_t frame_start = *pos, block_max;
    uint8_t flags;
    int err = frame_header(in, in_len, at, &flags, &block_max);

    while (!err) {
        size_t start = *pos, bytes, sum = flags & FLG_BLOCK_SUM ? 4 : 0;
        uint32_t head;

        if (in_len - *at < 4)
            return -EINVAL;
        head = get32(in + *at);
        *at += 4;
        if (!head)
            break;
        bytes = head & ~(uint32_t)BLOCK_STORED;
        if (bytes > block_max || in_len - *at < bytes + sum)
            return -EINVAL;
        if (sum && get32(in + *at + bytes) != xxh32(in + *at, bytes))
            return -EINVAL;
        if (!(head & BLOCK_STORED)) {
            err = block(in + *at, bytes, out,
                        flags & FLG_INDEPENDENT ? start : frame_start, max, pos);
        } else if (bytes > max - *pos) {
            err = -ENOSPC;
        } else {
            memcpy(out + *pos, in + *at, bytes);
            *pos += bytes;
        }
        *at += bytes + sum;
    }
    if (!err && (flags & FLG_CONTENT_SUM)) {
        if (in_len - *at < 4 ||
            get32(in + *at) != xxh32(out + frame_start, *pos - frame_start))
            return -EINVAL;
        *at += 4;
    }
    return err;
}

int unpack_lz4(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
               size_t *out_len)
{
    size_t at = 0, pos = 0;
    int err = 0;

    if (get32(in) == LEGACY_MAGIC)
        err = legacy(in, in_len, out, out_max, &pos);
    else {
        while (!err && in_len - at >= 4 && get32(in + at) == FRAME_MAGIC) {
            at += 4;
            err = frame(in, in_len, &at, out, out_max, &pos);
        }
    }
    *out_len = pos;
    return err;
}
