/*
 * What Dom0's tools ask for a guest, with random arguments: domctl, dm_op, hvm_op, memory
 * and event channel operations on a domain that is made for it, damaged HVM context
 * records, and the guest runs from whatever state comes out. Then it is destroyed, and
 * nothing of it may be left. Before that one sleeps (S3) and wakes. Options seed=,
 * seconds=. What would rightly harm Dom0 itself is left out: its own frames, the
 * machine's ports and memory for the guest. With the option refused=1 only: a guest gets
 * a state that some processors do not enter. SPDX-License-Identifier: GPL-2.0-or-later
 */
#define __XEN_TOOLS__ 1
#include "xen.h"

#include <xen/domctl.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>
#include <xen/sysctl.h>

const char test_title[] = "tools";

#define DEFAULT_SECONDS 10
#define CALLS           300 /* for each guest */
#define GUEST_KIB       4096
#define GUEST_VCPUS     2
#define CONTEXT_BYTES   (8 * PAGE_SIZE)
#define SAFE_GFN        0xfd900ul /* nothing of ours is there */
#define RUN_NS          2000000

static uint64_t seed;
static uint8_t *arena, *context, *page;
static domid_t guest;
static uint64_t calls, refusals, loads, loads_taken;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* No value here is an address of this kernel: results are written to some. */
static uint64_t edge(void)
{
    static const uint64_t edges[] = {
        0,          0,         0,         1,          1,          2,          3,
        4,          7,         8,         9,          15,         16,         18,
        31,         32,        63,        64,         127,        128,        255,
        256,        0x3ff,     0x400,     0xfff,      0x1000,     0xfee00,    0xfec00,
        DOMID_SELF, DOMID_IO,  DOMID_XEN, 0x7fffffff, 0x80000000, 0xffffffff, 1ul << 32,
        1ul << 36,  1ul << 40, 1ul << 52, 1ul << 63,  ~0ul,       ~0ul - 1,   SAFE_GFN,
        0xffffffff0};

    return edges[random64() % ARRAY_LEN(edges)];
}

/* A structure of words by chance; a third of them point to memory of ours. */
static void fill(uint8_t *at, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 8) {
        uint64_t v = random64() & 3 ? edge() : random64();

        *(uint64_t *)(at + i) = random64() % 3 ? v : PTR(page);
    }
    for (unsigned n = (unsigned)random64() % 8; n; n--)
        *(uint32_t *)(at + random64() % (bytes / 4) * 4) = (uint32_t)edge();
}

static long count(long rc)
{
    calls++;
    refusals += rc < 0;
    return rc;
}

static long domctl(struct xen_domctl *op, uint32_t cmd)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = guest;
    return hypercall(__HYPERVISOR_domctl, PTR(op), 0, 0, 0, 0);
}

static uint64_t free_pages(void)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo,
                            .interface_version = XEN_SYSCTL_INTERFACE_VERSION};

    if (hypercall(__HYPERVISOR_sysctl, PTR(&op), 0, 0, 0, 0))
        panic("physinfo is refused");
    return op.u.physinfo.free_pages;
}

/* ---- the guest ---- */

static bool make_guest(void)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain,
                            .interface_version = XEN_DOMCTL_INTERFACE_VERSION};
    struct xen_memory_reservation memory = {.nr_extents = GUEST_KIB / 4};
    xen_pfn_t *frames = (xen_pfn_t *)context;
    long rc;

    op.u.createdomain = (struct xen_domctl_createdomain){
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .max_vcpus = GUEST_VCPUS,
        .max_evtchn_port = 1023,
        .max_grant_frames = 4,
        .max_maptrack_frames = 4,
        .grant_opts = 2,
        .arch.emulation_flags =
            random64() & 3 ? XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI : XEN_X86_EMU_LAPIC};
    op.domain = 0;
    rc = hypercall(__HYPERVISOR_domctl, PTR(&op), 0, 0, 0, 0);
    if (rc)
        return check(false, "a domain is made (%ld)", rc);
    guest = op.domain;
    op.u.max_mem.max_memkb = GUEST_KIB + 1024;
    rc = domctl(&op, XEN_DOMCTL_max_mem);
    op.u.max_vcpus.max = GUEST_VCPUS;
    if (!rc)
        rc = domctl(&op, XEN_DOMCTL_max_vcpus);
    for (unsigned i = 0; i < GUEST_KIB / 4; i++)
        frames[i] = i;
    memory.domid = guest;
    set_xen_guest_handle(memory.extent_start, frames);
    if (!rc)
        rc = memory_op(XENMEM_populate_physmap, &memory) == GUEST_KIB / 4 ? 0 : -1;
    return rc ? check(false, "it has memory and vCPUs (%ld)", rc) : true;
}

/* Let it run for a while, from the state that it has. */
static void run_guest(void)
{
    struct xen_domctl op = {0};
    uint64_t start = rdtsc();

    domctl(&op, XEN_DOMCTL_unpausedomain);
    while (rdtsc() - start < ms_to_tsc(1) * RUN_NS / 1000000)
        sched_op(SCHEDOP_yield, NULL);
    domctl(&op, XEN_DOMCTL_pausedomain);
}

static bool destroy_guest(void)
{
    struct xen_domctl op = {0};
    long rc;

    do
        rc = domctl(&op, XEN_DOMCTL_destroydomain);
    while (rc == -XEN_EAGAIN);
    return !rc || rc == -XEN_ESRCH;
}

/* ---- what is done to it ---- */

static bool harms_us(const struct xen_domctl *op)
{
    switch (op->cmd) {
    case XEN_DOMCTL_createdomain: /* a domain that nobody would destroy */
    case XEN_DOMCTL_memory_mapping:
    case XEN_DOMCTL_ioport_mapping:
    case XEN_DOMCTL_ioport_permission:
    case XEN_DOMCTL_iomem_permission:
    case XEN_DOMCTL_irq_permission:
    case XEN_DOMCTL_set_virq_handler:
    case XEN_DOMCTL_bind_pt_irq:
        return true;
    default:
        return false;
    }
}

static void random_domctl(void)
{
    struct xen_domctl *op = (struct xen_domctl *)arena;

    fill(arena, sizeof(*op));
    op->cmd = (uint32_t)(1 + random64() % 86);
    memset(op->_pad, 0, sizeof(op->_pad));
    if (!harms_us(op))
        count(domctl(op, op->cmd));
}

static void random_dm_op(void)
{
    struct xen_dm_op_buf bufs[3];
    struct xen_dm_op *op = (struct xen_dm_op *)arena;
    unsigned n = random64() & 7 ? 1 + (unsigned)random64() % 2 : (unsigned)edge();

    fill(arena, sizeof(*op));
    fill(page, 256);
    op->op = (uint32_t)(random64() % 21);
    op->pad = 0;
    set_xen_guest_handle(bufs[0].h, (void *)op);
    bufs[0].size = random64() & 15 ? sizeof(*op) : edge();
    set_xen_guest_handle(bufs[1].h, (void *)page);
    bufs[1].size = random64() & 1 ? random64() % 256 : edge();
    set_xen_guest_handle(bufs[2].h, (void *)edge());
    bufs[2].size = edge();
    count(hypercall(__HYPERVISOR_dm_op, guest, n, PTR(bufs), 0, 0));
}

static void random_hvm_op(void)
{
    fill(arena, 128);
    *(domid_t *)arena = guest;
    if (random64() & 1) /* an index of a parameter */
        *(uint32_t *)(arena + 4) = (uint32_t)(random64() % 40);
    count(hvm_op((unsigned)(random64() % 27), arena));
}

/* Operations on the guest's memory. In structures where the domain comes later frames of
 * ours would be changed: these have functions of their own. */
static void random_memory_op(void)
{
    static const uint8_t first_is_domid[] = {
        XENMEM_add_to_physmap, XENMEM_remove_from_physmap, XENMEM_current_reservation,
        XENMEM_maximum_gpfn,   XENMEM_maximum_reservation, XENMEM_set_memory_map,
        XENMEM_get_vnumainfo,  XENMEM_access_op,           XENMEM_paging_op,
        XENMEM_sharing_op,     XENMEM_claim_pages};
    unsigned cmd = first_is_domid[random64() % ARRAY_LEN(first_is_domid)];

    fill(arena, 128);
    fill(page, 512);
    *(domid_t *)arena = guest;
    count(memory_op((int)cmd, arena));
}

static void random_reservation(void)
{
    static const uint8_t cmds[] = {XENMEM_increase_reservation,
                                   XENMEM_decrease_reservation, XENMEM_populate_physmap};
    struct xen_memory_reservation r = {
        .nr_extents = random64() % 8,
        .extent_order = (uint32_t)random64() % 12,
        .mem_flags = random64() & 3 ? (uint32_t)edge() : XENMEMF_populate_on_demand,
        .domid = guest};

    for (unsigned i = 0; i < 8; i++)
        ((uint64_t *)page)[i] = random64() & 1 ? edge() : random64() % 2048;
    set_xen_guest_handle(r.extent_start, (xen_pfn_t *)page);
    count(memory_op(cmds[random64() % ARRAY_LEN(cmds)], &r));
}

/* How much of its map has memory; the rest is on demand. */
static void random_target(void)
{
    xen_pod_target_t t = {.domid = guest,
                          .target_pages = random64() & 3 ? random64() % 2048 : edge()};

    count(memory_op(random64() & 3 ? XENMEM_set_pod_target : XENMEM_get_pod_target, &t));
}

/* Its special pages, into ours and back. */
static void random_resource(void)
{
    struct xen_mem_acquire_resource r = {.domid = guest,
                                         .type = (uint16_t)(random64() % 4),
                                         .id = (uint32_t)edge(),
                                         .nr_frames = (uint32_t)random64() % 5,
                                         .frame =
                                             random64() & 3 ? random64() % 4 : edge()};
    struct xen_remove_from_physmap away = {.domid = DOMID_SELF};

    for (unsigned i = 0; i < 8; i++)
        ((xen_pfn_t *)page)[i] = SAFE_GFN + i;
    set_xen_guest_handle(r.frame_list, (xen_pfn_t *)page);
    count(memory_op(XENMEM_acquire_resource, &r));
    for (unsigned i = 0; i < 8; i++) {
        away.gpfn = SAFE_GFN + i;
        memory_op(XENMEM_remove_from_physmap, &away);
    }
}

/* A page of the guest among ours, written, and taken away. */
static void random_foreign(void)
{
    xen_ulong_t idx = random64() & 3 ? random64() % 2048 : edge();
    xen_pfn_t gfn = SAFE_GFN + 16;
    int error = 0;
    struct xen_add_to_physmap_batch batch = {.domid = DOMID_SELF,
                                             .space = XENMAPSPACE_gmfn_foreign,
                                             .size = 1,
                                             .u.foreign_domid = guest};
    struct xen_remove_from_physmap away = {.domid = DOMID_SELF, .gpfn = gfn};

    set_xen_guest_handle(batch.idxs, &idx);
    set_xen_guest_handle(batch.gpfns, &gfn);
    set_xen_guest_handle(batch.errs, &error);
    if (count(memory_op(XENMEM_add_to_physmap_batch, &batch)) || error)
        return;
    for (unsigned i = 0; i < 512; i += 8)
        ((volatile uint64_t *)(gfn << 12))[i] = random64();
    if (random64() & 1)
        random_resource(); /* while it is mapped */
    memory_op(XENMEM_remove_from_physmap, &away);
}

static void random_evtchn_op(void)
{
    static const uint8_t cmds[] = {EVTCHNOP_alloc_unbound, EVTCHNOP_status,
                                   EVTCHNOP_reset};
    struct evtchn_close close = {0};
    struct evtchn_bind_interdomain bind = {.remote_dom = guest};

    fill(arena, 64);
    *(domid_t *)arena = guest;
    if (random64() & 1)
        *(domid_t *)(arena + 2) = DOMID_SELF;
    count(evtchn_op(cmds[random64() % ARRAY_LEN(cmds)], arena));
    bind.remote_port = (uint32_t)(random64() % 12);
    if (!count(evtchn_op(EVTCHNOP_bind_interdomain, &bind))) {
        close.port = bind.local_port;
        evtchn_op(EVTCHNOP_close, &close);
    }
}

/* A context that is right but for a few bytes, as a damaged or hostile image has them. */
static void damaged_context(void)
{
    struct xen_domctl op = {0};
    uint32_t bytes, at = 0;
    long rc;

    set_xen_guest_handle(op.u.hvmcontext.buffer, context);
    op.u.hvmcontext.size = CONTEXT_BYTES;
    if (count(domctl(&op, XEN_DOMCTL_gethvmcontext)))
        return;
    bytes = op.u.hvmcontext.size;
    for (unsigned n = (unsigned)random64() % 12; n; n--) {
        at = (uint32_t)(random64() % bytes);
        if (random64() & 1)
            context[at] = (uint8_t)random64();
        else if (at + 8 <= bytes)
            *(uint64_t *)(context + at) = edge();
    }
    if (random64() % 8 == 0)
        bytes = (uint32_t)(random64() % (bytes + 1));
    set_xen_guest_handle(op.u.hvmcontext.buffer, context);
    op.u.hvmcontext.size = bytes;
    rc = count(domctl(&op, XEN_DOMCTL_sethvmcontext));
    loads++;
    loads_taken += !rc;
    if (!rc && random64() & 1)
        run_guest();
}

/* Behind the header of the context that was got: a vCPU in real mode, but for the DPL of
 * its code, and the end. The bytes of all. */
static uint32_t put_cpu_record(unsigned cs_dpl)
{
    struct hvm_save_descriptor *d = (void *)context;
    struct hvm_hw_cpu *cpu;

    d = (void *)((uint8_t *)(d + 1) + d->length);
    *d = (struct hvm_save_descriptor){.typecode = HVM_SAVE_CODE(CPU),
                                      .length = sizeof(*cpu)};
    cpu = (void *)(d + 1);
    memset(cpu, 0, sizeof(*cpu));
    cpu->cs_limit = cpu->ds_limit = cpu->es_limit = cpu->fs_limit = cpu->gs_limit =
        cpu->ss_limit = cpu->gdtr_limit = cpu->idtr_limit = cpu->tr_limit =
            cpu->ldtr_limit = 0xffff;
    cpu->cs_arbytes = 0x9b | cs_dpl << 5;
    cpu->ds_arbytes = cpu->es_arbytes = cpu->fs_arbytes = cpu->gs_arbytes =
        cpu->ss_arbytes = 0x93;
    cpu->tr_arbytes = 0x8b;
    cpu->ldtr_arbytes = 0x82;
    d = (void *)(cpu + 1);
    *d = (struct hvm_save_descriptor){.typecode = HVM_SAVE_CODE(END)};
    return (uint32_t)((uint8_t *)(d + 1) - context);
}

/* Code of ring 3 on a stack of ring 0: no processor comes to that by itself. One that
 * checks ends the guest; nobody else notices. */
static void refused_state(void)
{
    struct xen_domctl op = {0};
    unsigned shutdown;

    if (!make_guest())
        return;
    set_xen_guest_handle(op.u.hvmcontext.buffer, context);
    op.u.hvmcontext.size = CONTEXT_BYTES;
    if (domctl(&op, XEN_DOMCTL_gethvmcontext))
        panic("no context");
    set_xen_guest_handle(op.u.hvmcontext.buffer, context);
    op.u.hvmcontext.size = put_cpu_record(3);
    check_eq(domctl(&op, XEN_DOMCTL_sethvmcontext), 0, "the context is taken");
    run_guest();
    check_eq(domctl(&op, XEN_DOMCTL_getdomaininfo), 0, "the guest is still there");
    shutdown = op.u.getdomaininfo.flags;
    check(shutdown & XEN_DOMINF_shutdown && (shutdown >> XEN_DOMINF_shutdownshift &
                                             XEN_DOMINF_shutdownmask) == SHUTDOWN_crash,
          "it has crashed (flags %x)", shutdown);
    check(destroy_guest(), "it can be destroyed");
    if (make_guest())
        check(destroy_guest(), "the next one can be made");
}

/* ---- suspend to RAM ---- */

#define RESET_VECTOR 0xffff0u
#define MARK_AT      0x1000u
#define BEGIN_MS     5000

static long s_state(int set, uint64_t value)
{
    struct xen_hvm_param p = {
        .domid = guest, .index = HVM_PARAM_ACPI_S_STATE, .value = value};
    long rc = hvm_op(set ? HVMOP_set_param : HVMOP_get_param, &p);

    return rc ? rc : (long)p.value;
}

/* A page of the guest among ours, at SAFE_GFN + 16; or none. */
static void *look_at(uint64_t gfn)
{
    struct xen_add_to_physmap_batch batch = {.domid = DOMID_SELF,
                                             .space = XENMAPSPACE_gmfn_foreign,
                                             .size = 1,
                                             .u.foreign_domid = guest};
    struct xen_remove_from_physmap away = {.domid = DOMID_SELF, .gpfn = SAFE_GFN + 16};
    xen_ulong_t idx = gfn;
    xen_pfn_t at = SAFE_GFN + 16;
    int error = 0;

    memory_op(XENMEM_remove_from_physmap, &away);
    set_xen_guest_handle(batch.idxs, &idx);
    set_xen_guest_handle(batch.gpfns, &at);
    set_xen_guest_handle(batch.errs, &error);
    return memory_op(XENMEM_add_to_physmap_batch, &batch) || error ? NULL
                                                                   : (void *)(at << 12);
}

/* At its reset vector the guest counts in a word of its memory, then it spins. */
static bool put_reset_code(void)
{
    static const uint8_t code[] = {
        0x31, 0xc0,             /* xor %ax, %ax */
        0x8e, 0xd8,             /* mov %ax, %ds */
        0xff, 0x06, 0x00, 0x10, /* incw MARK_AT */
        0xeb, 0xfe,             /* jmp . */
    };
    uint8_t *at = look_at(RESET_VECTOR >> 12);

    if (at)
        memcpy(at + (RESET_VECTOR & 0xfff), code, sizeof(code));
    return at;
}

static unsigned mark(void)
{
    uint16_t *at = look_at(MARK_AT >> 12);

    return at ? *at : ~0u;
}

static void let_run(void)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < ms_to_tsc(RUN_NS / 1000000))
        sched_op(SCHEDOP_yield, NULL);
}

/* Until the guest has begun so many times; on a busy machine that takes its time. */
static bool begins(unsigned times)
{
    uint64_t start = rdtsc();

    while (mark() < times && rdtsc() - start < ms_to_tsc(BEGIN_MS))
        sched_op(SCHEDOP_yield, NULL);
    let_run();
    return mark() == times;
}

static uint32_t flags(void)
{
    struct xen_domctl op = {0};

    return domctl(&op, XEN_DOMCTL_getdomaininfo) ? ~0u : op.u.getdomaininfo.flags;
}

/* Its first vCPU spins at the beginning of its memory, in real mode. */
static bool start_guest(void)
{
    struct xen_domctl op = {0};
    uint8_t *at = look_at(0);

    if (!at || !put_reset_code())
        return false;
    at = look_at(0);
    at[0] = 0xeb; /* jmp . */
    at[1] = 0xfe;
    set_xen_guest_handle(op.u.hvmcontext.buffer, context);
    op.u.hvmcontext.size = CONTEXT_BYTES;
    if (domctl(&op, XEN_DOMCTL_gethvmcontext))
        return false;
    set_xen_guest_handle(op.u.hvmcontext.buffer, context);
    op.u.hvmcontext.size = put_cpu_record(0);
    return !domctl(&op, XEN_DOMCTL_sethvmcontext) &&
           !domctl(&op, XEN_DOMCTL_unpausedomain);
}

static void bad_states(void)
{
    static const uint64_t bad[] = {1, 2, 4, 5, 1ull << 32 | 3, ~0ull};
    struct xen_hvm_param own = {
        .domid = DOMID_SELF, .index = HVM_PARAM_ACPI_S_STATE, .value = 3};

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        check_eq(s_state(1, bad[i]), -XEN_EINVAL, "state %lx is refused", bad[i]);
    check_eq(hvm_op(HVMOP_set_param, &own), -XEN_EPERM, "for oneself it is refused");
    check_eq(hvm_op(HVMOP_get_param, &own), -XEN_EPERM, "also to ask");
}

static void sleeps_and_wakes(void)
{
    struct xen_domctl op = {0};
    struct sched_remote_shutdown end = {.domain_id = guest, .reason = SHUTDOWN_reboot};

    check_eq(s_state(0, 0), 0, "a guest is awake");
    check_eq(s_state(1, 0), 0, "to wake it changes nothing");
    let_run();
    check_eq(mark(), 0, "it runs, but not from its reset vector");
    check_eq(s_state(1, 3), 3, "it is put to sleep");
    check_eq(s_state(1, 3), 3, "twice");
    check_eq(s_state(0, 0), 3, "it is asleep");
    check(!(flags() & (XEN_DOMINF_shutdown | XEN_DOMINF_paused | XEN_DOMINF_running |
                       XEN_DOMINF_blocked)),
          "its state is that of none that runs, waits or is paused (%x)", flags());
    let_run();
    check_eq(mark(), 0, "asleep it does not run");
    check_eq(s_state(1, 0), 0, "it is woken");
    check_eq(s_state(0, 0), 0, "it is awake");
    check(begins(1), "its first vCPU has begun at the reset vector");
    domctl(&op, XEN_DOMCTL_pausedomain);
    s_state(1, 3);
    s_state(1, 0);
    let_run();
    check_eq(mark(), 1, "one that is paused is woken and stays paused");
    domctl(&op, XEN_DOMCTL_unpausedomain);
    check(begins(2), "and begins when it is let go");
    for (unsigned i = 0; i < 20; i++) {
        s_state(1, 3);
        s_state(1, 0);
    }
    begins(3);
    check(mark() > 2, "20 times in a row it sleeps and wakes");
    s_state(1, 3);
    end.domain_id = guest;
    check_eq(sched_op(SCHEDOP_remote_shutdown, &end), 0, "asleep it is shut down");
    check(flags() & XEN_DOMINF_shutdown, "and has stopped (%x)", flags());
}

static void suspend(void)
{
    seed = 1; /* of a guest with all devices: see make_guest() */
    if (!make_guest())
        return;
    if (check(start_guest(), "a guest runs in real mode")) {
        bad_states();
        sleeps_and_wakes();
    }
    look_at(~0ul); /* lets go of the page */
    check(destroy_guest(), "asleep it is destroyed");
}

static void one(void)
{
    static void (*const kinds[])(void) = {
        random_domctl,  random_domctl,      random_dm_op,     random_dm_op,
        random_hvm_op,  random_hvm_op,      random_memory_op, random_resource,
        random_target,  random_reservation, random_foreign,   random_evtchn_op,
        damaged_context};

    kinds[random64() % ARRAY_LEN(kinds)]();
}

/* One guest's life; false if it cannot be made or ended. */
static bool life(void)
{
    if (!make_guest())
        return false;
    for (unsigned i = 0; i < CALLS; i++)
        one();
    run_guest();
    return destroy_guest() || check(false, "domain %u can be destroyed", guest);
}

void test_main(void)
{
    uint64_t seconds = option_u64("seconds", DEFAULT_SECONDS), start, before, after;
    unsigned lives = 0;

    if (!env.xen || !env.dom0) {
        skip("only Dom0 makes guests", "guests under random operations");
        return;
    }
    time_init();
    seed = option_u64("seed", 88172645463325252ull);
    arena = page_alloc(1);
    page = page_alloc(1);
    context = page_alloc(CONTEXT_BYTES / PAGE_SIZE);
    if (option_u64("refused", 0)) {
        refused_state();
        return;
    }
    suspend();
    seed = option_u64("seed", 88172645463325252ull);
    print("# seed=%lu seconds=%lu\n", seed, seconds);
    if (!life()) /* what is kept for the next is there now */
        return;
    before = free_pages();
    start = rdtsc();
    while (rdtsc() - start < ms_to_tsc(seconds * 1000)) {
        if (!life())
            return;
        lives++;
    }
    after = free_pages();
    check(calls > 100, "%lu operations on %u guests, %lu refused", calls, lives,
          refusals);
    check(loads_taken > 0 && loads_taken < loads, "%lu contexts of %lu were taken",
          loads_taken, loads);
    check(before == after, "no frame is lost: %lu free before, %lu after", before, after);
}
