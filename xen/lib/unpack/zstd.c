/* Zstandard frames without dictionaries. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RFC 8878. The output buffer is the window; the limit of the window's size is not
 * enforced, that of the buffer is.
 */
#include "lib/unpack/fse.h"
#include "mm/frame.h"

#define ZSTD_MAGIC     0xfd2fb528u
#define SKIP_MAGIC     0x184d2a50u
#define SKIP_MASK      0xfffffff0u
#define BLOCK_MAX      (128u * 1024)
#define MIN_MATCH_BASE 3

enum block_type { BLOCK_RAW, BLOCK_RLE, BLOCK_COMPRESSED, BLOCK_RESERVED };
enum literals_type { LIT_RAW, LIT_RLE, LIT_COMPRESSED, LIT_TREELESS };
enum table_mode { TABLE_PREDEFINED, TABLE_RLE, TABLE_FSE, TABLE_REPEAT };
enum table_kind { TABLE_LL, TABLE_OF, TABLE_ML, TABLES };

struct zstd {
    struct huf huf;
    struct fse table[TABLES];
    uint64_t rep[3]; /* last offsets */
    uint8_t *out;
    size_t frame_start, pos, max;
    const uint8_t *lit; /* literals of the block: in the input, or in lit_buf */
    size_t lit_len;
    uint8_t lit_buf[BLOCK_MAX];
};

static const uint32_t ll_base[36] = {
    0,  1,  2,   3,   4,   5,    6,    7,    8,    9,     10,    11,
    12, 13, 14,  15,  16,  18,   20,   22,   24,   28,    32,    40,
    48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
static const uint8_t ll_bits[36] = {0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0,
                                    0, 0, 0, 0, 1, 1,  1,  1,  2,  2,  3,  3,
                                    4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint32_t ml_base[53] = {
    3,  4,   5,   6,   7,    8,    9,    10,   11,    12,    13,   14, 15, 16,
    17, 18,  19,  20,  21,   22,   23,   24,   25,    26,    27,   28, 29, 30,
    31, 32,  33,  34,  35,   37,   39,   41,   43,    47,    51,   59, 67, 83,
    99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539};
static const uint8_t ml_bits[53] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0, 0,
    0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static const int16_t ll_default[36] = {4, 3, 2, 2, 2, 2, 2, 2, 2,  2,  2,  2,
                                       2, 1, 1, 1, 2, 2, 2, 2, 2,  2,  2,  2,
                                       2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1};
static const int16_t of_default[29] = {1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
                                       1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1};
static const int16_t ml_default[53] = {
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1};

static const struct {
    const int16_t *freq;
    uint8_t symbols, default_log, max_symbols, max_log;
} kinds[TABLES] = {
    {ll_default, 36, 6, 36, 9},
    {of_default, 29, 5, 32, 8},
    {ml_default, 53, 6, 53, 9},
};

/* The four streams of a Huffman-coded literals section, or one. */
static int huffman_streams(struct zstd *z, const uint8_t *in, size_t in_len, bool four,
                           size_t n)
{
    size_t part = (n + 3) / 4, at = 6, done = 0;

    if (!four)
        return huf_decode(&z->huf, in, in_len, z->lit_buf, n);
    if (in_len < 6 || n < 6)
        return -EINVAL;
    for (int i = 0; i < 4; i++) {
        size_t bytes = i < 3 ? get16(in + 2 * i) : in_len - at;
        size_t count = i < 3 ? part : n - done;

        if (bytes > in_len - at || done + count > n ||
            huf_decode(&z->huf, in + at, bytes, z->lit_buf + done, count))
            return -EINVAL;
        at += bytes;
        done += count;
    }
    return 0;
}

/* Compressed or treeless literals, RFC 8878, 3.1.1.3.1. */
static int coded_literals(struct zstd *z, const uint8_t *in, size_t in_len, size_t *pos)
{
    static const uint8_t head_bytes[4] = {3, 3, 4, 5}, size_bits[4] = {10, 10, 14, 18};
    unsigned int type = in[*pos] & 3, format = in[*pos] >> 2 & 3;
    size_t head = head_bytes[format], n, packed, start, end;
    uint64_t v = 0, mask = (1ull << size_bits[format]) - 1;
    int err = 0;

    if (in_len - *pos < head)
        return -EINVAL;
    memcpy(&v, in + *pos, head);
    n = v >> 4 & mask;
    packed = v >> (4 + size_bits[format]) & mask;
    *pos += head;
    if (n > BLOCK_MAX || packed > in_len - *pos)
        return -EINVAL;
    start = *pos;
    end = start + packed;
    if (type == LIT_COMPRESSED)
        err = huf_read(&z->huf, in, end, &start);
    if (!err && !z->huf.bits)
        err = -EINVAL;
    if (!err)
        err = huffman_streams(z, in + start, end - start, format != 0, n);
    *pos = end;
    z->lit = z->lit_buf;
    z->lit_len = n;
    return err;
}

static int literals(struct zstd *z, const uint8_t *in, size_t in_len, size_t *pos)
{
    unsigned int type, format;
    size_t head, n;
    uint32_t v = 0;

    if (*pos >= in_len)
        return -EINVAL;
    type = in[*pos] & 3;
    format = in[*pos] >> 2 & 3;
    if (type >= LIT_COMPRESSED)
        return coded_literals(z, in, in_len, pos);
    head = format == 1 ? 2 : format == 3 ? 3 : 1;
    if (in_len - *pos < head)
        return -EINVAL;
    memcpy(&v, in + *pos, head);
    n = head == 1 ? v >> 3 : v >> 4;
    *pos += head;
    if (n > BLOCK_MAX || in_len - *pos < (type == LIT_RLE ? 1 : n))
        return -EINVAL;
    z->lit = in + *pos;
    z->lit_len = n;
    if (type == LIT_RLE) {
        memset(z->lit_buf, in[*pos], n);
        z->lit = z->lit_buf;
    }
    *pos += type == LIT_RLE ? 1 : n;
    return 0;
}

static int sequence_table(struct zstd *z, enum table_kind k, enum table_mode mode,
                          const uint8_t *in, size_t in_len, size_t *pos)
{
    struct fse *t = &z->table[k];

    switch (mode) {
    case TABLE_PREDEFINED:
        return fse_make(t, kinds[k].freq, kinds[k].symbols, kinds[k].default_log);
    case TABLE_RLE:
        if (*pos >= in_len || in[*pos] >= kinds[k].max_symbols)
            return -EINVAL;
        fse_make_rle(t, in[(*pos)++]);
        return 0;
    case TABLE_FSE:
        return fse_read(t, in, in_len, pos, kinds[k].max_symbols, kinds[k].max_log);
    default:
        return t->valid ? 0 : -EINVAL;
    }
}

/* The offset that a sequence's value means: RFC 8878, 3.1.1.5. 0: not valid. */
static uint64_t real_offset(struct zstd *z, uint64_t value, bool no_literals)
{
    uint64_t offset;
    unsigned int index;

    if (value > 3) {
        offset = value - 3;
        index = 2;
    } else {
        index = (unsigned int)value - 1 + no_literals;
        offset = index < 3 ? z->rep[index] : z->rep[0] - 1;
        index = min(index, 2u);
    }
    for (; index > 0; index--)
        z->rep[index] = z->rep[index - 1];
    z->rep[0] = offset;
    return offset;
}

/* Literals, then a match. */
static int execute(struct zstd *z, size_t ll, size_t ml, uint64_t offset)
{
    if (ll > z->lit_len)
        return -EINVAL;
    if (ll + ml > z->max - z->pos)
        return -ENOSPC;
    memcpy(z->out + z->pos, z->lit, ll);
    z->lit += ll;
    z->lit_len -= ll;
    z->pos += ll;
    if (!offset || offset > z->pos - z->frame_start)
        return -EINVAL;
    copy_match(z->out + z->pos, offset, ml);
    z->pos += ml;
    return 0;
}

static void next_state(const struct fse *t, uint32_t *state, struct bits *b)
{
    const struct fse_entry *e = &t->entry[*state];

    *state = e->base + bits_read(b, e->bits);
}

static int run_sequences(struct zstd *z, const uint8_t *in, size_t in_len, uint32_t count)
{
    const struct fse *t = z->table;
    uint32_t state[TABLES];
    struct bits b;

    if (bits_open(&b, in, in_len))
        return -EINVAL;
    for (int k = 0; k < TABLES; k++)
        state[k] = bits_read(&b, t[k].log);
    while (count--) {
        uint8_t ll_code = t[TABLE_LL].entry[state[TABLE_LL]].symbol;
        uint8_t of_code = t[TABLE_OF].entry[state[TABLE_OF]].symbol;
        uint8_t ml_code = t[TABLE_ML].entry[state[TABLE_ML]].symbol;
        uint64_t value = (1ull << of_code) + bits_read(&b, of_code);
        size_t ml = ml_base[ml_code] + bits_read(&b, ml_bits[ml_code]);
        size_t ll = ll_base[ll_code] + bits_read(&b, ll_bits[ll_code]);
        int err = b.overrun ? -EINVAL : execute(z, ll, ml, real_offset(z, value, !ll));

        if (err)
            return err;
        if (!count)
            break;
        next_state(&t[TABLE_LL], &state[TABLE_LL], &b);
        next_state(&t[TABLE_ML], &state[TABLE_ML], &b);
        next_state(&t[TABLE_OF], &state[TABLE_OF], &b);
    }
    return b.overrun || b.left ? -EINVAL : 0;
}

static int sequences(struct zstd *z, const uint8_t *in, size_t in_len, size_t pos)
{
    uint32_t count;
    uint8_t modes;
    int err = 0;

    if (pos >= in_len)
        return -EINVAL;
    count = in[pos++];
    if (!count)
        return pos == in_len ? 0 : -EINVAL;
    if (in_len - pos < (count == 255 ? 3 : count >= 128 ? 2 : 1))
        return -EINVAL;
    if (count == 255) {
        count = get16(in + pos) + 0x7f00u;
        pos += 2;
    } else if (count >= 128) {
        count = ((count - 128) << 8) + in[pos++];
    }
    modes = in[pos++];
    if (modes & 3)
        return -EINVAL;
    for (int k = 0; k < TABLES && !err; k++)
        err =
            sequence_table(z, (enum table_kind)k,
                           (enum table_mode)(modes >> (6 - 2 * k) & 3), in, in_len, &pos);
    return err ? err : run_sequences(z, in + pos, in_len - pos, count);
}

static int compressed_block(struct zstd *z, const uint8_t *in, size_t in_len)
{
    size_t pos = 0, start = z->pos;
    int err = literals(z, in, in_len, &pos);

    if (!err)
        err = sequences(z, in, in_len, pos);
    if (err)
        return err;
    if (z->lit_len > z->max - z->pos)
        return -ENOSPC;
    memcpy(z->out + z->pos, z->lit, z->lit_len); /* what no sequence used */
    z->pos += z->lit_len;
    return z->pos - start > BLOCK_MAX ? -EINVAL : 0;
}

static int block(struct zstd *z, const uint8_t *in, size_t in_len, size_t *at, bool *last)
{
    uint32_t head;
    size_t bytes, packed;

    if (in_len - *at < 3)
        return -EINVAL;
    head = in[*at] | (uint32_t)in[*at + 1] << 8 | (uint32_t)in[*at + 2] << 16;
    *at += 3;
    *last = head & 1;
    bytes = head >> 3;
    packed = (head >> 1 & 3) == BLOCK_RLE ? 1 : bytes;
    if (bytes > BLOCK_MAX || in_len - *at < packed)
        return -EINVAL;
    in += *at;
    *at += packed;
    switch (head >> 1 & 3) {
    case BLOCK_COMPRESSED:
        return compressed_block(z, in, bytes);
    case BLOCK_RESERVED:
        return -EINVAL;
    }
    if (bytes > z->max - z->pos)
        return -ENOSPC;
    if (packed == bytes)
        memcpy(z->out + z->pos, in, bytes);
    else
        memset(z->out + z->pos, in[0], bytes);
    z->pos += bytes;
    return 0;
}

/* Frame header, RFC 8878, 3.1.1.1; only what is needed of it. */
static int frame_header(const uint8_t *in, size_t in_len, size_t *at, bool *checksum)
{
    static const uint8_t dict_bytes[4] = {0, 1, 2, 4}, size_bytes[4] = {0, 2, 4, 8};
    size_t bytes = 1, dict;
    uint8_t d;
    bool single;

    if (in_len - *at < 2)
        return -EINVAL;
    d = in[*at];
    single = d >> 5 & 1;
    dict = dict_bytes[d & 3];
    if (d & 8)
        return -EOPNOTSUPP;
    bytes += !single + dict + size_bytes[d >> 6] + (single && !(d >> 6));
    if (in_len - *at < bytes)
        return -EINVAL;
    for (size_t i = 0; i < dict; i++) {
        if (in[*at + 1 + !single + i])
            return -EOPNOTSUPP;
    }
    *checksum = d >> 2 & 1;
    *at += bytes;
    return 0;
}

static int frame(struct zstd *z, const uint8_t *in, size_t in_len, size_t *at)
{
    bool checksum = false, last = false;
    int err = frame_header(in, in_len, at, &checksum);

    z->frame_start = z->pos;
    z->huf.bits = 0;
    z->rep[0] = 1;
    z->rep[1] = 4;
    z->rep[2] = 8;
    for (int k = 0; k < TABLES; k++)
        z->table[k].valid = false;
    while (!err && !last)
        err = block(z, in, in_len, at, &last);
    if (err || !checksum)
        return err;
    if (in_len - *at < 4 || get32(in + *at) != (uint32_t)xxh64(z->out + z->frame_start,
                                                               z->pos - z->frame_start))
        return -EINVAL;
    *at += 4;
    return 0;
}

int unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
                size_t *out_len)
{
    struct zstd *z = zalloc(sizeof(*z));
    size_t at = 0;
    int err = 0;

    if (!z)
        return -ENOMEM;
    z->out = out;
    z->max = out_max;
    while (!err && in_len - at >= 4) {
        uint32_t magic = get32(in + at);

        if ((magic & SKIP_MASK) == SKIP_MAGIC && in_len - at >= 8 &&
            get32(in + at + 4) <= in_len - at - 8) {
            at += 8u + get32(in + at + 4);
        } else if (magic == ZSTD_MAGIC) {
            at += 4;
            err = frame(z, in, in_len, &at);
        } else {
            break;
        }
    }
    *out_len = z->pos;
    zfree(z);
    return err;
}
