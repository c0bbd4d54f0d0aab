/*
 * More than one CPU: INIT and SIPI bring-up, IPIs in all shorthands, NMI, TSC, shared
 * memory; under Xen also vcpu_op's life cycle and event channels bound to other vCPUs.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"
#include "apic.h"

const char test_title[] = "smp";

#define VECTOR     0x71
#define ROUNDS     50
#define WAIT_MS    3000
#define INCREMENTS 20000

static volatile uint32_t received[MAX_CPUS], nmis[MAX_CPUS];
static volatile uint32_t total;

static void on_ipi(struct regs *regs)
{
    received[this_cpu()->id]++;
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    apic_eoi();
}

static void on_nmi(struct regs *regs)
{
    nmis[this_cpu()->id]++;
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
}

static volatile bool listening;

/* Job of the others: take interrupts, asleep or awake, until told to stop. */
static void listen(void *asleep)
{
    while (listening) {
        if (asleep)
            halt_once();
        else
            asm volatile("sti; pause; nop; cli" ::: "memory");
    }
}

static void start_listening(bool asleep)
{
    listening = true;
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_start(i, listen, asleep ? cpus : NULL);
    delay_us(2000);
}

static void stop_listening(void)
{
    listening = false;
    apic_icr_write(0, APIC_ICR_OTHERS | APIC_ICR_ASSERT | VECTOR);
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_wait(i);
}

static bool wait_total(uint32_t wanted)
{
    uint64_t start = rdtsc();

    irq_enable();
    while (READ_ONCE(total) < wanted && rdtsc() - start < ms_to_tsc(WAIT_MS))
        cpu_relax();
    irq_disable();
    return READ_ONCE(total) >= wanted;
}

static void clear(void)
{
    for (uint32_t i = 0; i < MAX_CPUS; i++)
        received[i] = nmis[i] = 0;
    total = 0;
}

static void ipis(const char *mode, bool asleep)
{
    const char *how = asleep ? "halted" : "running";
    uint32_t others = cpu_count - 1, wrong = 0;

    start_listening(asleep);
    clear();
    for (uint32_t round = 1; round <= ROUNDS; round++)
        for (uint32_t i = 1; i < cpu_count; i++) {
            apic_icr_write(cpus[i].apic_id, APIC_ICR_ASSERT | VECTOR);
            wrong += !wait_total((round - 1) * others + i);
            if (wrong)
                goto out;
        }
out:
    check_eq(wrong, 0, "%s: %u IPIs to each %s CPU", mode, ROUNDS, how);
    clear();
    apic_icr_write(0, APIC_ICR_OTHERS | APIC_ICR_ASSERT | VECTOR);
    check(wait_total(others) && !received[0], "%s: all but self, %s", mode, how);
    clear();
    apic_icr_write(0, APIC_ICR_ALL | APIC_ICR_ASSERT | VECTOR);
    check(wait_total(others + 1) && received[0] == 1, "%s: all with self, %s", mode, how);
    clear();
    apic_icr_write(0, APIC_ICR_OTHERS | APIC_DM_NMI | APIC_ICR_ASSERT);
    check(wait_total(others) && nmis[1] == 1 && !nmis[0], "%s: NMI to the others, %s",
          mode, how);
    stop_listening();
}

static volatile uint64_t shared_counter;

static void increment(void *arg)
{
    for (unsigned i = 0; i < INCREMENTS; i++)
        __atomic_add_fetch(&shared_counter, 1, __ATOMIC_SEQ_CST);
}

static void locked(void)
{
    shared_counter = 0;
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_start(i, increment, NULL);
    increment(NULL);
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_wait(i);
    check_eq(shared_counter, (uint64_t)INCREMENTS * cpu_count,
             "locked increments of all CPUs");
}

static volatile uint64_t tsc_seen;

static void read_tsc(void *arg)
{
    tsc_seen = rdtsc();
}

static void tsc_order(void)
{
    uint32_t backwards = 0;

    for (uint32_t round = 0; round < 50; round++)
        for (uint32_t i = 1; i < cpu_count; i++) {
            uint64_t before = rdtsc();

            cpu_run(i, read_tsc, NULL);
            backwards += tsc_seen < before || tsc_seen > rdtsc();
        }
    check_eq(backwards, 0, "the CPUs' TSCs agree");
}

static struct cpuid seen_cpuid;
static volatile uint32_t seen_id, seen_x2apic;

static void read_identity(void *arg)
{
    seen_cpuid = cpuid(1, 0);
    seen_id = apic_id();
    seen_x2apic = cpuid(0xb, 0).edx;
}

static void identities(void)
{
    uint32_t wrong = 0, wrong_x2 = 0, bsp = 0;

    for (uint32_t i = 0; i < cpu_count; i++) {
        cpu_run(i, read_identity, NULL);
        wrong += seen_cpuid.ebx >> 24 != cpus[i].apic_id || seen_id != cpus[i].apic_id;
        wrong_x2 +=
            cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx && seen_x2apic != cpus[i].apic_id;
        bsp += cpus[i].apic_id == 0;
    }
    check_eq(wrong, 0, "CPUID leaf 1 and the APIC agree on each CPU's id");
    check_eq(wrong_x2, 0, "CPUID leaf B too, where there is one");
    check_eq(bsp, 1, "one CPU has id 0");
}

static void go_x2apic(void *arg)
{
    apic_enter_x2apic();
}

static void by_x2apic(void)
{
    if (!apic_enter_x2apic()) {
        skip("not offered", "x2APIC");
        return;
    }
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_run(i, go_x2apic, NULL);
    ipis("x2APIC", false);
    ipis("x2APIC", true);
}

static volatile uint32_t upcalls;

static void on_upcall(struct regs *regs)
{
    xen_shared_info()->vcpu_info[1].evtchn_upcall_pending = 0;
    __atomic_add_fetch(&upcalls, 1, __ATOMIC_SEQ_CST);
    apic_eoi();
}

static void set_upcall(void *arg)
{
    struct xen_hvm_evtchn_upcall_vector vector = {.vcpu = 1, .vector = 0x55};

    *(long *)arg = hvm_op(HVMOP_set_evtchn_upcall_vector, &vector);
}

static void xen_vcpus(void)
{
    struct evtchn_bind_ipi bind = {.vcpu = 1};
    struct evtchn_send send;
    long rc = -1;

    if (!env.xen) {
        skip("no Xen here", "vCPUs");
        return;
    }
    for (uint32_t v = 0; v < cpu_count; v++)
        rc = rc && rc != -1 ? rc : vcpu_op(VCPUOP_is_up, v, NULL) - 1;
    check_eq((uint64_t)rc, 0, "is_up of each vCPU");
    set_handler(0x55, on_upcall);
    cpu_run(1, set_upcall, &rc);
    check_eq((uint64_t)rc, 0, "upcall vector of vCPU 1");
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_ipi, &bind), 0,
             "an event channel to vCPU 1");
    xen_shared_info()->evtchn_mask[bind.port / 64] &= ~(1ul << bind.port % 64);
    start_listening(true);
    send.port = bind.port;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_send, &send), 0, "send to it");
    check(wait_change(&upcalls, 0, WAIT_MS), "vCPU 1 wakes and takes the upcall");
    stop_listening();
    check_eq((uint64_t)vcpu_op(VCPUOP_down, cpu_count - 1, NULL), 0, "vCPU down");
    delay_us(10000);
    check_eq((uint64_t)vcpu_op(VCPUOP_is_up, cpu_count - 1, NULL), 0, "it is down");
}

void test_main(void)
{
    uint32_t wanted = (uint32_t)option_u64("cpus", 0);

    time_init();
    smp_start();
    check(wanted == 0 || cpu_count == wanted, "%u CPUs are online", cpu_count);
    if (cpu_count == 1) {
        skip("one CPU", "SMP");
        return;
    }
    set_handler(VECTOR, on_ipi);
    set_handler(VEC_NMI, on_nmi);
    identities();
    locked();
    tsc_order();
    ipis("xAPIC", false);
    ipis("xAPIC", true);
    by_x2apic();
    xen_vcpus();
}
