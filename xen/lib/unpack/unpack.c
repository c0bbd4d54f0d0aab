/* Which compression is it; and the payload of a bzImage. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Linux Documentation/arch/x86/boot.rst for the bzImage header.
 */
#include "lib/unpack/internal.h"

#define SETUP_SECTS    0x1f1 /* offsets in the image */
#define HEADER_MAGIC   0x202
#define HEADER_VERSION 0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END     0x250
#define SECTOR         512
#define VERSION_2_08   0x0208

/* What kernels may be packed with, too, but few are. */
static int not_handled(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
                       size_t *out_len)
{
    return -EOPNOTSUPP;
}

static const struct {
    uint8_t magic[6], bytes;
    int (*fn)(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
              size_t *out_len);
} formats[] = {
    {{0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
    {{0x1f, 0x8b}, 2, unpack_gzip},
    {{0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4}, /* legacy */
    {{0x04, 0x22, 0x4d, 0x18}, 4, unpack_lz4},
    {{0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
    {{'B', 'Z', 'h'}, 3, not_handled},
    {{0x5d, 0, 0}, 3, not_handled}, /* lzma, before xz */
    {{0x89, 'L', 'Z', 'O', 0}, 5, not_handled},
};

int unpack(const void *in, size_t in_len, void *out, size_t out_max, size_t *out_len)
{
    *out_len = 0;
    for (unsigned int i = 0; i < ARRAY_SIZE(formats); i++) {
        if (in_len >= formats[i].bytes && !memcmp(in, formats[i].magic, formats[i].bytes))
            return formats[i].fn(in, in_len, out, out_max, out_len);
    }
    if (in_len > out_max)
        return -ENOSPC;
    memcpy(out, in, in_len);
    *out_len = in_len;
    return 0;
}

/* All of the kernel's build puts the size in the last four bytes; gzip has it there. */
uint64_t unpack_size_hint(const void *in, size_t in_len)
{
    const uint8_t *p = in;

    return in_len < 12 ? 0 : get32(p + in_len - 4);
}

int bzimage_payload(const void *img, size_t len, const void **payload, size_t *plen)
{
    const uint8_t *p = img;
    uint64_t start, bytes;

    if (len < HEADER_END || memcmp(p + HEADER_MAGIC, "HdrS", 4) ||
        get16(p + HEADER_VERSION) < VERSION_2_08)
        return -EINVAL;
    start = ((p[SETUP_SECTS] ? p[SETUP_SECTS] : 4u) + 1) * SECTOR;
    start += get32(p + PAYLOAD_OFFSET);
    bytes = get32(p + PAYLOAD_LENGTH);
    if (start > len || bytes > len - start)
        return -ENODATA;
    *payload = p + start;
    *plen = bytes;
    return 0;
}
