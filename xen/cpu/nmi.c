/* NMIs: from the watchdog, from hardware errors, and between our CPUs in a panic.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watchdog (option) lets each CPU's timer count; a CPU whose count stands still for
 * the time-out gets an NMI from its neighbour, which makes it say where it hangs.
 */
#include "cpu/nmi.h"
#include "cpu/apic.h"
#include "cpu/smp.h"
#include "cpu/time.h"
#include "cpu/x86.h"
#include "boot/boot.h"
#include "hvm/hvm.h"
#include "lib/console.h"
#include "lib/printk.h"
#include "lib/string.h"

#define WATCHDOG_PERIOD NS_PER_S

static bool opt_watchdog;
option_bool("watchdog", opt_watchdog, "panic if a processor hangs in the hypervisor");
static unsigned int opt_watchdog_timeout = 5;
option_uint("watchdog_timeout", opt_watchdog_timeout, "seconds until it counts as hung");
static char opt_nmi[8] = "ignore";
option_string("nmi", opt_nmi, "unknown NMI: ignore (and say so) or fatal");

static struct timer watchdog_timer[MAX_CPUS];
static unsigned int beats[MAX_CPUS]; /* counted by the CPU's own timer */
static unsigned int seen[MAX_CPUS];  /* as its neighbour saw it last */
static unsigned int missed[MAX_CPUS];
static int hung_cpu = -1;

static int panic_cpu = -1; /* who panics; all others stop at the next NMI */

static void __noreturn stop_here(void)
{
    if (hvm_ops->name)
        hvm_ops->cpu_down();
    for (;;)
        __asm__ volatile("cli; hlt");
}

void nmi_handle(struct trap_frame *f)
{
    unsigned int cpu = this_cpu()->id;
    int panicking = __atomic_load_n(&panic_cpu, __ATOMIC_ACQUIRE);
    uint8_t reason;

    this_cpu()->nmi_count++;
    if (panicking >= 0 && panicking != (int)cpu)
        stop_here();
    if (__atomic_load_n(&hung_cpu, __ATOMIC_ACQUIRE) == (int)cpu) {
        panic_begin();
        printk("\nWatchdog: CPU %u hangs\n", cpu);
        dump_state(f);
        panic("watchdog: CPU %u hangs at %pS", cpu, (void *)f->rip);
    }
    reason = inb(0x61);
    if (!strcmp(opt_nmi, "fatal")) {
        panic_begin();
        dump_state(f);
        panic("NMI, reason 0x%02x", reason);
    }
    if (console_is_free())
        printk("CPU %u: NMI, reason 0x%02x, at %pS\n", cpu, reason, (void *)f->rip);
}

void nmi_stop_others(void)
{
    int expected = -1;

    __atomic_compare_exchange_n(&panic_cpu, &expected, (int)this_cpu()->id, false,
                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    for (unsigned int i = 0; i < nr_cpus; i++) {
        if (i != this_cpu()->id)
            apic_send_nmi(i);
    }
}

void panic_begin(void)
{
    int expected = -1;

    irq_disable();
    if (!__atomic_compare_exchange_n(&panic_cpu, &expected, (int)this_cpu()->id, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) &&
        expected != (int)this_cpu()->id)
        stop_here(); /* another CPU is at it */
    nmi_stop_others();
    console_force_sync();
}

static void watchdog_beat(void *opaque)
{
    unsigned int cpu = this_cpu()->id, next = (cpu + 1) % nr_cpus;

    beats[cpu]++;
    timer_set(&watchdog_timer[cpu], now_ns() + WATCHDOG_PERIOD);
    if (next == cpu)
        return;
    if (seen[next] != READ_ONCE(beats[next])) {
        seen[next] = READ_ONCE(beats[next]);
        missed[next] = 0;
    } else if (++missed[next] == opt_watchdog_timeout) {
        __atomic_store_n(&hung_cpu, (int)next, __ATOMIC_RELEASE);
        apic_send_nmi(next);
    }
}

static void watchdog_start(void *unused)
{
    unsigned int cpu = this_cpu()->id;

    timer_init(&watchdog_timer[cpu], watchdog_beat, NULL);
    timer_set(&watchdog_timer[cpu], now_ns() + WATCHDOG_PERIOD);
}

void watchdog_init(void)
{
    if (opt_watchdog)
        smp_call(~0ull, watchdog_start, NULL);
}
