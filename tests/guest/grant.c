/*
 * Grant tables with ourselves as the other side: set up, map, unmap, copy, query, and
 * refusals (xen/grant_table.h). SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "grant";

#define TABLE_GFN_INDEX 16
#define MAP_GFN_INDEX   24
#define REF_FIRST       GNTTAB_NR_RESERVED_ENTRIES
#define NOWHERE         0x700000000000ul

static grant_entry_v1_t *table;
static domid_t self;

static long setup(void)
{
    struct xen_add_to_physmap arg = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_grant_table,
        .gpfn = unused_gfn(TABLE_GFN_INDEX),
    };
    long rc = memory_op(XENMEM_add_to_physmap, &arg);

    table = (grant_entry_v1_t *)(arg.gpfn << 12);
    return rc;
}

static void grant(grant_ref_t ref, const void *page, uint16_t flags)
{
    table[ref].domid = self;
    table[ref].frame = (uint32_t)GFN(page);
    asm volatile("" ::: "memory");
    WRITE_ONCE(table[ref].flags, GTF_permit_access | flags);
}

static struct gnttab_map_grant_ref map(grant_ref_t ref, uint64_t gpa, uint32_t flags)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = gpa, .flags = GNTMAP_host_map | flags, .ref = ref, .dom = self};

    check_eq((uint64_t)grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0,
             "map_grant_ref");
    return op;
}

static struct gnttab_unmap_grant_ref unmap(uint64_t gpa, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = {.host_addr = gpa, .handle = handle};

    check_eq((uint64_t)grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1), 0,
             "unmap_grant_ref");
    return op;
}

static void query(void)
{
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    struct gnttab_get_version version = {.dom = DOMID_SELF};

    check_eq((uint64_t)grant_table_op(GNTTABOP_query_size, &size, 1), 0, "query_size");
    check_eq((uint64_t)size.status, GNTST_okay, "query_size: status");
    check(size.nr_frames >= 1 && size.max_nr_frames >= size.nr_frames, "%u of %u frames",
          size.nr_frames, size.max_nr_frames);
    check_eq((uint64_t)grant_table_op(GNTTABOP_get_version, &version, 1), 0,
             "get_version");
    check(version.version == 1 || version.version == 0, "it is version 1");
    size.dom = 0x1234;
    grant_table_op(GNTTABOP_query_size, &size, 1);
    check_eq((uint64_t)size.status, (uint64_t)GNTST_bad_domain, "query_size of nobody");
}

static void map_page(void)
{
    uint64_t *page = page_alloc(1);
    uint64_t gpa = unused_gfn(MAP_GFN_INDEX) << 12;
    volatile uint64_t *window = (void *)gpa;
    struct gnttab_map_grant_ref m;

    page[5] = 0x1234567;
    grant(REF_FIRST, page, 0);
    m = map(REF_FIRST, gpa, 0);
    if (!check_eq((uint64_t)m.status, GNTST_okay, "map our own grant"))
        return;
    check_eq(window[5], 0x1234567, "the mapping shows the page");
    window[6] = 0x7654321;
    check_eq(READ_ONCE(page[6]), 0x7654321, "and can be written");
    check_eq(READ_ONCE(table[REF_FIRST].flags) & (GTF_reading | GTF_writing),
             GTF_reading | GTF_writing, "the entry says that it is in use");
    check_eq((uint64_t)unmap(gpa, m.handle).status, GNTST_okay, "unmap it");
    check_eq(READ_ONCE(table[REF_FIRST].flags) & (GTF_reading | GTF_writing), 0,
             "the entry is free again");
    check(unmap(gpa, m.handle).status < 0, "unmap twice is an error");
    check(unmap(gpa, 0x7fffffff).status < 0, "no such handle");

    grant(REF_FIRST, page, GTF_readonly);
    m = map(REF_FIRST, gpa, 0);
    check(m.status < 0, "a read-only grant is not mapped writable (%d)", m.status);
    m = map(REF_FIRST, gpa, GNTMAP_readonly);
    if (check_eq((uint64_t)m.status, GNTST_okay, "but read-only")) {
        check_eq(window[5], 0x1234567, "the read-only mapping shows the page");
        unmap(gpa, m.handle);
    }
    table[REF_FIRST].flags = 0;
    m = map(REF_FIRST, gpa, 0);
    check(m.status < 0, "an unused entry is not mapped (%d)", m.status);
    m = map(1u << 24, gpa, 0);
    check_eq((uint64_t)m.status, (uint64_t)GNTST_bad_gntref, "nor one beyond the table");
}

static void copy(void)
{
    uint8_t *from = page_alloc(1), *to = page_alloc(1);
    struct gnttab_copy op = {0};

    for (unsigned i = 0; i < PAGE_SIZE; i++)
        from[i] = (uint8_t)(i * 7 + i / 256);
    grant(REF_FIRST + 1, from, GTF_readonly);
    grant(REF_FIRST + 2, to, 0);
    op.source.u.ref = REF_FIRST + 1;
    op.source.domid = self;
    op.source.offset = 0;
    op.dest.u.ref = REF_FIRST + 2;
    op.dest.domid = self;
    op.len = PAGE_SIZE;
    op.flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    check_eq((uint64_t)grant_table_op(GNTTABOP_copy, &op, 1), 0, "copy");
    check_eq((uint64_t)op.status, GNTST_okay, "copy grant to grant");
    check_eq((uint64_t)memcmp(from, to, PAGE_SIZE), 0, "it is all there");

    memset(to, 0, PAGE_SIZE);
    op.flags = GNTCOPY_source_gref;
    op.source.offset = 100;
    op.dest.u.gmfn = GFN(to);
    op.dest.domid = DOMID_SELF;
    op.dest.offset = 200;
    op.len = 50;
    grant_table_op(GNTTABOP_copy, &op, 1);
    check(op.status == GNTST_okay && !memcmp(from + 100, to + 200, 50) && !to[199] &&
              !to[250],
          "copy a part of a grant to a page of ours");
    op.len = PAGE_SIZE;
    grant_table_op(GNTTABOP_copy, &op, 1);
    check_eq((uint64_t)op.status, (uint64_t)GNTST_bad_copy_arg,
             "a copy must not leave its page");
    op.len = 8;
    op.flags = GNTCOPY_dest_gref;
    op.source.u.gmfn = GFN(to);
    op.source.domid = DOMID_SELF;
    op.source.offset = 0;
    op.dest.u.ref = REF_FIRST + 1;
    op.dest.domid = self;
    op.dest.offset = 0;
    grant_table_op(GNTTABOP_copy, &op, 1);
    check(op.status < 0, "no copy into a read-only grant (%d)", op.status);
    op.dest.domid = 0x1234;
    grant_table_op(GNTTABOP_copy, &op, 1);
    check_eq((uint64_t)op.status, (uint64_t)GNTST_bad_domain, "no copy to nobody");
}

static void many(void)
{
    struct gnttab_map_grant_ref maps[4];
    struct gnttab_unmap_grant_ref unmaps[4];
    uint64_t *page = page_alloc(1);
    unsigned good = 0;

    grant(REF_FIRST + 3, page, 0);
    for (unsigned i = 0; i < 4; i++)
        maps[i] = (struct gnttab_map_grant_ref){.host_addr = unused_gfn(MAP_GFN_INDEX + i)
                                                             << 12,
                                                .flags = GNTMAP_host_map,
                                                .ref = i == 2 ? 1u << 24 : REF_FIRST + 3,
                                                .dom = self};
    check_eq((uint64_t)grant_table_op(GNTTABOP_map_grant_ref, maps, 4), 0,
             "four maps at once");
    check(maps[0].status == 0 && maps[1].status == 0 && maps[2].status < 0 &&
              maps[3].status == 0,
          "only the bad one fails");
    for (unsigned i = 0; i < 4; i++)
        unmaps[i] = (struct gnttab_unmap_grant_ref){.host_addr = maps[i].host_addr,
                                                    .handle = maps[i].handle};
    unmaps[2].handle = 0x7ffffff;
    grant_table_op(GNTTABOP_unmap_grant_ref, unmaps, 4);
    for (unsigned i = 0; i < 4; i++)
        good += unmaps[i].status == 0;
    check_eq(good, 3, "three unmaps succeed");
    check_eq(READ_ONCE(table[REF_FIRST + 3].flags) & (GTF_reading | GTF_writing), 0,
             "the entry is free after the last");
}

static void errors(void)
{
    struct gnttab_set_version version = {.version = 3};
    struct gnttab_map_grant_ref map = {
        .host_addr = 0x10000000, .flags = GNTMAP_host_map, .dom = DOMID_SELF};
    struct gnttab_copy copy = {.source = {.domid = 0x1234},
                               .dest = {.domid = DOMID_SELF}};

    check_eq((uint64_t)grant_table_op(GNTTABOP_set_version, &version, 1),
             (uint64_t)-XEN_EINVAL, "there is no version 3");
    check_eq((uint64_t)grant_table_op(999, &version, 1), (uint64_t)-XEN_ENOSYS,
             "unknown sub-op");
    check_eq((uint64_t)grant_table_op(GNTTABOP_map_grant_ref, (void *)NOWHERE, 1),
             (uint64_t)-XEN_EFAULT, "operations nowhere");
    check_eq((uint64_t)grant_table_op(GNTTABOP_map_grant_ref, NULL, 0), 0,
             "no operations");
    grant_table_op(GNTTABOP_map_grant_ref, &map, 1);
    check_eq((uint64_t)map.status, (uint64_t)GNTST_bad_domain,
             "DOMID_SELF grants nothing to itself");
    grant_table_op(GNTTABOP_copy, &copy, 1);
    check_eq((uint64_t)copy.status, (uint64_t)GNTST_bad_domain,
             "copy from a domain that is not");
}

void test_main(void)
{
    if (!env.xen) {
        skip("no Xen here", "grant tables");
        return;
    }
    self = env.dom0 ? 0 : DOMID_SELF;
    query();
    if (!check_eq((uint64_t)setup(), 0, "the first frame is mapped"))
        return;
    map_page();
    copy();
    many();
    errors();
}
