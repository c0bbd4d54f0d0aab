/* The hypervisor's printf and string functions against those of the C library.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"

int xen_snprintf(char *buf, size_t size, const char *format, ...);
void *xen_memcpy(void *dst, const void *src, size_t n);
void *xen_memmove(void *dst, const void *src, size_t n);
void *xen_memset(void *dst, int c, size_t n);
int xen_memcmp(const void *a, const void *b, size_t n);
size_t xen_strnlen(const char *s, size_t n);
int xen_strncmp(const char *a, const char *b, size_t n);
char *xen_strchr(const char *s, int c);
char *xen_strstr(const char *s, const char *what);
size_t xen_strlcpy(char *dst, const char *src, size_t size);
unsigned long long xen_strtoull(const char *s, const char **end, int base);

bool symbol_name(const void *p, char *buf, size_t size);
bool symbol_name(const void *p, char *buf, size_t size)
{
    if (p != (void *)0x1234)
        return false;
    strcpy(buf, "fn+0x4");
    return true;
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

#define CHECK(...)                                                                       \
    do {                                                                                 \
        char a[400], b[400];                                                             \
        int n = snprintf(a, sizeof(a), __VA_ARGS__);                                     \
        assert_int_equal(xen_snprintf(b, sizeof(b), __VA_ARGS__), n);                    \
        assert_string_equal(a, b);                                                       \
    } while (0)

/* A random conversion; the C library is the judge. */
static void random_format(char *f, const char *length, char conversion)
{
    static const char flags[] = "-+ #0";

    *f++ = '%';
    for (int i = 0; i < 5; i++) {
        if (random64() % 4 == 0 && !(flags[i] == '#' && conversion == 'o'))
            *f++ = flags[i];
    }
    if (random64() % 2)
        f += sprintf(f, "%d", (int)(random64() % 30));
    if (random64() % 2)
        f += sprintf(f, ".%d", (int)(random64() % 25));
    sprintf(f, "%s%c|", length, conversion);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat"
static void test_numbers(void **state)
{
    static const char conversions[] = "diuxXo";
    static const uint64_t special[] = {0,          1,         9,          10,
                                       UINT32_MAX, INT32_MAX, 0x80000000, UINT64_MAX,
                                       INT64_MAX,  1ull << 63};
    char f[64];

    for (int i = 0; i < 20000; i++) {
        char c = conversions[random64() % 6];
        uint64_t v =
            random64() % 3 ? random64() >> (random64() % 64) : special[random64() % 10];

        random_format(f, "", c);
        CHECK(f, (unsigned int)v);
        random_format(f, "l", c);
        CHECK(f, (unsigned long)v);
        random_format(f, "ll", c);
        CHECK(f, (unsigned long long)v);
        random_format(f, "z", c);
        CHECK(f, (size_t)v);
        random_format(f, "h", c);
        CHECK(f, (int)(short)v);
        random_format(f, "hh", c);
        CHECK(f, (int)(signed char)v);
    }
}

static void test_strings(void **state)
{
    char f[64], s[40];

    for (int i = 0; i < 5000; i++) {
        size_t n = random64() % 39;

        for (size_t k = 0; k < n; k++)
            s[k] = (char)(' ' + random64() % 90);
        s[n] = 0;
        f[0] = '%';
        sprintf(f + 1, "%s%d.%ds]", random64() % 2 ? "-" : "", (int)(random64() % 30),
                (int)(random64() % 30));
        CHECK(f, s);
    }
    CHECK("%s %5c%-5c| %%", "x", 'a', 'b');
    CHECK("%*d|%-*d|%.*s", 7, 42, 7, 42, 3, "abcdef");
    CHECK("%*d", -6, 1);
}
#pragma GCC diagnostic pop

static void test_own(void **state)
{
    char b[64];

    assert_int_equal(xen_snprintf(b, sizeof(b), "%p", (void *)0xabc), 16);
    assert_string_equal(b, "0000000000000abc");
    xen_snprintf(b, sizeof(b), "<%pS> <%pS>", (void *)0x1234, (void *)0x5);
    assert_string_equal(b, "<fn+0x4> <0000000000000005>");
    xen_snprintf(b, sizeof(b), "%s", (char *)NULL);
    assert_string_equal(b, "(null)");
    assert_int_equal(xen_snprintf(b, 4, "abcdef"), 6);
    assert_string_equal(b, "abc");
    assert_int_equal(xen_snprintf(NULL, 0, "abcdef"), 6);
}

static void test_memory(void **state)
{
    uint8_t a[300], b[300];

    for (int i = 0; i < 20000; i++) {
        size_t from = random64() % 100, to = random64() % 100, n = random64() % 200;

        for (size_t k = 0; k < sizeof(a); k++)
            a[k] = b[k] = (uint8_t)random64();
        memmove(a + to, a + from, n);
        xen_memmove(b + to, b + from, n);
        assert_memory_equal(a, b, sizeof(a));
        memset(a + to, (int)n, n);
        xen_memset(b + to, (int)n, n);
        assert_memory_equal(a, b, sizeof(a));
        b[from] ^= (uint8_t)(random64() % 3);
        assert_int_equal(sign(memcmp(a, b, n)), sign(xen_memcmp(a, b, n)));
        xen_memcpy(b, a, n);
        assert_memory_equal(a, b, n);
    }
}

static void test_text(void **state)
{
    static const char alphabet[] = "aab";
    char a[20], b[20], c[20];

    for (int i = 0; i < 50000; i++) {
        for (int k = 0; k < 19; k++) {
            a[k] = alphabet[random64() % 4];
            b[k] = alphabet[random64() % 4];
        }
        a[19] = b[19] = 0;
        assert_int_equal(sign(strncmp(a, b, i % 8)), sign(xen_strncmp(a, b, i % 8)));
        assert_ptr_equal(strstr(a, b), xen_strstr(a, b));
        assert_ptr_equal(strchr(a, alphabet[i % 4]), xen_strchr(a, alphabet[i % 4]));
        assert_int_equal(strnlen(a, i % 20), xen_strnlen(a, i % 20));
        assert_int_equal(xen_strlcpy(c, a, i % 8), strlen(a));
        if (i % 8)
            assert_true(strlen(c) ==
                        (strlen(a) < (size_t)(i % 8) ? strlen(a) : i % 8u - 1));
    }
}

static void test_strtoull(void **state)
{
    static const char *const texts[] = {"0",
                                        "12",
                                        "0x1f",
                                        "0x",
                                        "017",
                                        "08",
                                        "z",
                                        "",
                                        "-1",
                                        "+7",
                                        " 42x",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "0xffffffffffffffff",
                                        "0x10000000000000000",
                                        "7fG",
                                        "- 1"};
    static const int bases[] = {0, 8, 10, 16};

    for (unsigned int i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        for (int k = 0; k < 4; k++) {
            char *end;
            const char *own;
            unsigned long long v = strtoull(texts[i], &end, bases[k]);

            assert_int_equal(xen_strtoull(texts[i], &own, bases[k]), v);
            assert_ptr_equal(own, end);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_own),     cmocka_unit_test(test_memory),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_strtoull),
    };

    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
