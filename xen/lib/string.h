/* The part of C's <string.h> that the hypervisor uses, with ISO C meanings.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_STRING_H
#define CORBEL_LIB_STRING_H

#include "lib/types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strstr(const char *s, const char *what);
/* Copy with truncation, always terminated if size > 0; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);
/* As ISO C's strtoull; base 0 knows 0x and 0 prefixes. */
unsigned long long strtoull(const char *s, const char **end, int base);

int snprintf(char *buf, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buf, size_t size, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* One page, with non-temporal or string instructions. */
void clear_page(void *page);
void copy_page(void *dst, const void *src);

#endif
