/* Functions of lib/string.h that the host's C library does not have.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include "test.h"

size_t strlcpy(char *dst, const char *src, size_t size);
size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t len = strlen(src);

    if (size) {
        size_t n = len < size - 1 ? len : size - 1;

        memcpy(dst, src, n);
        dst[n] = 0;
    }
    return len;
}
