/*
 * Hypercalls with random and edge-case arguments, for a bounded time (option seconds=),
 * from a known start (option seed=): the hypervisor must answer each and still be sane
 * afterwards. What would rightly end or stop us is left out: shutdown, sleep, our own
 * last vCPU; for Dom0 also what it may do to the whole machine. SPDX-License-Identifier:
 * GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "fuzz";

#define NR_HYPERCALLS   64
#define ARG_BYTES       256
#define DEFAULT_SECONDS 10
#define BATCH           256
#define DOMCTL_VERSION  0x15

static uint64_t seed;
static uint8_t *arena; /* two pages, the second of them not mapped */
static uint64_t counts[NR_HYPERCALLS], refusals;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* No value here is the frame of a page that this kernel lives in (0x100 to 0x7ff). */
static uint64_t edge(void)
{
    static const uint64_t edges[] = {0,          0,
                                     0,          1,
                                     1,          2,
                                     3,          4,
                                     7,          8,
                                     15,         16,
                                     31,         32,
                                     63,         64,
                                     127,        128,
                                     DOMID_SELF, DOMID_IO,
                                     DOMID_XEN,  DOMID_INVALID,
                                     0x1234,     0x1000,
                                     0x7fffffff, 0x80000000,
                                     0xffffffff, 0xfd900,
                                     1ul << 32,  1ul << 36,
                                     1ul << 40,  1ul << 52,
                                     1ul << 63,  ~0ul,
                                     ~0ul - 1};

    return edges[random64() % ARRAY_LEN(edges)];
}

/* An argument structure: words of edges, bytes of chance, sometimes at the very end of
 * memory. */
static uint64_t pointer(void)
{
    uint64_t kind = random64() % 16, at = PTR(arena);
    unsigned length = (unsigned)(random64() % ARG_BYTES) & ~7u;

    for (unsigned i = 0; i < ARG_BYTES; i += 8)
        *(uint64_t *)(arena + i) =
            random64() & 3 ? edge() : random64() & 0xffff0000ffff0000ul;
    if (kind == 0)
        return edge();
    if (kind == 1)
        return 0x8000000000000000ul | random64();
    if (kind == 2) {
        memcpy(arena + PAGE_SIZE - length, arena, length);
        return at + PAGE_SIZE - length; /* runs over the edge of what is mapped */
    }
    /* Handles inside the structure point to memory of ours half of the time. */
    if (kind < 10)
        for (unsigned i = 0; i < 8; i++)
            if (random64() & 1)
                *(uint64_t *)(arena + i * 8) = at + 1024;
    return at;
}

struct call {
    uint32_t nr;
    uint64_t arg[5];
};

static bool stops_us(const struct call *c)
{
    uint32_t cmd = (uint32_t)c->arg[0];

    switch (c->nr) {
    case __HYPERVISOR_sched_op:
        return cmd == SCHEDOP_block || cmd == SCHEDOP_shutdown || cmd == SCHEDOP_poll ||
               cmd == SCHEDOP_shutdown_code || cmd == SCHEDOP_remote_shutdown ||
               cmd == SCHEDOP_watchdog;
    case __HYPERVISOR_iret: /* its stub is UD2 for HVM guests */
    case __HYPERVISOR_sched_op_compat:
        return true; /* block and shutdown by other numbers */
    case __HYPERVISOR_vcpu_op:
        return cmd == VCPUOP_down || cmd == VCPUOP_register_runstate_memory_area ||
               cmd == VCPUOP_register_vcpu_time_memory_area;
    case __HYPERVISOR_multicall:
        return true; /* fuzz_multicall() makes these */
    default:
        return false;
    }
}

/* What Dom0 may do and must live with: stop CPUs, reboot, sleep, replace the hypervisor.
 */
static bool stops_machine(const struct call *c)
{
    switch (c->nr) {
    case __HYPERVISOR_platform_op:
    case __HYPERVISOR_kexec_op:
    case __HYPERVISOR_arch_0: /* machine checks */
    case __HYPERVISOR_sysctl:
    case __HYPERVISOR_console_io:
    case __HYPERVISOR_xsm_op:
        return true;
    default:
        return false;
    }
}

static bool choose(struct call *c)
{
    c->nr = (uint32_t)(random64() % NR_HYPERCALLS);
    c->arg[0] = random64() & 7 ? random64() % 40 : edge();
    for (unsigned i = 1; i < 5; i++)
        c->arg[i] = edge();
    c->arg[1] = random64() & 1 ? pointer() : c->arg[1];
    c->arg[2] = random64() & 1 ? pointer() : c->arg[2];
    if (c->nr == __HYPERVISOR_domctl || c->nr == __HYPERVISOR_sysctl) {
        c->arg[0] = PTR(arena);
        *(uint32_t *)arena = (uint32_t)(random64() % 90);
        *(uint32_t *)(arena + 4) = random64() & 3 ? DOMCTL_VERSION : (uint32_t)edge();
        *(uint16_t *)(arena + 8) = random64() & 1 ? 0x1234 : (uint16_t)edge();
    }
    return !stops_us(c) && !(env.dom0 && stops_machine(c));
}

static void one(void)
{
    struct call c;
    long rc;

    if (!choose(&c))
        return;
    rc = hypercall(c.nr, c.arg[0], c.arg[1], c.arg[2], c.arg[3], c.arg[4]);
    counts[c.nr]++;
    refusals += rc < 0;
}

static void fuzz_multicall(void)
{
    static struct multicall_entry entries[8];
    unsigned n = (unsigned)(random64() % ARRAY_LEN(entries));

    for (unsigned i = 0; i < n; i++) {
        struct call c;

        if (!choose(&c))
            c.nr = 63;
        entries[i].op = c.nr;
        for (unsigned k = 0; k < 5; k++)
            entries[i].args[k] = c.arg[k];
    }
    multicall(entries, n);
    /* Results are written too: a walk up from 0 must not come as far as this kernel, and
     * not every domain has a hole on the way. */
    multicall((void *)edge(), (uint32_t)edge() % 1024);
}

static void still_sane(void)
{
    xen_extraversion_t extra;
    domid_t self = DOMID_SELF;

    check_eq((uint64_t)xen_version_op(XENVER_version, NULL), env.xen_version,
             "the version is still right");
    check_eq((uint64_t)xen_version_op(XENVER_extraversion, &extra), 0,
             "memory can be written still");
    check(memory_op(XENMEM_current_reservation, &self) > 0, "we still have memory");
    check_eq((uint64_t)sched_op(SCHEDOP_yield, NULL), 0, "we can yield");
}

/* vcpu_op can send us one. */
static void ignore_nmi(struct regs *regs)
{
}

void test_main(void)
{
    uint64_t seconds = option_u64("seconds", DEFAULT_SECONDS), start, total = 0;
    unsigned kinds = 0;

    if (!env.xen) {
        skip("no Xen here", "hypercalls");
        return;
    }
    time_init();
    seed = option_u64("seed", 88172645463325252ull);
    set_handler(VEC_NMI, ignore_nmi);
    arena = page_alloc(2);
    *pte_of(PTR(arena) + PAGE_SIZE) = 0;
    invlpg(arena + PAGE_SIZE);
    print("# seed=%lu seconds=%lu\n", seed, seconds);
    start = rdtsc();
    while (rdtsc() - start < ms_to_tsc(seconds * 1000)) {
        for (unsigned i = 0; i < BATCH; i++)
            one();
        fuzz_multicall();
    }
    for (unsigned i = 0; i < NR_HYPERCALLS; i++) {
        total += counts[i];
        kinds += counts[i] != 0;
    }
    check(total > 1000, "%lu hypercalls of %u kinds, %lu refused", total, kinds,
          refusals);
    still_sane();
}
