/* Formatted output into a buffer: C's printf without floating point, and %pS.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/string.h"
#include "lib/symbols.h"

struct out {
    char *buf;
    size_t size, len; /* len: of the whole text, also what did not fit */
};

struct spec {
    bool left, zero, plus, space, alt, upper;
    int width, precision; /* precision -1: none */
    int length;           /* 0 int, 1 long, 2 long long, -1 short, -2 char */
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_string(struct out *o, const struct spec *s, const char *str, size_t len)
{
    if (!s->left)
        pad(o, ' ', s->width - (int)len);
    for (size_t i = 0; i < len; i++)
        put(o, str[i]);
    if (s->left)
        pad(o, ' ', s->width - (int)len);
}

static void put_number(struct out *o, const struct spec *s, unsigned long long v,
                       bool negative, unsigned int base)
{
    const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24];
    char prefix[3];
    int n = 0, zeros, np = 0;
    bool nonzero = v;

    do {
        tmp[n++] = digits[v % base];
        v /= base;
    } while (v);
    if (s->precision == 0 && !nonzero)
        n = 0;
    if (negative)
        prefix[np++] = '-';
    else if (s->plus)
        prefix[np++] = '+';
    else if (s->space)
        prefix[np++] = ' ';
    if (s->alt && base == 16 && nonzero) {
        prefix[np++] = '0';
        prefix[np++] = s->upper ? 'X' : 'x';
    }
    zeros = s->precision - n;
    if (s->precision < 0 && s->zero && !s->left)
        zeros = s->width - n - np;
    zeros = max(zeros, 0);
    if (!s->left)
        pad(o, ' ', s->width - n - np - zeros);
    for (int i = 0; i < np; i++)
        put(o, prefix[i]);
    pad(o, '0', zeros);
    for (int i = n; i-- > 0;)
        put(o, tmp[i]);
    if (s->left)
        pad(o, ' ', s->width - n - np - zeros);
}

static int parse_int(const char **format, va_list *ap)
{
    int n = 0;

    if (**format == '*') {
        (*format)++;
        return va_arg(*ap, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++)
        n = min(n * 10 + (**format - '0'), 10000);
    return n;
}

static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
    *s = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '-')
            s->left = true;
        else if (*f == '0')
            s->zero = true;
        else if (*f == '+')
            s->plus = true;
        else if (*f == ' ')
            s->space = true;
        else if (*f == '#')
            s->alt = true;
        else
            break;
    }
    s->width = parse_int(&f, ap);
    if (s->width < 0) {
        s->left = true;
        s->width = -s->width;
    }
    if (*f == '.') {
        f++;
        s->precision = parse_int(&f, ap);
    }
    for (;; f++) {
        if (*f == 'l')
            s->length++;
        else if (*f == 'h')
            s->length--;
        else if (*f == 'z' || *f == 't' || *f == 'j')
            s->length = 1;
        else
            return f;
    }
}

static unsigned long long get_unsigned(const struct spec *s, va_list *ap)
{
    switch (s->length) {
    case -2:
        return (unsigned char)va_arg(*ap, unsigned int);
    case -1:
        return (unsigned short)va_arg(*ap, unsigned int);
    case 0:
        return va_arg(*ap, unsigned int);
    default:
        return va_arg(*ap, unsigned long long);
    }
}

static long long get_signed(const struct spec *s, va_list *ap)
{
    switch (s->length) {
    case -2:
        return (signed char)va_arg(*ap, int);
    case -1:
        return (short)va_arg(*ap, int);
    case 0:
        return va_arg(*ap, int);
    default:
        return va_arg(*ap, long long);
    }
}

/* %p, and %pS: symbol+offset/size. Returns how many letters after the p it used. */
static int put_pointer(struct out *o, struct spec *s, const char *f, va_list *ap)
{
    const void *p = va_arg(*ap, void *);
    char name[80];

    if (f[1] == 'S' && symbol_name(p, name, sizeof(name))) {
        put_string(o, s, name, strlen(name));
        return 1;
    }
    s->precision = 16;
    put_number(o, s, (uintptr_t)p, false, 16);
    return f[1] == 'S';
}

static const char *convert(struct out *o, struct spec *s, const char *f, va_list *ap)
{
    const char *str;
    long long n;
    char c;

    switch (*f) {
    case 'd':
    case 'i':
        n = get_signed(s, ap);
        put_number(o, s, n < 0 ? -(unsigned long long)n : (unsigned long long)n, n < 0,
                   10);
        break;
    case 'u':
        s->plus = s->space = false;
        put_number(o, s, get_unsigned(s, ap), false, 10);
        break;
    case 'X':
        s->upper = true; /* fall through */
    case 'x':
        s->plus = s->space = false;
        put_number(o, s, get_unsigned(s, ap), false, 16);
        break;
    case 'o':
        s->plus = s->space = false;
        put_number(o, s, get_unsigned(s, ap), false, 8);
        break;
    case 'p':
        f += put_pointer(o, s, f, ap);
        break;
    case 's':
        str = va_arg(*ap, const char *);
        if (!str)
            str = "(null)";
        put_string(o, s, str,
                   strnlen(str, s->precision < 0 ? SIZE_MAX : (size_t)s->precision));
        break;
    case 'c':
        c = (char)va_arg(*ap, int);
        put_string(o, s, &c, 1);
        break;
    case '%':
        put(o, '%');
        break;
    case 0:
        return f;
    default: /* not known: show it as it is */
        put(o, '%');
        put(o, *f);
    }
    return f + 1;
}

int vsnprintf(char *buf, size_t size, const char *format, va_list ap)
{
    struct out o = {buf, size, 0};
    struct spec s;
    va_list args;

    va_copy(args, ap);
    while (*format) {
        if (*format != '%') {
            put(&o, *format++);
            continue;
        }
        format = parse_spec(format + 1, &s, &args);
        format = convert(&o, &s, format, &args);
    }
    va_end(args);
    if (size)
        buf[min(o.len, size - 1)] = 0;
    return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(buf, size, format, ap);
    va_end(ap);
    return n;
}
