/*
 * memory_op: our own guest-physical map, from inside (xen/memory.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "memory";

#define NOWHERE     0x700000000000ul
#define MAP_ENTRIES 128
#define E820_RAM    1

struct e820_entry { /* as XENMEM_memory_map gives them */
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

static struct xen_add_to_physmap place(unsigned space, uint64_t idx, uint64_t gfn)
{
    return (struct xen_add_to_physmap){
        .domid = DOMID_SELF, .space = space, .idx = idx, .gpfn = gfn};
}

static long remove(uint64_t gfn)
{
    struct xen_remove_from_physmap arg = {.domid = DOMID_SELF, .gpfn = gfn};

    return memory_op(XENMEM_remove_from_physmap, &arg);
}

static void map(void)
{
    static struct e820_entry entries[MAP_ENTRIES];
    struct xen_memory_map arg = {.nr_entries = MAP_ENTRIES};
    uint64_t ram = 0, last = 0, low = 0;
    unsigned bad = 0;

    set_xen_guest_handle(arg.buffer, entries);
    if (!check_eq((uint64_t)memory_op(XENMEM_memory_map, &arg), 0, "memory_map"))
        return;
    for (unsigned i = 0; i < arg.nr_entries; i++) {
        ram += entries[i].type == E820_RAM ? entries[i].size : 0;
        low += entries[i].type == E820_RAM && !entries[i].addr ? entries[i].size : 0;
        bad += entries[i].addr < last || entries[i].size == 0;
        last = entries[i].addr + entries[i].size;
    }
    check(arg.nr_entries > 0 && bad == 0, "%u entries, in order, none empty",
          arg.nr_entries);
    check(ram >= 16ul << 20, "%lu MiB of RAM", ram >> 20);
    check(low >= 512ul << 10, "of it %lu KiB from 0 up", low >> 10);
    arg.nr_entries = 1;
    check_eq((uint64_t)memory_op(XENMEM_memory_map, &arg), 0,
             "memory_map with too little room");
    check_eq(arg.nr_entries, 1, "gives as many entries as there is room for");
}

static void totals(void)
{
    domid_t self = DOMID_SELF, nobody = 0x1234;
    long current = memory_op(XENMEM_current_reservation, &self);
    long highest = memory_op(XENMEM_maximum_gpfn, &self);
    long limit = memory_op(XENMEM_maximum_reservation, &self);

    check(current > 0x1000, "current_reservation is %ld pages", current);
    check(limit < 0 || limit >= current, "maximum_reservation is %ld pages", limit);
    check(highest >= 0x1000, "maximum_gpfn is %lx", highest);
    check_eq((uint64_t)memory_op(XENMEM_current_reservation, &nobody),
             (uint64_t)-XEN_ESRCH, "current_reservation of nobody");
    check(memory_op(XENMEM_maximum_ram_page, NULL) > 0x1000, "maximum_ram_page");
}

static void shared_info_moves(void)
{
    uint64_t *page = page_alloc(1);
    uint64_t hole = unused_gfn(8);
    volatile struct shared_info *at = (void *)(hole << 12);
    struct xen_add_to_physmap arg = place(XENMAPSPACE_shared_info, 0, hole);

    check_eq((uint64_t)memory_op(XENMEM_add_to_physmap, &arg), 0,
             "shared_info into a hole");
    check(at->vcpu_info[0].time.tsc_to_system_mul != 0, "it is there");
    /* Somewhere else: what was there comes away, RAM under the new place is given up. */
    page[0] = 0x1122334455667788ul;
    arg = place(XENMAPSPACE_shared_info, 0, GFN(page));
    check_eq((uint64_t)memory_op(XENMEM_add_to_physmap, &arg), 0, "shared_info over RAM");
    at = (void *)page;
    check(at->vcpu_info[0].time.tsc_to_system_mul != 0, "it is there, too");
    check_eq((uint64_t)remove(GFN(page)), 0, "remove_from_physmap");
    arg = place(XENMAPSPACE_shared_info, 1, hole);
    check(memory_op(XENMEM_add_to_physmap, &arg) < 0, "there is only one shared_info");
    arg = place(99, 0, hole);
    check(memory_op(XENMEM_add_to_physmap, &arg) < 0, "no such space");
    arg = place(XENMAPSPACE_shared_info, 0, hole);
    arg.domid = 0x1234;
    check_eq((uint64_t)memory_op(XENMEM_add_to_physmap, &arg), (uint64_t)-XEN_ESRCH,
             "add_to_physmap of nobody");
}

static void reservation(void)
{
    uint64_t *page = page_alloc(2);
    xen_pfn_t frames[2] = {GFN(page), GFN(page) + 1};
    struct xen_memory_reservation arg = {.nr_extents = 2, .domid = DOMID_SELF};
    domid_t self = DOMID_SELF;
    long before = memory_op(XENMEM_current_reservation, &self);

    set_xen_guest_handle(arg.extent_start, frames);
    page[0] = 0xa5a5;
    check_eq((uint64_t)memory_op(XENMEM_decrease_reservation, &arg), 2,
             "give up two pages");
    check_eq((uint64_t)memory_op(XENMEM_current_reservation, &self), (uint64_t)before - 2,
             "the reservation shrinks");
    check_eq((uint64_t)memory_op(XENMEM_populate_physmap, &arg), 2,
             "populate them again");
    check_eq((uint64_t)memory_op(XENMEM_current_reservation, &self), (uint64_t)before,
             "the reservation grows");
    WRITE_ONCE(page[0], 0x5a5a);
    WRITE_ONCE(page[1023], 0xa5a5);
    check(READ_ONCE(page[0]) == 0x5a5a && READ_ONCE(page[1023]) == 0xa5a5, "they work");
    check_eq((uint64_t)remove(GFN(page)), 0, "remove one by remove_from_physmap");
    arg.nr_extents = 1;
    check_eq((uint64_t)memory_op(XENMEM_populate_physmap, &arg), 1, "populate it");
    WRITE_ONCE(page[0], 1);
    check_eq(READ_ONCE(page[0]), 1, "it works");
    frames[0] = 1ul << 50;
    check(memory_op(XENMEM_populate_physmap, &arg) <= 0,
          "no page beyond the address space");
    check(memory_op(XENMEM_decrease_reservation, &arg) <= 0, "nothing to give up there");
    arg.domid = 0x1234;
    check_eq((uint64_t)memory_op(XENMEM_populate_physmap, &arg), 0, "populate nobody");
}

/* Page 0 is RAM as any other: the vectors of real mode are there. */
static void page_zero(void)
{
    struct xen_memory_reservation arg = {.nr_extents = 1, .domid = DOMID_SELF};
    volatile uint32_t *page;
    xen_pfn_t frame = 0;
    uint32_t first;

    asm("" : "=r"(page) : "0"(0ul)); /* the compiler takes NULL for a mistake */
    first = page[0];
    page[0] = first + 1;
    check_eq(page[0], first + 1, "page 0 can be written");
    page[0] = first;
    set_xen_guest_handle(arg.extent_start, &frame);
    check_eq((uint64_t)memory_op(XENMEM_decrease_reservation, &arg), 1, "give it up");
    page[1] = 0x5a5a5a5a;
    check_eq(page[1], 0xffffffff, "nothing is there");
    check_eq((uint64_t)memory_op(XENMEM_populate_physmap, &arg), 1, "populate it again");
    page[1] = 0x5a5a5a5a;
    check(page[0] == 0 && page[1] == 0x5a5a5a5a, "it was clear, and works");
}

static void batch(void)
{
    xen_ulong_t idx[1] = {0};
    xen_pfn_t gfns[1] = {unused_gfn(9)};
    int errors[1] = {1};
    struct xen_add_to_physmap_batch arg = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table, .size = 1};

    set_xen_guest_handle(arg.idxs, idx);
    set_xen_guest_handle(arg.gpfns, gfns);
    set_xen_guest_handle(arg.errs, errors);
    check_eq((uint64_t)memory_op(XENMEM_add_to_physmap_batch, &arg), 0,
             "add_to_physmap_batch of a grant frame");
    check_eq((uint64_t)errors[0], 0, "its result is 0");
    idx[0] = 1u << 20;
    memory_op(XENMEM_add_to_physmap_batch, &arg);
    check(errors[0] < 0, "a grant frame beyond the table has an error (%d)", errors[0]);
    check_eq((uint64_t)remove(gfns[0]), 0, "remove the grant frame");
}

static void errors(void)
{
    check_eq((uint64_t)memory_op(63, NULL), (uint64_t)-XEN_ENOSYS, "unknown sub-op");
    check_eq((uint64_t)memory_op(XENMEM_current_reservation, (void *)NOWHERE),
             (uint64_t)-XEN_EFAULT, "argument nowhere");
    check_eq((uint64_t)memory_op(XENMEM_memory_map, (void *)NOWHERE),
             (uint64_t)-XEN_EFAULT, "map to nowhere");
    check(remove(unused_gfn(10)) < 0, "remove a page that is not there");
}

void test_main(void)
{
    if (!env.xen) {
        skip("no Xen here", "memory_op");
        return;
    }
    map();
    totals();
    shared_info_moves();
    reservation();
    page_zero();
    batch();
    errors();
}
