/* Starting the other CPUs, and calls between CPUs. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Intel MultiProcessor Specification 1.4, B.4; Intel SDM volume 3, 9.4.4. All CPUs get
 * INIT together, then one after the other a SIPI.
 *
 * call_lock guards the one call that can be under way. Who waits for it, or for others to
 * finish his call, serves calls meanwhile.
 */
#include "cpu/smp_call.h"
#include "cpu/apic.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/time_init.h"
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "boot/boot.h"
#include "domain/sched.h"
#include "mm/paging.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define INIT_WAIT_US  10000
#define SIPI_WAIT_US  1000
#define ONLINE_US     1000000
#define AP_STACK      2 /* order */
#define LOW_LIMIT     0xa0000
#define TSC_TOLERANCE 100000 /* ticks by which TSCs may differ without a warning */

struct trampoline_args {
    uint32_t base, cr3;
    uint64_t stack;
    struct percpu *percpu;
    void (*entry)(struct percpu *p);
    uint16_t gdt_limit;
    uint32_t gdt_base;
    uint16_t pad0;
    uint32_t jump32;
    uint32_t pad1;
    uint32_t jump64;
} __packed;

/* In trampoline.S: the code and, in it, the arguments. */
extern const char trampoline[], trampoline_end[], trampoline_args[];
#define TRAMPOLINE_BYTES ((uintptr_t)trampoline_end - (uintptr_t)trampoline)
#define TRAMPOLINE_ARGS  ((uintptr_t)trampoline_args - (uintptr_t)trampoline)

static struct percpu boot_percpu;
struct percpu *cpus[MAX_CPUS] = {&boot_percpu};
unsigned int nr_cpus = 1;

static unsigned int opt_maxcpus = MAX_CPUS;
option_uint("maxcpus", opt_maxcpus, "start at most so many processors");

static bool opt_smt = true;
option_bool("smt", opt_smt, "use all threads of a core, not the first one only");

static volatile bool released;
static volatile uint64_t ap_tsc;

static struct spinlock call_lock;
static void (*call_fn)(void *arg);
static void *call_arg;
static uint64_t call_pending; /* bit = CPU that has not run it yet */

void smp_call_serve(void)
{
    uint64_t bit = BIT(this_cpu()->id);

    if (!(__atomic_load_n(&call_pending, __ATOMIC_ACQUIRE) & bit))
        return;
    call_fn(call_arg);
    __atomic_and_fetch(&call_pending, ~bit, __ATOMIC_RELEASE);
}

void smp_call(uint64_t mask, void (*fn)(void *), void *arg)
{
    unsigned int self = this_cpu()->id;
    uint64_t online = nr_cpus == 64 ? ~0ull : BIT(nr_cpus) - 1;
    uint64_t others = mask & online & ~BIT(self);

    if (others) {
        while (!spin_trylock(&call_lock)) {
            smp_call_serve();
            cpu_relax();
        }
        call_fn = fn;
        call_arg = arg;
        __atomic_store_n(&call_pending, others, __ATOMIC_RELEASE);
        for (unsigned int i = 0; i < nr_cpus; i++) {
            if (others & BIT(i))
                apic_send_ipi(i, VECTOR_CALL);
        }
    }
    if (mask & BIT(self))
        fn(arg);
    if (others) {
        while (__atomic_load_n(&call_pending, __ATOMIC_ACQUIRE))
            cpu_relax();
        spin_unlock(&call_lock);
    }
}

/* The flag that the other CPU shall see was written before; it writes in_guest, or makes
 * the idle vCPU current, before it looks at the flag. */
void smp_kick(unsigned int cpu)
{
    struct percpu *p = cpus[cpu];

    mb();
    if (cpu != this_cpu()->id &&
        (READ_ONCE(p->in_guest) || READ_ONCE(p->curr) == READ_ONCE(p->idle)))
        apic_send_ipi(cpu, VECTOR_KICK);
}

/* On its own stack, interrupts off. */
static void ap_main(struct percpu *p)
{
    desc_init_cpu(p, false);
    paging_init_cpu();
    apic_init_cpu();
    apic_timer_init_cpu();
    mitigation_cpu_up();
    ap_tsc = rdtsc();
    __atomic_store_n(&p->online, true, __ATOMIC_RELEASE);
    while (!released)
        irq_enable_and_halt();
    idle_loop();
}

static struct percpu *percpu_create(unsigned int id)
{
    struct percpu *p = zalloc(sizeof(*p));

    if (!p)
        return NULL;
    p->self = p;
    p->id = id;
    if (timers_init_cpu(p) || desc_alloc(p))
        return NULL; /* what is lost is little, and the machine is about to stop */
    return p;
}

static bool wait_online(const struct percpu *p, unsigned int us)
{
    uint64_t start = rdtsc(), ticks = tsc_hz / 1000000 * us;

    while (!__atomic_load_n(&p->online, __ATOMIC_ACQUIRE)) {
        if (rdtsc() - start > ticks)
            return false;
        cpu_relax();
    }
    return true;
}

static bool start_cpu(struct trampoline_args *args, uint32_t apic_id, uint32_t acpi_id)
{
    struct percpu *p = percpu_create(nr_cpus);
    void *stack = stack_alloc(AP_STACK);
    uint64_t before, after;

    if (!p || !stack)
        panic("No memory to start processor %u", nr_cpus);
    p->apic_id = apic_id;
    p->acpi_id = acpi_id;
    args->stack = (uintptr_t)stack + (PAGE_SIZE << AP_STACK);
    args->percpu = p;
    cpus[nr_cpus] = p;
    mb();
    before = rdtsc();
    apic_send_startup(apic_id, (uint8_t)(args->base >> PAGE_SHIFT));
    if (!wait_online(p, SIPI_WAIT_US)) {
        apic_send_startup(apic_id, (uint8_t)(args->base >> PAGE_SHIFT));
        if (!wait_online(p, ONLINE_US)) {
            /* It may still come: its memory and number stay with it. */
            printk("WARNING: processor with APIC id %u does not start\n", apic_id);
            apic_send_init(apic_id);
            cpus[nr_cpus] = NULL;
            return false;
        }
    }
    after = rdtsc();
    if (ap_tsc + TSC_TOLERANCE < before || ap_tsc > after + TSC_TOLERANCE)
        printk("WARNING: TSC of CPU %u is %ld ticks off\n", nr_cpus,
               (int64_t)(ap_tsc - after));
    nr_cpus++;
    return true;
}

/* A free page that real mode reaches, for the time of starting. */
static uint64_t claim_low_page(void)
{
    uint64_t from = 1, start, count;

    while (frame_next_free(from, &start, &count) && start < LOW_LIMIT >> PAGE_SHIFT) {
        if (!frame_claim(NULL, MFN(start), 0))
            return start << PAGE_SHIFT;
        from = start + 1;
    }
    return 0;
}

static struct trampoline_args *trampoline_place(uint64_t page)
{
    char *copy = maddr_to_virt(page);
    struct trampoline_args *args;

    memcpy(copy, trampoline, TRAMPOLINE_BYTES);
    args = (struct trampoline_args *)(copy + TRAMPOLINE_ARGS);
    args->base = (uint32_t)page;
    args->cr3 = (uint32_t)hypervisor_cr3;
    args->entry = ap_main;
    args->gdt_base += (uint32_t)page;
    args->jump32 += (uint32_t)page;
    args->jump64 += (uint32_t)page;
    return args;
}

bool smt_wanted(void)
{
    return opt_smt;
}

/* Bits of the APIC id that number the threads of a core (CPUID leaf 0xb). */
static unsigned int thread_mask(void)
{
    uint32_t a, b, c, d;

    if (cpuid_get(0, CPUID_EAX) < 0xb)
        return 0;
    cpuid_count(0xb, 0, &a, &b, &c, &d);
    return (c >> 8 & 0xff) == 1 ? (1u << (a & 31)) - 1 : 0;
}

void smp_start_all(void)
{
    uint64_t page;
    struct trampoline_args *args;
    unsigned int skip;
    unsigned int want = min(min(opt_maxcpus, acpi.cpu_count), MAX_CPUS + 0u);

    if (want <= 1)
        goto out;
    page = claim_low_page();
    if (!page) {
        printk("WARNING: no memory below 640 KiB: other processors are not started\n");
        goto out;
    }
    args = trampoline_place(page);
    paging_map_trampoline(true);
    for (unsigned int i = 0; i < acpi.cpu_count; i++) {
        if (acpi.cpu[i].apic_id != cpus[0]->apic_id)
            apic_send_init(acpi.cpu[i].apic_id);
    }
    udelay(INIT_WAIT_US);
    skip = opt_smt ? 0 : thread_mask();
    for (unsigned int i = 0; i < acpi.cpu_count && nr_cpus < want; i++) {
        if (acpi.cpu[i].apic_id != cpus[0]->apic_id && !(acpi.cpu[i].apic_id & skip))
            start_cpu(args, acpi.cpu[i].apic_id, acpi.cpu[i].acpi_id);
    }
    paging_map_trampoline(false);
    frame_free(maddr_to_mfn(page), 0);
out:
    printk("%u of %u CPUs are up\n", nr_cpus, acpi.cpu_count);
}

void smp_release_others(void)
{
    released = true;
    for (unsigned int i = 1; i < nr_cpus; i++)
        apic_send_ipi(i, VECTOR_KICK);
}
