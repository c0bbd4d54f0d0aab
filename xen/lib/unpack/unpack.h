/* Decompression of kernels. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Input is hostile: nothing is read or written out of the given bounds.
 */
#ifndef CORBEL_LIB_UNPACK_H
#define CORBEL_LIB_UNPACK_H

#include "lib/types.h"

/* Decompress xz, gzip, lz4 (legacy and frame) or zstd, told apart by their magic; other
 * data is copied as it is. *out_len: bytes written. Bytes behind the end of the
 * compressed data are ignored. -EINVAL: damaged, -EOPNOTSUPP: a feature or a compression
 * (bzip2, lzma, lzo) that is not handled, -ENOSPC: out_max is too small, -ENOMEM. */
int unpack(const void *in, size_t in_len, void *out, size_t out_max, size_t *out_len);
/* Uncompressed size if the format tells it in front or at the end, else 0. A hint. */
uint64_t unpack_size_hint(const void *in, size_t in_len);

/* The payload of a Linux bzImage (boot protocol 2.08 or later). -EINVAL if it is none,
 * -ENODATA if it is shorter than its header says. */
int bzimage_payload(const void *img, size_t len, const void **payload, size_t *plen);

#endif
