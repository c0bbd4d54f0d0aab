/* Decompression: what the real tools packed, and the same damaged in every way.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "test.h"
#include "lib/unpack/unpack.h"

#define MAX_DATA (6u << 20)

static char directory[] = "/tmp/corbel-unpack-XXXXXX";
static const char *const packers[] = {
    "xz -6 -c",
    "xz -0 --check=crc32 -c",
    "xz --x86 --lzma2=dict=64KiB --check=crc32 -c", /* as Linux packs its kernel */
    "xz --check=none --lzma2=lc=0,lp=2,pb=0 -c",
    "xz --block-size=100000 -c",
    "gzip -1 -c",
    "gzip -9 -c",
    "lz4 -q -l -9 -c",
    "lz4 -q -1 -c",
    "lz4 -q -9 -BD --content-size -c",
    "lz4 -q -B4 -BX --no-frame-crc -c",
    "zstd -q -1 -c",
    "zstd -q -19 -c",
    "zstd -q --no-check --ultra -22 -c",
};
#define PACKERS (sizeof(packers) / sizeof(*packers))

void *zalloc(size_t bytes);
void zfree(void *p);

static bool no_memory;
static unsigned int allocated;

void *zalloc(size_t bytes)
{
    if (no_memory || bytes > 256 * 1024)
        return NULL;
    allocated++;
    return calloc(1, bytes);
}
void zfree(void *p)
{
    allocated -= p != NULL;
    free(p);
}

/* Kinds of data: random, text of few words, our own program, long runs, nothing. */
static size_t make_data(unsigned int kind, uint8_t *buf)
{
    static const char *const words[] = {"frame ", "page\n", "the ", "hypervisor ", "x"};
    size_t n = 0, max = 300000 + random64() % 200000;
    FILE *f;

    switch (kind) {
    case 0:
        while (n < max)
            buf[n++] = (uint8_t)random64();
        return n;
    case 1:
        while (n < max)
            n += (size_t)sprintf((char *)buf + n, "%s", words[random64() % 5]);
        return n;
    case 2:
        f = fopen("/proc/self/exe", "rb");
        assert_non_null(f);
        n = fread(buf, 1, MAX_DATA - 1, f);
        fclose(f);
        return n;
    case 3:
        while (n < max) {
            size_t run = random64() % 60000;

            memset(buf + n, (int)random64(), run);
            n += run;
        }
        return n;
    case 4: /* large enough for the wide tables of the CRC */
        for (n = 0; n < (5u << 20) + 3; n++)
            buf[n] = (uint8_t)(n * n >> 7);
        return n;
    case 5:
        buf[0] = 'a';
        return 1;
    default:
        return 0;
    }
}
#define KINDS 7
#define LARGE 4 /* only for formats with a CRC-32; it takes a while */

static size_t read_file(const char *name, uint8_t *buf, size_t max)
{
    FILE *f = fopen(name, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(buf, 1, max, f);
    fclose(f);
    return n;
}

static size_t pack(const char *packer, const uint8_t *data, size_t n, uint8_t *packed)
{
    char plain[64], out[64], command[256];
    FILE *f;

    snprintf(plain, sizeof(plain), "%s/plain", directory);
    snprintf(out, sizeof(out), "%s/packed", directory);
    f = fopen(plain, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    snprintf(command, sizeof(command), "%s <%s >%s", packer, plain, out);
    assert_int_equal(system(command), 0);
    n = read_file(out, packed, 2 * MAX_DATA);
    unlink(plain);
    unlink(out);
    return n;
}

/* Input and output in blocks of their exact size, so that ASan sees each step outside. */
static int unpack_exactly(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_max,
                          size_t *len)
{
    uint8_t *copy = malloc(in_len ? in_len : 1);
    int err;

    memcpy(copy, in, in_len);
    err = unpack(copy, in_len, out, out_max, len);
    free(copy);
    assert_int_equal(allocated, 0);
    assert_true(*len <= out_max);
    return err;
}

static void check_packer(const char *packer, unsigned int kind)
{
    uint8_t *data = malloc(MAX_DATA), *packed = malloc(2 * MAX_DATA), *out;
    size_t n = make_data(kind, data), bytes = pack(packer, data, n, packed), len;

    out = malloc(n ? n : 1);
    assert_int_equal(unpack_exactly(packed, bytes, out, n, &len), 0);
    assert_int_equal(len, n);
    assert_memory_equal(out, data, n);
    /* A kernel's build appends the size; other formats ignore what is behind. */
    memcpy(packed + bytes, &(uint32_t){(uint32_t)n}, 4);
    assert_int_equal(unpack_exactly(packed, bytes + 4, out, n, &len), 0);
    assert_int_equal(len, n);
    assert_int_equal(unpack_size_hint(packed, bytes + 4), bytes + 4 < 12 ? 0 : n);
    /* Too little room is an error of its own. */
    if (n)
        assert_int_equal(unpack_exactly(packed, bytes, out, n - 1, &len), -ENOSPC);
    free(out);
    free(packed);
    free(data);
}

static void test_real_tools(void **state)
{
    for (unsigned int p = 0; p < PACKERS; p++) {
        for (unsigned int k = 0; k < KINDS; k++) {
            if (k != LARGE || strstr(packers[p], "check=crc32") ||
                strstr(packers[p], "gzip -1"))
                check_packer(packers[p], k);
        }
    }
}

/* Damage: nothing outside the buffers is touched, and with a checksum nothing wrong is
 * taken for right. */
static void test_damaged(void **state)
{
    uint8_t *data = malloc(MAX_DATA), *packed = malloc(2 * MAX_DATA);
    unsigned int found = 0, tried = 0;

    for (unsigned int p = 0; p < PACKERS; p++) {
        size_t n = make_data(1, data) / 16, bytes, len;
        uint8_t *out = malloc(n);

        bytes = pack(packers[p], data, n, packed);
        for (int i = 0; i < 1500; i++) {
            uint8_t *copy = malloc(bytes);
            size_t at = i < 64 ? (size_t)i % bytes : random64() % bytes;
            int err;

            memcpy(copy, packed, bytes);
            copy[at] ^= (uint8_t)(1 + random64() % 255);
            if (i % 4 == 3)
                copy[random64() % bytes] = (uint8_t)random64();
            err = unpack_exactly(copy, bytes, out, n, &len);
            tried++;
            found += err != 0 || len != n || memcmp(out, data, n);
            free(copy);
        }
        for (int i = 0; i < 200; i++) { /* cut off */
            size_t cut = random64() % bytes;

            if (!unpack_exactly(packed, cut, out, n, &len))
                assert_true(len != n || !memcmp(out, data, n));
        }
        free(out);
    }
    assert_true(found > tried / 2);
    free(packed);
    free(data);
}

/* With a checksum, data that comes out is right or there is an error. */
static void test_checksums_hold(void **state)
{
    static const char *const with_checksum[] = {"xz -6 -c", "xz --check=crc32 -c",
                                                "gzip -6 -c", "lz4 -q -1 -c",
                                                "zstd -q -3 -c --check"};
    uint8_t *data = malloc(MAX_DATA), *packed = malloc(2 * MAX_DATA), *out;
    size_t n, bytes, len;

    for (unsigned int p = 0; p < 5; p++) {
        n = make_data(1, data) / 8;
        bytes = pack(with_checksum[p], data, n, packed);
        out = malloc(n);
        for (int i = 0; i < 1000; i++) {
            size_t at = bytes / 4 + random64() % (bytes / 2); /* in the data itself */
            uint8_t old = packed[at];

            packed[at] ^= (uint8_t)(1u << random64() % 8);
            if (!unpack_exactly(packed, bytes, out, n, &len))
                assert_memory_equal(out, data, n);
            packed[at] = old;
        }
        free(out);
    }
    free(packed);
    free(data);
}

static void test_random_input(void **state)
{
    static const uint8_t magics[5][6] = {{0xfd, '7', 'z', 'X', 'Z', 0},
                                         {0x1f, 0x8b, 8, 0},
                                         {0x02, 0x21, 0x4c, 0x18},
                                         {0x04, 0x22, 0x4d, 0x18, 0x40, 0x40},
                                         {0x28, 0xb5, 0x2f, 0xfd}};
    uint8_t in[200], out[500];
    size_t len;

    for (int i = 0; i < 200000; i++) {
        size_t n = 6 + random64() % 194;

        for (size_t k = 0; k < n; k++)
            in[k] = random64() % 3 ? (uint8_t)random64() : 0;
        memcpy(in, magics[i % 5], i % 5 == 3 ? 6 : 4 + 2 * (i % 5 == 0));
        unpack_exactly(in, n, out, random64() % sizeof(out), &len);
    }
}

static void test_no_memory(void **state)
{
    static const uint8_t xz[] = {0xfd, '7', 'z',  'X',  'Z',  0,
                                 0,    1,   0x69, 0x22, 0xde, 0x36};
    uint8_t out[10];
    size_t len;

    no_memory = true;
    assert_int_equal(unpack_exactly(xz, sizeof(xz), out, sizeof(out), &len), -ENOMEM);
    no_memory = false;
}

static void test_not_packed(void **state)
{
    uint8_t out[8];
    size_t len;

    assert_int_equal(unpack_exactly((const uint8_t *)"\177ELF", 4, out, 8, &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(out, "\177ELF", 4);
    assert_int_equal(unpack_exactly((const uint8_t *)"123456789", 9, out, 8, &len),
                     -ENOSPC);
}

static void test_bzimage(void **state)
{
    uint8_t img[4096] = {0};
    const void *payload;
    size_t len;

    img[0x1f1] = 2; /* setup sectors: the kernel's code is at 1536 */
    memcpy(img + 0x202, "HdrS", 4);
    img[0x206] = 0x0f;
    img[0x207] = 0x02;
    img[0x248] = 0x10;
    img[0x24d] = 1; /* 256 bytes */
    assert_int_equal(bzimage_payload(img, sizeof(img), &payload, &len), 0);
    assert_ptr_equal(payload, img + 1536 + 16);
    assert_int_equal(len, 256);
    for (size_t cut = 0x250; cut < 1536 + 16 + 256; cut++)
        assert_int_equal(bzimage_payload(img, cut, &payload, &len), -ENODATA);
    assert_int_equal(bzimage_payload(img, 1536 + 16 + 256, &payload, &len), 0);
    img[0x24f] = 0x80; /* too long */
    assert_int_equal(bzimage_payload(img, sizeof(img), &payload, &len), -ENODATA);
    img[0x24f] = 0;
    memset(img + 0x248, 0xff, 4);
    assert_int_equal(bzimage_payload(img, sizeof(img), &payload, &len), -ENODATA);
    assert_int_equal(bzimage_payload(img, 0x24f, &payload, &len), -EINVAL);
    img[0x206] = 7; /* protocol 2.07 has no payload fields */
    assert_int_equal(bzimage_payload(img, sizeof(img), &payload, &len), -EINVAL);
}

static int setup(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}
static int teardown(void **state)
{
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_tools),     cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_checksums_hold), cmocka_unit_test(test_random_input),
        cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_not_packed),
        cmocka_unit_test(test_bzimage),
    };

    return cmocka_run_group_tests_name("unpack", tests, setup, teardown);
}
