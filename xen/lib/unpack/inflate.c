/* gzip: DEFLATE (RFC 1951) in a gzip member (RFC 1952). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Huffman codes are decoded with a table for the first FAST_BITS bits; longer codes,
 * which are rare, by counting through the lengths. Several members in a row are one
 * stream.
 */
#include "lib/unpack/internal.h"
#include "mm/frame.h"

#define MAX_BITS     15
#define FAST_BITS    10
#define LITERALS     288
#define DISTANCES    32
#define END_OF_BLOCK 256
#define MAX_CODE     (LITERALS + DISTANCES)

struct huffman {
    uint16_t fast[1 << FAST_BITS]; /* symbol << 4 | length; 0: longer, or no code */
    uint16_t count[MAX_BITS + 1];  /* codes of each length */
    uint16_t symbol[LITERALS];     /* ordered by code */
};

struct inflate {
    const uint8_t *in, *end;
    uint64_t bits; /* the next ones are the lowest */
    unsigned int nbits;
    unsigned int missing; /* zero bits that stand for input that is not there */
    uint8_t *out;
    size_t pos, max;
    struct huffman lit, dist;
};

/* At least 48 bits; behind the end of the input zeros come. */
static always_inline void refill(struct inflate *s)
{
    while (s->nbits <= 56) {
        if (s->in < s->end)
            s->bits |= (uint64_t)*s->in++ << s->nbits;
        else
            s->missing += 8;
        s->nbits += 8;
    }
}

static always_inline uint32_t take(struct inflate *s, unsigned int n)
{
    uint32_t v = (uint32_t)(s->bits & ((1ull << n) - 1));

    s->bits >>= n;
    s->nbits -= n;
    return v;
}

/* Were bits used that are behind the end? */
static bool overrun(const struct inflate *s)
{
    return s->missing > s->nbits;
}

static uint32_t reverse(uint32_t code, unsigned int n)
{
    uint32_t r = 0;

    while (n--) {
        r = r << 1 | (code & 1);
        code >>= 1;
    }
    return r;
}

/* RFC 1951, 3.2.2. An incomplete set is allowed only if it has one code (or none). */
static int huffman_make(struct huffman *h, const uint8_t *lengths, unsigned int n)
{
    uint16_t offset[MAX_BITS + 2] = {0};
    uint32_t code = 0, next[MAX_BITS + 1];
    int left = 1;

    memset(h, 0, sizeof(*h));
    for (unsigned int i = 0; i < n; i++)
        h->count[lengths[i]]++;
    h->count[0] = 0;
    for (unsigned int l = 1; l <= MAX_BITS; l++) {
        left = left * 2 - h->count[l];
        if (left < 0)
            return -EINVAL;
        offset[l + 1] = (uint16_t)(offset[l] + h->count[l]);
        code = (code + h->count[l - 1]) << 1;
        next[l] = code;
    }
    if (left > 0 && offset[MAX_BITS + 1] > 1)
        return -EINVAL;
    for (unsigned int i = 0; i < n; i++) {
        unsigned int l = lengths[i];

        if (!l)
            continue;
        h->symbol[offset[l]++] = (uint16_t)i;
        code = next[l]++;
        if (l > FAST_BITS)
            continue;
        for (uint32_t k = reverse(code, l); k < 1u << FAST_BITS; k += 1u << l)
            h->fast[k] = (uint16_t)(i << 4 | l);
    }
    return 0;
}

/* A code longer than FAST_BITS: codes of each length are consecutive. */
static int decode_slow(struct inflate *s, const struct huffman *h)
{
    int code = 0, first = 0, index = 0;

    for (unsigned int l = 1; l <= MAX_BITS; l++) {
        code |= (int)take(s, 1);
        if (code - first < h->count[l])
            return h->symbol[index + code - first];
        index += h->count[l];
        first = (first + h->count[l]) << 1;
        code <<= 1;
    }
    return -EINVAL;
}

static always_inline int decode(struct inflate *s, const struct huffman *h)
{
    uint16_t e = h->fast[s->bits & ((1u << FAST_BITS) - 1)];

    if (!e)
        return decode_slow(s, h);
    take(s, e & 15);
    return e >> 4;
}

static int match(struct inflate *s, unsigned int symbol)
{
    static const uint16_t len_base[] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                        15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                        67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t len_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                        2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t dist_base[] = {1,    2,    3,    4,     5,     7,    9,    13,
                                         17,   25,   33,   49,    65,    97,   129,  193,
                                         257,  385,  513,  769,   1025,  1537, 2049, 3073,
                                         4097, 6145, 8193, 12289, 16385, 24577};
    size_t len, dist;
    int d;

    symbol -= END_OF_BLOCK + 1;
    if (symbol >= ARRAY_SIZE(len_base))
        return -EINVAL;
    len = len_base[symbol] + take(s, len_extra[symbol]);
    refill(s);
    d = decode(s, &s->dist);
    if (d < 0 || d >= (int)ARRAY_SIZE(dist_base))
        return -EINVAL;
    dist = dist_base[d] + take(s, d < 4 ? 0 : (unsigned int)d / 2 - 1);
    if (dist > s->pos)
        return -EINVAL;
    if (len > s->max - s->pos)
        return -ENOSPC;
    copy_match(s->out + s->pos, dist, len);
    s->pos += len;
    return 0;
}

static int codes(struct inflate *s)
{
    for (;;) {
        int symbol, err;

        refill(s);
        symbol = decode(s, &s->lit);
        if (symbol < 0 || overrun(s))
            return -EINVAL;
        if (symbol < END_OF_BLOCK) {
            if (s->pos == s->max)
                return -ENOSPC;
            s->out[s->pos++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == END_OF_BLOCK)
            return 0;
        err = match(s, (unsigned int)symbol);
        if (err)
            return err;
    }
}

static int stored(struct inflate *s)
{
    uint32_t len;

    take(s, s->nbits & 7);
    refill(s);
    len = take(s, 16);
    if (take(s, 16) != (len ^ 0xffff) || overrun(s))
        return -EINVAL;
    /* Whole bytes are in the bit buffer: give them back. */
    s->in -= (s->nbits - s->missing) / 8;
    s->bits = s->nbits = s->missing = 0;
    if (len > (size_t)(s->end - s->in))
        return -EINVAL;
    if (len > s->max - s->pos)
        return -ENOSPC;
    memcpy(s->out + s->pos, s->in, len);
    s->in += len;
    s->pos += len;
    return 0;
}

static int fixed_codes(struct inflate *s)
{
    uint8_t lengths[LITERALS];

    for (unsigned int i = 0; i < LITERALS; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    huffman_make(&s->lit, lengths, LITERALS);
    memset(lengths, 5, 30);
    lengths[30] = lengths[31] = 5; /* never valid, but they make the code complete */
    return huffman_make(&s->dist, lengths, DISTANCES);
}

/* The lengths of the literal and distance codes, themselves coded: RFC 1951, 3.2.7. */
static int dynamic_codes(struct inflate *s)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[MAX_CODE] = {0};
    unsigned int nlit, ndist, ncode, i;

    refill(s);
    nlit = take(s, 5) + 257;
    ndist = take(s, 5) + 1;
    ncode = take(s, 4) + 4;
    if (nlit > 286 || ndist > 30)
        return -EINVAL;
    for (i = 0; i < ncode; i++) {
        refill(s);
        lengths[order[i]] = (uint8_t)take(s, 3);
    }
    if (huffman_make(&s->lit, lengths, 19))
        return -EINVAL;
    memset(lengths, 0, sizeof(lengths));
    for (i = 0; i < nlit + ndist;) {
        unsigned int repeat = 1;
        int symbol;
        uint8_t len = 0;

        refill(s);
        symbol = decode(s, &s->lit);
        if (symbol < 0 || (symbol == 16 && !i))
            return -EINVAL;
        if (symbol < 16)
            len = (uint8_t)symbol;
        else if (symbol == 16)
            len = lengths[i - 1], repeat = 3 + take(s, 2);
        else
            repeat = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        if (repeat > nlit + ndist - i)
            return -EINVAL;
        while (repeat--)
            lengths[i++] = len;
    }
    if (overrun(s) || !lengths[END_OF_BLOCK])
        return -EINVAL;
    if (huffman_make(&s->lit, lengths, nlit))
        return -EINVAL;
    return huffman_make(&s->dist, lengths + nlit, ndist);
}

static int inflate(struct inflate *s)
{
    bool last = false;
    int err = 0;

    while (!last && !err) {
        refill(s);
        last = take(s, 1);
        switch (take(s, 2)) {
        case 0:
            err = stored(s);
            continue;
        case 1:
            err = fixed_codes(s);
            break;
        case 2:
            err = dynamic_codes(s);
            break;
        default:
            err = -EINVAL;
        }
        if (!err)
            err = codes(s);
    }
    return err ? err : overrun(s) ? -EINVAL : 0;
}

/* RFC 1952, 2.3: the head of a member. Returns its bytes, 0 if it is none. */
static size_t gzip_header(const uint8_t *p, size_t n)
{
    size_t pos = 10;
    uint8_t flags;

    if (n < 18 || p[0] != 0x1f || p[1] != 0x8b || p[2] != 8 || (p[3] & 0xe0))
        return 0;
    flags = p[3];
    if (flags & 4) /* extra field */
        pos += 2u + get16(p + 10);
    for (int i = 0; i < 2; i++) { /* name, comment */
        if (!(flags & (8 << i)))
            continue;
        while (pos < n && p[pos])
            pos++;
        pos++;
    }
    if (flags & 2)
        pos += 2;
    return pos <= n ? pos : 0;
}

static int gzip_member(struct inflate *s)
{
    size_t head = gzip_header(s->in, (size_t)(s->end - s->in)), start = s->pos;
    int err;

    if (!head)
        return -EINVAL;
    s->in += head;
    s->bits = s->nbits = s->missing = 0;
    /* Matches do not reach into the member before. */
    s->out += start;
    s->max -= start;
    s->pos = 0;
    err = inflate(s);
    if (!err) /* whole bytes in the bit buffer were not used */
        s->in -= (s->nbits - s->missing) / 8;
    if (!err && (s->end - s->in < 8 || get32(s->in) != crc32(0, s->out, s->pos) ||
                 get32(s->in + 4) != (uint32_t)s->pos))
        err = -EINVAL;
    s->out -= start;
    s->max += start;
    s->pos += start;
    if (!err)
        s->in += 8;
    return err;
}

int unpack_gzip(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
                size_t *out_len)
{
    struct inflate *s = zalloc(sizeof(*s));
    int err;

    if (!s)
        return -ENOMEM;
    s->in = in;
    s->end = in + in_len;
    s->out = out;
    s->max = out_max;
    do
        err = gzip_member(s);
    while (!err && gzip_header(s->in, (size_t)(s->end - s->in)));
    *out_len = s->pos;
    zfree(s);
    return err;
}
