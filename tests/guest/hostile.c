/*
 * A guest that means harm: random accesses to every port, every BAR and every register of
 * the platform, PCI configuration space included, for a bounded time (option seconds=),
 * from a known start (option seed=). It may well destroy itself, by a reset or by DMA
 * into its own memory; whoever started it looks whether anybody else noticed.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci.h"
#include "xen.h"

const char test_title[] = "hostile";

#define DEFAULT_SECONDS 10
#define MAX_RANGES      64
#define COMMAND_ALL     7u /* ports, memory, bus master */

struct range {
    uint64_t base, bytes;
    bool port;
};

static struct range ranges[MAX_RANGES];
static unsigned nr_ranges;
static uint64_t seed, accesses;
static uint8_t *arena;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void add(uint64_t base, uint64_t bytes, bool port)
{
    if (nr_ranges < MAX_RANGES)
        ranges[nr_ranges++] = (struct range){base, bytes, port};
}

/* What a register may like: small numbers, edges, addresses of a page of ours, of no
 * memory, of another device. */
static uint32_t value(void)
{
    static const uint32_t edges[] = {
        0,          1,          2,          3,          4,          7,
        8,          16,         0x20,       0x40,       0x80,       0xff,
        0x100,      0x8000,     0xffff,     0x10000,    0x7fffffff, 0x80000000,
        0xfffff000, 0xffffffff, 0xfee00000, 0xfec00000, 0xa0000,    0xfffffffe};
    uint64_t kind = random64() % 8;

    if (kind < 3)
        return edges[random64() % ARRAY_LEN(edges)];
    if (kind < 5)
        return (uint32_t)PTR(arena) + (uint32_t)(random64() % 4096 & ~7u);
    if (kind == 5)
        return (uint32_t)(PTR(arena) >> 12); /* a legacy queue's frame */
    return (uint32_t)random64();
}

/* Where every PC has something; COM1 is left out, it carries our words. */
static void legacy(void)
{
    static const struct range fixed[] = {
        {0x00, 0x20, true},
        {0x20, 2, true},
        {0x40, 4, true},
        {0x60, 5, true},
        {0x70, 2, true},
        {0x80, 16, true},
        {0xa0, 2, true},
        {0xc0, 32, true},
        {0x170, 8, true},
        {0x1f0, 8, true},
        {0x2f8, 8, true},
        {0x376, 1, true},
        {0x3b0, 0x30, true},
        {0x3f6, 1, true},
        {0x4d0, 2, true},
        {0x510, 12, true},
        {0x600, 0x40, true},
        {0xaf00, 0x40, true},
        {0xb000, 64, true},
        {0xcf8, 8, true},
        {0xa0000, 0x20000, false},
        {0xfec00000, 0x1000, false},
        {0xfed00000, 0x400, false},
        {0xfee00000, 0x1000, false},
        {0xfffc0000, 0x40000, false},
    };

    for (unsigned i = 0; i < ARRAY_LEN(fixed); i++)
        add(fixed[i].base, fixed[i].bytes, fixed[i].port);
}

static void find_bars(uint32_t bdf)
{
    pci_write(bdf, PCI_COMMAND, pci_read(bdf, PCI_COMMAND) | COMMAND_ALL);
    for (unsigned i = 0; i < 6; i++) {
        uint32_t bar = pci_read(bdf, PCI_BAR0 + 4 * i);

        if (bar & 1)
            add(bar & ~3u, 64, true);
        else if (bar & ~15u)
            add(bar & ~15u, 0x20000, false);
    }
}

static void touch_port(uint16_t port, uint32_t v, bool write, unsigned size)
{
    /* Ways to switch ourselves off at once: nothing would be left to see. */
    if (port == 0xcf9)
        return;
    if (port == 0x64 && (v & 0xf1) == 0xf0)
        v = 0;
    if (port == 0x92)
        v &= ~1u;
    if (size == 0)
        write ? outb(port, (uint8_t)v) : (void)inb(port);
    else if (size == 1)
        write ? outw(port, (uint16_t)v) : (void)inw(port);
    else
        write ? outl(port, v) : (void)inl(port);
}

static void touch_memory(uint64_t at, uint32_t v, bool write, unsigned size)
{
    volatile uint8_t *p = (volatile uint8_t *)at;

    if (size == 0)
        write ? *p = (uint8_t)v : *p;
    else if (size == 1)
        write ? *(volatile uint16_t *)p = (uint16_t)v : *(volatile uint16_t *)p;
    else if (size == 2)
        write ? *(volatile uint32_t *)p = v : *(volatile uint32_t *)p;
    else
        write ? *(volatile uint64_t *)p = (uint64_t)v << 32 | v : *(volatile uint64_t *)p;
}

/* Runs of accesses to one device, near its first registers most of the time. */
static void run(void)
{
    const struct range *r = &ranges[random64() % nr_ranges];

    for (unsigned n = (unsigned)(random64() % 24); n; n--) {
        uint64_t near = r->bytes < 64 ? r->bytes : 64;
        uint64_t at = random64() % (random64() & 3 ? near : r->bytes);
        unsigned size = (unsigned)(random64() % (r->port ? 3 : 4));
        bool write = random64() & 1;

        at &= random64() & 7 ? ~((1ul << size) - 1) : ~0ul;
        accesses++;
        if (r->port)
            touch_port((uint16_t)(r->base + at), value(), write, size);
        else
            touch_memory(r->base + at, value(), write, size);
    }
}

static void configuration(void)
{
    uint32_t bdf = (uint32_t)(random64() % 64), reg = (uint32_t)(random64() % 64) * 4;

    accesses++;
    if (reg == PCI_COMMAND || (random64() & 3))
        (void)pci_read(bdf, reg);
    else
        pci_write(bdf, reg, value());
}

/* Descriptors, rings and lists of whatever kind: words that look like addresses and
 * lengths. */
static void fill_arena(void)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 4)
        *(uint32_t *)(arena + i) = value();
}

static void ignore(struct regs *regs)
{
}

void test_main(void)
{
    uint64_t seconds = option_u64("seconds", DEFAULT_SECONDS), start;

    if (env.dom0) {
        skip("it would be the machine's devices", "hostile");
        return;
    }
    time_init();
    seed = option_u64("seed", 88172645463325252ull);
    arena = page_alloc(2);
    for (unsigned v = 32; v < 256; v++)
        set_handler(v, ignore);
    legacy();
    for (uint32_t bdf = 0; bdf < 256; bdf++) {
        if ((pci_read(bdf, 0) & 0xffff) != 0xffff)
            find_bars(bdf);
    }
    print("# seed=%lu seconds=%lu, %u ranges\n", seed, seconds, nr_ranges);
    start = rdtsc();
    while (rdtsc() - start < ms_to_tsc(seconds * 1000)) {
        fill_arena();
        for (unsigned i = 0; i < 64; i++)
            run();
        configuration();
    }
    check(accesses > 100, "%lu accesses, and we are still here", accesses);
}
