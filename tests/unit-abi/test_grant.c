/* Grant tables: both versions, mappings, copies, refusals, death of either side.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"
#include "domain/grant.h"
#include <pthread.h>
#include <xen/grant_table.h>

#define GRANTER   1
#define USER      2
#define THIRD     3
#define RAM_PAGES 16
#define HOLE      100 /* gfns that nothing is at */

static struct domain *granter, *user, *third;
static grant_entry_v1_t *v1;
static grant_entry_v2_t *v2;
static grant_status_t *status;

static void begin(struct domain **d, domid_t id)
{
    *d = fake_domain(id, 1, RAM_PAGES);
    assert_int_equal(grant_domain_init(*d, 4, 2, 2), 0);
}

static void *table_frame(struct domain *d, unsigned int index, bool is_status)
{
    mfn_t mfn;

    assert_int_equal(grant_take_frame(d, index, is_status, &mfn), 0);
    frame_put(mfn); /* the table keeps it */
    return mfn_to_virt(mfn);
}

static int setup(void **state)
{
    begin(&granter, GRANTER);
    begin(&user, USER);
    begin(&third, THIRD);
    v1 = table_frame(granter, 0, false);
    return 0;
}

static void end(struct domain *d)
{
    if (!domain_is_dying(d)) {
        d->state = DOMAIN_DYING;
        grant_release_mappings(d);
        grant_domain_destroy(d);
    }
    grant_domain_free(d);
}

/* For the tear-down, which wants to kill it. */
static void revive(struct domain *d)
{
    d->state = DOMAIN_ALIVE;
    assert_int_equal(grant_domain_init(d, 4, 2, 2), 0);
}

static int teardown(void **state)
{
    /* In the order of death: who maps, then who granted. */
    end(user);
    end(third);
    end(granter);
    fake_domain_end(user);
    fake_domain_end(third);
    fake_domain_end(granter);
    assert_int_equal(fake_pages_in_use(), 0);
    return 0;
}

static void allow(uint32_t ref, domid_t who, uint32_t gfn, uint16_t flags)
{
    v1[ref] = (grant_entry_v1_t){GTF_permit_access | flags, who, gfn};
}

static struct gnttab_map_grant_ref map(struct domain *d, uint32_t ref, uint64_t gfn,
                                       uint32_t flags)
{
    struct gnttab_map_grant_ref op = {.host_addr = gfn << PAGE_SHIFT,
                                      .flags = GNTMAP_host_map | flags,
                                      .ref = ref,
                                      .dom = GRANTER};

    grant_map(d, &op);
    return op;
}

static int unmap(struct domain *d, uint64_t gfn, uint32_t handle)
{
    struct gnttab_unmap_grant_ref op = {.host_addr = gfn << PAGE_SHIFT, .handle = handle};

    grant_unmap(d, &op);
    return op.status;
}

static void map_and_unmap(void **state)
{
    void *page = fake_page(granter, 5);
    struct gnttab_map_grant_ref m, n;

    allow(9, USER, 5, 0);
    m = map(user, 9, HOLE, 0);
    assert_int_equal(m.status, GNTST_okay);
    assert_ptr_equal(fake_page(user, HOLE), page);
    assert_int_equal(fake_type(user, HOLE), P2M_GRANT_RW);
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_reading | GTF_writing);
    assert_int_equal(fake_page_refs(page), 3); /* RAM, the entry, the mapping */
    assert_int_equal(granter->ref_count, 2);
    assert_int_equal(m.dev_bus_addr, virt_to_maddr(page));

    n = map(user, 9, HOLE + 1, GNTMAP_readonly);
    assert_int_equal(n.status, GNTST_okay);
    assert_int_equal(fake_type(user, HOLE + 1), P2M_GRANT_RO);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_okay);
    assert_null(fake_page(user, HOLE));
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_reading);
    assert_int_equal(unmap(user, HOLE + 1, n.handle), GNTST_okay);
    assert_int_equal(v1[9].flags, GTF_permit_access);
    assert_int_equal(fake_page_refs(page), 1);
    assert_int_equal(granter->ref_count, 1);
}

static void refused(void **state)
{
    struct gnttab_map_grant_ref m;
    void *page = fake_page(granter, 5);

    allow(9, USER, 5, GTF_readonly);
    assert_int_equal(map(user, 9, HOLE, 0).status, GNTST_general_error);
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_readonly);
    assert_int_equal(map(third, 9, HOLE, GNTMAP_readonly).status, GNTST_general_error);
    assert_int_equal(map(user, 10, HOLE, 0).status, GNTST_general_error);
    assert_int_equal(map(user, 512, HOLE, 0).status, GNTST_bad_gntref);
    assert_int_equal(map(user, ~0u, HOLE, 0).status, GNTST_bad_gntref);
    assert_int_equal(map(user, 9, HOLE, GNTMAP_readonly | GNTMAP_device_map).status,
                     GNTST_general_error);
    assert_int_equal(map(user, 9, HOLE, GNTMAP_contains_pte).status, GNTST_general_error);
    assert_int_equal(map(user, 9, 1ull << 40, GNTMAP_readonly).status,
                     GNTST_general_error);
    assert_int_equal(map(user, 9, FAKE_GFNS, GNTMAP_readonly).status,
                     GNTST_general_error); /* the p2m refuses */
    m = (struct gnttab_map_grant_ref){.flags = GNTMAP_readonly, .ref = 9, .dom = GRANTER};
    grant_map(user, &m);
    assert_int_equal(m.status, GNTST_bad_gntref);
    m = (struct gnttab_map_grant_ref){.flags = GNTMAP_host_map, .ref = 9, .dom = 77};
    grant_map(user, &m);
    assert_int_equal(m.status, GNTST_bad_domain);
    allow(11, USER, HOLE, 0); /* there is no RAM */
    assert_int_equal(map(user, 11, HOLE, 0).status, GNTST_bad_page);
    assert_int_equal(v1[11].flags, GTF_permit_access);
    fake_set_type(granter, 6, P2M_RAM_RO);
    allow(12, USER, 6, 0);
    assert_int_equal(map(user, 12, HOLE, 0).status, GNTST_bad_page);
    fake_set_type(granter, 6, P2M_FOREIGN); /* not the granter's own */
    assert_int_equal(map(user, 12, HOLE, GNTMAP_readonly).status, GNTST_bad_page);
    fake_set_type(granter, 6, P2M_RAM_RW);
    assert_int_equal(fake_page_refs(page), 1);
    assert_int_equal(granter->ref_count, 1);
    /* Other domains cannot use an entry that is in use by its own. */
    allow(9, USER, 5, 0);
    m = map(user, 9, HOLE, 0);
    v1[9].domid = THIRD;
    assert_int_equal(map(third, 9, HOLE, 0).status, GNTST_general_error);
    /* While it is in use, it stays the page that it was. */
    v1[9] = (grant_entry_v1_t){GTF_permit_access, USER, 7};
    assert_ptr_equal(mfn_to_virt(maddr_to_mfn(map(user, 9, HOLE + 1, 0).dev_bus_addr)),
                     page);
}

static void bad_unmaps(void **state)
{
    struct gnttab_map_grant_ref m;
    void *page = fake_page(granter, 5);

    allow(9, USER, 5, 0);
    m = map(user, 9, HOLE, 0);
    assert_int_equal(unmap(user, HOLE, m.handle + 1), GNTST_bad_handle);
    assert_int_equal(unmap(user, HOLE, ~0u), GNTST_bad_handle);
    assert_int_equal(unmap(third, HOLE, m.handle), GNTST_bad_handle);
    assert_int_equal(unmap(user, HOLE + 1, m.handle), GNTST_general_error);
    assert_int_equal(unmap(user, 3, m.handle), GNTST_general_error); /* RAM */
    assert_int_equal(unmap(user, 0, m.handle), GNTST_okay);          /* nothing asked */
    assert_ptr_equal(fake_page(user, HOLE), page);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_okay);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_bad_handle);
    /* A guest that throws the mapping out of its p2m loses it, and keeps the handle. */
    m = map(user, 9, HOLE, 0);
    assert_int_equal(p2m_clear(user, GFN(HOLE), 0), 0);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_general_error);
    assert_int_equal(fake_page_refs(page), 2); /* the entry still holds it */
    end(user);
    assert_int_equal(fake_page_refs(page), 1);
    revive(user);
}

static void handles_run_out(void **state)
{
    struct gnttab_map_grant_ref m = {.status = 0};
    uint32_t handles[600], n;

    allow(9, USER, 5, 0);
    for (n = 0; n < 600; n++) {
        m = map(user, 9, HOLE, 0);
        if (m.status != GNTST_okay)
            break;
        handles[n] = m.handle;
    }
    assert_int_equal(n, 512); /* two frames of 256 */
    assert_int_equal(m.status, GNTST_no_device_space);
    assert_int_equal(unmap(user, HOLE, handles[77]), GNTST_okay);
    m = map(user, 9, HOLE, 0);
    assert_int_equal(m.status, GNTST_okay);
    assert_int_equal(m.handle, handles[77]);
}

static int copy(struct domain *d, struct gnttab_copy op)
{
    grant_copy(d, &op);
    return op.status;
}

static void copies(void **state)
{
    char *from = fake_page(granter, 5), *to = fake_page(user, 3);
    struct gnttab_copy op = {.source = {.u.ref = 9, .domid = GRANTER, .offset = 10},
                             .dest = {.u.gmfn = 3, .domid = DOMID_SELF, .offset = 4000},
                             .len = 96,
                             .flags = GNTCOPY_source_gref};

    allow(9, USER, 5, GTF_readonly);
    memset(from, 'x', PAGE_SIZE);
    assert_int_equal(copy(user, op), GNTST_okay);
    assert_int_equal(to[3999], 0);
    for (int i = 4000; i < 4096; i++)
        assert_int_equal(to[i], 'x');
    assert_int_equal(v1[9].flags, GTF_permit_access | GTF_readonly);
    op.len = 97; /* past the page */
    assert_int_equal(copy(user, op), GNTST_bad_copy_arg);
    op.len = 0xffff;
    op.dest.offset = 0xffff;
    assert_int_equal(copy(user, op), GNTST_bad_copy_arg);
    op.len = 1;
    op.dest.offset = 0;
    op.dest.domid = USER; /* a plain page is DOMID_SELF's only */
    assert_int_equal(copy(user, op), GNTST_permission_denied);
    op.dest.domid = DOMID_SELF;
    op.dest.u.gmfn = HOLE;
    assert_int_equal(copy(user, op), GNTST_bad_page);
    op.source.domid = 99;
    assert_int_equal(copy(user, op), GNTST_bad_domain);
    op = (struct gnttab_copy){.source = {.u.gmfn = 3, .domid = DOMID_SELF},
                              .dest = {.u.ref = 9, .domid = GRANTER},
                              .len = 8,
                              .flags = GNTCOPY_dest_gref};
    assert_int_equal(copy(user, op), GNTST_general_error); /* read-only */
    allow(9, USER, 5, 0);
    fake_set_type(granter, 5, P2M_RAM_LOGDIRTY);
    granter->p2m.logdirty = true;
    assert_int_equal(copy(user, op), GNTST_okay);
    assert_int_equal(fake_type(granter, 5), P2M_RAM_RW); /* marked dirty */
    assert_int_equal(from[0], 0);
    assert_int_equal(fake_page_refs(from), 1);
    assert_int_equal(fake_page_refs(to), 1);
}

static void to_version_2(void)
{
    assert_int_equal(grant_set_version(granter, 2), 0);
    v2 = (grant_entry_v2_t *)v1;
    status = table_frame(granter, 0, true);
}

static void version_2(void **state)
{
    struct gnttab_map_grant_ref m;

    assert_int_equal(grant_set_version(granter, 0), -EINVAL);
    assert_int_equal(grant_set_version(granter, 3), -EINVAL);
    assert_int_equal(grant_take_frame(granter, 0, true, &(mfn_t){0}), -EINVAL);
    assert_int_equal(grant_seed(granter, 1, 0, GFN(4)), 0); /* as the builder does */
    allow(20, USER, 5, 0);
    to_version_2();
    assert_int_equal(v2[1].hdr.flags, GTF_permit_access);
    assert_int_equal(v2[1].hdr.domid, 0);
    assert_int_equal(v2[1].full_page.frame, 4);
    assert_int_equal(v2[10].hdr.flags, GTF_invalid); /* entry 20's bytes are gone */

    v2[9] = (grant_entry_v2_t){.full_page = {{GTF_permit_access, USER}, 0, 5}};
    m = map(user, 9, HOLE, 0);
    assert_int_equal(m.status, GNTST_okay);
    assert_int_equal(v2[9].hdr.flags, GTF_permit_access);
    assert_int_equal(status[9], GTF_reading | GTF_writing);
    assert_int_equal(grant_set_version(granter, 1), -EBUSY);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_okay);
    assert_int_equal(status[9], 0);
    /* 256 entries a frame now. */
    assert_int_equal(map(user, 256, HOLE, 0).status, GNTST_bad_gntref);
    assert_int_equal(grant_set_version(granter, 1), 0);
    assert_int_equal(v1[1].frame, 4);
    assert_int_equal(v1[1].flags, GTF_permit_access);
}

/* The toolstack's entries stay in use while the version changes, there and back. */
static void version_2_with_reserved_in_use(void **state)
{
    struct gnttab_map_grant_ref m;

    assert_int_equal(grant_seed(granter, 1, USER, GFN(5)), 0);
    m = map(user, 1, HOLE, 0);
    assert_int_equal(m.status, GNTST_okay);
    to_version_2();
    assert_int_equal(v2[1].hdr.flags, GTF_permit_access);
    assert_int_equal(status[1], GTF_reading | GTF_writing);
    v2[2] = (grant_entry_v2_t){.full_page = {{GTF_permit_access, USER}, 0, 1ull << 32}};
    assert_int_equal(grant_set_version(granter, 1), -ERANGE);
    v2[2] = (grant_entry_v2_t){.hdr = {GTF_invalid, 0}};
    assert_int_equal(grant_set_version(granter, 1), 0);
    assert_int_equal(v1[1].flags, GTF_permit_access | GTF_reading | GTF_writing);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_okay);
    assert_int_equal(v1[1].flags, GTF_permit_access);
}

static void parts_of_pages(void **state)
{
    char *from = fake_page(granter, 5), *to = fake_page(user, 3);
    struct gnttab_copy op = {.source = {.u.ref = 9, .domid = GRANTER, .offset = 100},
                             .dest = {.u.gmfn = 3, .domid = DOMID_SELF},
                             .len = 50,
                             .flags = GNTCOPY_source_gref};

    to_version_2();
    memset(from, 'y', PAGE_SIZE);
    v2[9] = (grant_entry_v2_t){
        .sub_page = {{GTF_permit_access | GTF_sub_page, USER}, 100, 50, 5}};
    assert_int_equal(copy(user, op), GNTST_okay);
    assert_int_equal(to[49], 'y');
    assert_int_equal(to[50], 0);
    op.len = 51;
    assert_int_equal(copy(user, op), GNTST_general_error);
    op.source.offset = 99;
    op.len = 10;
    assert_int_equal(copy(user, op), GNTST_general_error);
    assert_int_equal(map(user, 9, HOLE, GNTMAP_readonly).status, GNTST_general_error);
    /* Nonsense in the entry stays within the page. */
    v2[9].sub_page.page_off = 0xffff;
    v2[9].sub_page.length = 0xffff;
    assert_int_equal(copy(user, op), GNTST_general_error);
    assert_int_equal(status[9], 0);
    assert_int_equal(fake_page_refs(from), 1);
}

/* third grants to granter, granter passes on to user. */
static void passed_on(void **state)
{
    grant_entry_v1_t *t1 = table_frame(third, 0, false);
    char *from = fake_page(third, 6), *to = fake_page(user, 3);
    struct gnttab_copy op = {.source = {.u.ref = 9, .domid = GRANTER},
                             .dest = {.u.gmfn = 3, .domid = DOMID_SELF},
                             .len = 16,
                             .flags = GNTCOPY_source_gref};

    to_version_2();
    t1[12] = (grant_entry_v1_t){GTF_permit_access | GTF_readonly, GRANTER, 6};
    v2[9] = (grant_entry_v2_t){.transitive = {{GTF_transitive, USER}, THIRD, 0, 12}};
    memset(from, 'z', PAGE_SIZE);
    assert_int_equal(copy(user, op), GNTST_okay);
    assert_int_equal(to[15], 'z');
    assert_int_equal(map(user, 9, HOLE, GNTMAP_readonly).status, GNTST_general_error);
    /* Not for us, or to nowhere, or in a circle. */
    t1[12].domid = USER;
    assert_int_equal(copy(user, op), GNTST_general_error);
    v2[9].transitive.trans_domid = 55;
    assert_int_equal(copy(user, op), GNTST_general_error);
    v2[9].transitive.trans_domid = GRANTER;
    v2[9].transitive.gref = 9;
    v2[9].hdr.domid = GRANTER;
    op.source.domid = GRANTER;
    assert_int_equal(copy(granter, op), GNTST_general_error);
    assert_int_equal(status[9], 0);
    assert_int_equal(t1[12].flags, GTF_permit_access | GTF_readonly);
    assert_int_equal(third->ref_count, 1);
    assert_int_equal(granter->ref_count, 1);
}

static void granter_dies(void **state)
{
    char *page = fake_page(granter, 5);
    struct gnttab_map_grant_ref m;

    allow(9, USER, 5, 0);
    m = map(user, 9, HOLE, 0);
    granter->state = DOMAIN_DYING;
    grant_release_mappings(granter);
    assert_int_equal(p2m_clear(granter, GFN(5), 0), 0);
    grant_domain_destroy(granter);
    page[0] = 1; /* still there for its user */
    assert_int_equal(fake_page_refs(page), 2);
    assert_int_equal(map(user, 9, HOLE + 1, 0).status, GNTST_bad_gntref);
    assert_int_equal(unmap(user, HOLE, m.handle), GNTST_okay);
    assert_int_equal(granter->ref_count, 1);
}

static void user_dies(void **state)
{
    void *page = fake_page(granter, 5);

    allow(9, USER, 5, 0);
    map(user, 9, HOLE, 0);
    map(user, 9, HOLE + 1, GNTMAP_readonly);
    assert_int_equal(p2m_clear(user, GFN(HOLE), 0), 0);
    assert_int_equal(p2m_clear(user, GFN(HOLE + 1), 0), 0);
    end(user);
    assert_int_equal(fake_page_refs(page), 1);
    assert_int_equal(v1[9].flags, GTF_permit_access);
    assert_int_equal(granter->ref_count, 1);
    revive(user);
}

static void swaps(void **state)
{
    struct gnttab_map_grant_ref m;

    allow(9, USER, 5, 0);
    allow(10, THIRD, 6, 0);
    assert_int_equal(grant_swap(granter, 9, 10), GNTST_okay);
    assert_int_equal(v1[9].frame, 6);
    assert_int_equal(v1[10].domid, USER);
    assert_int_equal(grant_swap(granter, 9, 512), GNTST_bad_gntref);
    m = map(user, 10, HOLE, 0);
    assert_int_equal(m.status, GNTST_okay);
    assert_int_equal(grant_swap(granter, 9, 10), GNTST_eagain);
}

static void limits(void **state)
{
    struct domain *d = fake_domain(9, 1, 1);
    mfn_t mfn;

    assert_int_equal(grant_domain_init(d, 100000, 1, 1), -EINVAL);
    assert_int_equal(grant_domain_init(d, 0, 1, 1), -EINVAL);
    assert_int_equal(grant_domain_init(d, 1, 100000, 1), -EINVAL);
    assert_int_equal(grant_domain_init(d, 1, 1, 3), -EINVAL);
    assert_int_equal(grant_domain_init(d, 1, 1, 0), -EINVAL);
    for (fake_allocs_left = 0; fake_allocs_left < 7; fake_allocs_left++) {
        unsigned int keep = fake_allocs_left;

        assert_int_equal(grant_domain_init(d, 2, 1, 1), -ENOMEM);
        assert_null(d->grant);
        fake_allocs_left = keep;
    }
    fake_allocs_left = ~0u;
    assert_int_equal(grant_domain_init(d, 2, 1, 1), 0);
    assert_int_equal(grant_nr_frames(d, false), 1);
    assert_int_equal(grant_set_version(d, 2), -ENOSYS);
    assert_int_equal(grant_take_frame(d, 2, false, &mfn), -EINVAL);
    assert_int_equal(grant_take_frame(d, 1, false, &mfn), 0);
    frame_put(mfn);
    assert_int_equal(grant_nr_frames(d, false), 2);
    assert_int_equal(grant_grow(d, 3), -EINVAL);
    assert_int_equal(grant_frame_gfn(d, 1, false), INVALID_GFN.n);
    grant_frame_placed(d, 1, false, 77);
    assert_int_equal(grant_frame_gfn(d, 1, false), 77);
    end(d);
    fake_domain_end(d);
    d = fake_domain(9, 1, 1);
    assert_int_equal(grant_domain_init(d, ~0u, ~0u, 2), 0); /* the defaults */
    assert_int_equal(grant_max_frames(d, false), 64);
    end(d);
    fake_domain_end(d);
}

/* The granter changes its entry all the time while another maps and unmaps. */
static volatile bool done;

static void *changer(void *arg)
{
    for (unsigned int i = 0; !done; i++) {
        uint16_t flags = i % 3 ? GTF_permit_access : GTF_invalid;

        __atomic_store_n(&v1[9].domid, i % 5 ? USER : THIRD, __ATOMIC_RELAXED);
        __atomic_store_n(&v1[9].flags, flags, __ATOMIC_RELAXED);
        __atomic_store_n(&v1[9].frame, i % (RAM_PAGES + 3), __ATOMIC_RELAXED);
    }
    return NULL;
}

static void unstable(void **state)
{
    unsigned int good = 0;
    pthread_t thread;

    allow(9, USER, 5, 0);
    done = false;
    pthread_create(&thread, NULL, changer, NULL);
    /* Where threads take turns on one CPU it may take a while until one is good. */
    for (unsigned int i = 0; i < 50000 || (!good && i < 500000000); i++) {
        struct gnttab_map_grant_ref m = map(user, 9, HOLE, i & 1 ? GNTMAP_readonly : 0);

        if (m.status != GNTST_okay)
            continue;
        good++;
        assert_int_equal(unmap(user, HOLE, m.handle), GNTST_okay);
    }
    done = true;
    pthread_join(thread, NULL);
    assert_true(good > 0);
    for (unsigned int gfn = 0; gfn < RAM_PAGES; gfn++)
        assert_int_equal(fake_page_refs(fake_page(granter, gfn)), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(map_and_unmap),  T(refused),
        T(bad_unmaps),     T(handles_run_out),
        T(copies),         T(version_2),
        T(passed_on),      T(granter_dies),
        T(user_dies),      T(swaps),
        T(parts_of_pages), T(limits),
        T(unstable),       T(version_2_with_reserved_in_use),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("grant tables", tests, NULL, NULL);
}
