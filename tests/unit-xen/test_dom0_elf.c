/* Dom0's kernel as an ELF image: what is right is loaded, what is damaged in any way is
 * refused or loaded into Dom0's RAM, and nothing else is read or written.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "test.h"
#include "domain/dom0_build.h"
#include "mm/p2m.h"
#include "lib/errno.h"
#include "lib/printk.h"

#define RAM       MB(4)
#define HOLE      MB(2) /* a page that is not RAM */
#define AREA      MB(16)
#define LOAD_AT   0x100000u
#define TEXT      "the kernel's text"
#define TEXT_BYTE 0x200
#define NOTE_BYTE 0x180
#define IMAGE     0x400
#define ENTRY     0x100010u

static struct domain d;
static char said[4096];

void printk(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(said + strlen(said), sizeof(said) - strlen(said), format, args);
    va_end(args);
}

mfn_t p2m_lookup(const struct domain *dom, gfn_t gfn, enum p2m_type *type,
                 unsigned int *order)
{
    uint64_t gpa = gfn.n << PAGE_SHIFT;

    *type = gpa < RAM && gpa != HOLE ? P2M_RAM_RW : P2M_INVALID;
    return MFN(gfn.n);
}

/* Dom0's RAM between pages that must not be touched. */
static int setup(void **state)
{
    char *area = mmap((void *)DIRECTMAP_BASE, AREA, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    return area == MAP_FAILED || mprotect(area, HOLE, PROT_READ | PROT_WRITE) ||
           mprotect(area + HOLE + PAGE_SIZE, RAM - HOLE - PAGE_SIZE,
                    PROT_READ | PROT_WRITE);
}

static void put_note(uint8_t *p, uint32_t type, const char *name, uint32_t desc)
{
    Elf64_Nhdr n = {.n_namesz = 4, .n_descsz = 4, .n_type = type};

    memcpy(p, &n, sizeof(n));
    memcpy(p + sizeof(n), name, 4);
    memcpy(p + sizeof(n) + 4, &desc, 4);
}

static void put_parts(uint8_t *image)
{
    memset(image, 0, IMAGE);
    put_note(image + NOTE_BYTE, 18, "GNU", 0xbad);
    put_note(image + NOTE_BYTE + 20, 5, "Xen", 0xbad);
    put_note(image + NOTE_BYTE + 40, 18, "Xen", ENTRY);
    memcpy(image + TEXT_BYTE, TEXT, sizeof(TEXT));
}

static void make_elf64(uint8_t *image)
{
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                    .e_phoff = sizeof(h),
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 2};
    Elf64_Phdr p[2] = {{.p_type = PT_LOAD,
                        .p_offset = TEXT_BYTE,
                        .p_paddr = LOAD_AT,
                        .p_filesz = sizeof(TEXT),
                        .p_memsz = 0x3000},
                       {.p_type = PT_NOTE, .p_offset = NOTE_BYTE, .p_filesz = 60}};

    put_parts(image);
    memcpy(image, &h, sizeof(h));
    memcpy(image + sizeof(h), p, sizeof(p));
}

static void make_elf32(uint8_t *image)
{
    Elf32_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
                    .e_phoff = sizeof(h),
                    .e_phentsize = sizeof(Elf32_Phdr),
                    .e_phnum = 2};
    Elf32_Phdr p[2] = {{.p_type = PT_LOAD,
                        .p_offset = TEXT_BYTE,
                        .p_paddr = LOAD_AT,
                        .p_filesz = sizeof(TEXT),
                        .p_memsz = 0x3000},
                       {.p_type = PT_NOTE, .p_offset = NOTE_BYTE, .p_filesz = 60}};

    put_parts(image);
    memcpy(image, &h, sizeof(h));
    memcpy(image + sizeof(h), p, sizeof(p));
}

/* Load from a copy that has exactly this size. */
static int load(const uint8_t *image, size_t bytes, uint32_t *entry, uint64_t *end)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    int rc;

    memcpy(copy, image, bytes);
    said[0] = 0;
    rc = dom0_load_elf(&d, copy, bytes, entry, end);
    assert_true(!rc || said[0]); /* no refusal without a reason */
    free(copy);
    return rc;
}

static void both_classes(void (*check)(uint8_t *image))
{
    uint8_t image[IMAGE];

    make_elf64(image);
    check(image);
    make_elf32(image);
    check(image);
}

static void check_good(uint8_t *image)
{
    const char *ram = (const char *)DIRECTMAP_BASE + LOAD_AT;
    uint32_t entry;
    uint64_t end;

    memset((void *)ram, 0xaa, 0x4000);
    assert_int_equal(load(image, IMAGE, &entry, &end), 0);
    assert_int_equal(entry, ENTRY);
    assert_int_equal(end, LOAD_AT + 0x3000);
    assert_memory_equal(ram, TEXT, sizeof(TEXT));
    for (unsigned int i = sizeof(TEXT); i < 0x3000; i++)
        assert_int_equal(ram[i], 0);
    assert_int_equal((uint8_t)ram[0x3000], 0xaa);
}

static void test_good(void **state)
{
    both_classes(check_good);
}

static void check_cut(uint8_t *image)
{
    uint32_t entry;
    uint64_t end;

    for (size_t bytes = 0; bytes < TEXT_BYTE + sizeof(TEXT); bytes++)
        assert_int_not_equal(load(image, bytes, &entry, &end), 0);
    assert_int_equal(load(image, TEXT_BYTE + sizeof(TEXT), &entry, &end), 0);
}

static void test_cut(void **state)
{
    both_classes(check_cut);
}

static void test_reasons(void **state)
{
    uint8_t image[IMAGE];
    Elf64_Phdr *p = (Elf64_Phdr *)(image + sizeof(Elf64_Ehdr));
    uint32_t entry;
    uint64_t end;

    make_elf64(image);
    image[NOTE_BYTE + 40 + 12] = 'x';
    assert_int_equal(load(image, IMAGE, &entry, &end), -EINVAL);
    assert_non_null(strstr(said, "PHYS32_ENTRY"));
    make_elf64(image);
    p->p_paddr = HOLE - PAGE_SIZE;
    assert_int_equal(load(image, IMAGE, &entry, &end), -ENOMEM);
    assert_non_null(strstr(said, "dom0_mem"));
    make_elf64(image);
    p->p_memsz = sizeof(TEXT) - 1;
    assert_int_equal(load(image, IMAGE, &entry, &end), -EINVAL);
    assert_non_null(strstr(said, "damaged"));
    assert_int_equal(load((const uint8_t *)"plain text, no kernel", 21, &entry, &end),
                     -EINVAL);
    assert_non_null(strstr(said, "neither"));
}

/* A value that is likely to be near some limit. */
static uint64_t odd_value(void)
{
    static const uint64_t values[] = {
        0,   1,     3,        IMAGE,      TEXT_BYTE,  HOLE,    RAM, 0xffff,
        ~0u, ~0ull, 1u << 31, 0x7fffffff, 1ull << 40, LOAD_AT, 60};
    uint64_t v = values[random64() % ARRAY_SIZE(values)];

    return random64() % 2 ? v : v + random64() % 16 - 8;
}

static void check_damaged(uint8_t *image)
{
    unsigned int refused = 0;

    for (unsigned int i = 0; i < 100000; i++) {
        uint8_t copy[IMAGE];
        uint32_t entry;
        uint64_t end;

        memcpy(copy, image, IMAGE);
        for (unsigned int n = 1 + random64() % 3; n; n--) {
            unsigned int bytes = 1u << random64() % 4;
            uint64_t v = random64() % 4 ? odd_value() : random64();

            memcpy(copy + random64() % (0x1c0 / bytes) * bytes, &v, bytes);
        }
        refused += load(copy, IMAGE - random64() % 4, &entry, &end) != 0;
    }
    assert_true(refused > 10000 && refused < 95000);
}

static void test_damaged(void **state)
{
    both_classes(check_damaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests_name("dom0_elf", tests, setup, NULL);
}
