/*
 * The few functions of C's library that the kit needs, and a small printf: %d %i %u %x %p
 * %s %c
 * %% with `l`, width and zero padding.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kit.h"

void *memset(void *to, int value, size_t length)
{
    void *result = to;

    asm volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(value) : "memory");
    return result;
}

void *memcpy(void *to, const void *from, size_t length)
{
    void *result = to;

    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length)::"memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const uint8_t *x = a, *y = b;

    for (; length; length--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

struct sink {
    char *buffer;
    size_t size, used;
};

static void put(struct sink *sink, char c)
{
    if (sink->used + 1 < sink->size)
        sink->buffer[sink->used] = c;
    sink->used++;
}

static void put_padded(struct sink *sink, const char *text, size_t length, unsigned width,
                       char pad)
{
    for (; width > length; width--)
        put(sink, pad);
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
}

static void put_number(struct sink *sink, uint64_t value, unsigned base, bool negative,
                       unsigned width, char pad)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[--at] = '-';
    put_padded(sink, digits + at, sizeof(digits) - at, width, pad);
}

static void put_conversion(struct sink *sink, char type, bool is_long, unsigned width,
                           char pad, va_list *args)
{
    const char *text;
    int64_t number;

    switch (type) {
    case 'd':
    case 'i':
        number = is_long ? va_arg(*args, long) : va_arg(*args, int);
        put_number(sink, number < 0 ? -(uint64_t)number : (uint64_t)number, 10,
                   number < 0, width, pad);
        break;
    case 'u':
    case 'x':
        put_number(sink, is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
                   type == 'x' ? 16 : 10, false, width, pad);
        break;
    case 'p':
        put_number(sink, va_arg(*args, uintptr_t), 16, false, width, pad);
        break;
    case 's':
        text = va_arg(*args, const char *);
        put_padded(sink, text, strlen(text), width, ' ');
        break;
    case 'c':
        put(sink, (char)va_arg(*args, int));
        break;
    default:
        put(sink, type);
    }
}

int vformat_text(char *buffer, size_t size, const char *format, va_list args)
{
    struct sink sink = {buffer, size, 0};
    va_list copy;

    va_copy(copy, args);
    for (; *format; format++) {
        unsigned width = 0;
        bool is_long = false;
        char pad = ' ';

        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        format++;
        if (*format == '0') {
            pad = '0';
            format++;
        }
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        for (; *format == 'l' || *format == 'z'; format++)
            is_long = true;
        if (!*format)
            break;
        put_conversion(&sink, *format, is_long, width, pad, &copy);
    }
    va_end(copy);
    if (size)
        buffer[sink.used < size ? sink.used : size - 1] = 0;
    return (int)sink.used;
}

int format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vformat_text(buffer, size, format, args);
    va_end(args);
    return n;
}

void print(const char *format, ...)
{
    char line[400];
    va_list args;
    int n;

    va_start(args, format);
    n = vformat_text(line, sizeof(line), format, args);
    va_end(args);
    console_write(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
