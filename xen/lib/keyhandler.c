/* Keys for the hypervisor itself: typed on the serial console after Ctrl-A three times,
 * or sent with XEN_SYSCTL_debug_keys. SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/keyhandler.h"
#include "boot/boot.h"
#include "cpu/apic.h"
#include "cpu/smp.h"
#include "cpu/time_init.h"
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "domain/domain.h"
#include "domain/evtchn.h"
#include "hvm/hvm.h"
#include "mm/frame.h"
#include "lib/printk.h"

static struct {
    void (*fn)(char key);
    const char *help;
} keys[128];

void keyhandler_register(char key, void (*fn)(char key), const char *help)
{
    keys[key & 127].fn = fn;
    keys[key & 127].help = help;
}

void keyhandler_run(char key)
{
    if (key > 0 && keys[(int)key].fn)
        keys[(int)key].fn(key);
}

static void key_help(char key)
{
    printk("Keys:\n");
    for (int k = 0; k < 128; k++) {
        if (keys[k].fn)
            printk(" %c  %s\n", k, keys[k].help);
    }
}

static void dump_guest_registers(const struct vcpu *v)
{
    const struct cpu_regs *r = &v->hvm->regs;

    printk("  rip %016lx rsp %016lx rflags %lx cr0 %lx cr3 %lx cr4 %lx\n", r->rip, r->rsp,
           r->rflags, v->hvm->cr0, v->hvm->cr3, v->hvm->cr4);
    printk("  rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx,
           r->rdx);
    printk("  rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp,
           r->r8);
    printk("  r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11,
           r->r12);
    printk("  r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
}

static void dump_cpu(void *unused)
{
    struct percpu *p = this_cpu();
    struct vcpu *v = p->curr;

    printk("CPU %u (APIC id %u): %lu interrupts, %lu NMIs, idle %lld ms\n", p->id,
           p->apic_id, p->irq_count, p->nmi_count, p->idle_time / NS_PER_MS);
    if (v && v->hvm) {
        printk(" d%uv%u, registers at its last exit:\n", v->domain->id, v->id);
        dump_guest_registers(v);
    } else {
        printk(" idle\n");
    }
}

static void key_registers(char key)
{
    for (unsigned int i = 0; i < nr_cpus; i++)
        smp_call(BIT(i), dump_cpu, NULL);
}

static const char *vcpu_state_name(const struct vcpu *v)
{
    return v->running                  ? "running"
           : v->state == VCPU_RUNNABLE ? "runnable"
           : v->state == VCPU_BLOCKED  ? "blocked"
                                       : "offline";
}

static void key_domains(char key)
{
    static const char *const states[] = {"building", "alive", "dying", "dead"};

    spin_lock(&domlist_lock);
    list_for_each(e, &domain_list)
    {
        const struct domain *d = list_entry(e, struct domain, all_entry);

        printk("d%u: %s%s, %lu of %lu pages, %u references, pause count %d\n", d->id,
               states[d->state], d->is_shutting_down ? ", shut down" : "", d->tot_pages,
               d->max_pages, d->ref_count, d->controller_pause_count);
        for_each_vcpu(d, v)
            printk("  d%uv%u: %s, CPU %u, pause count %d, affinity %lx\n", d->id, v->id,
                   vcpu_state_name(v), v->cpu, v->pause_count, v->hard_affinity);
    }
    spin_unlock(&domlist_lock);
}

/* Read without the queues' locks: good enough to see who keeps a CPU busy. */
static void key_run_queues(char key)
{
    for (unsigned int i = 0; i < nr_cpus; i++) {
        const struct vcpu *v = READ_ONCE(cpus[i]->curr);

        if (!v || v == cpus[i]->idle)
            printk("CPU %u: idle\n", i);
        else
            printk("CPU %u: d%uv%u, virtual run time %lu us\n", i, v->domain->id, v->id,
                   v->vruntime / 1000);
    }
    spin_lock(&domlist_lock);
    list_for_each(e, &domain_list)
    {
        const struct domain *d = list_entry(e, struct domain, all_entry);

        for_each_vcpu(d,
                      v) if (!v->running && v->state == VCPU_RUNNABLE && !v->pause_count)
            printk("waiting for CPU %u: d%uv%u, virtual run time %lu us\n", v->cpu, d->id,
                   v->id, v->vruntime / 1000);
    }
    spin_unlock(&domlist_lock);
}

static void key_dom0(char key)
{
    if (!dom0)
        return;
    for_each_vcpu(dom0, v)
    {
        printk("d0v%u state %u on CPU %u\n", v->id, v->state, v->cpu);
        if (v->hvm)
            dump_guest_registers(v);
    }
}

static void key_guests(char key)
{
    spin_lock(&domlist_lock);
    list_for_each(e, &domain_list)
    {
        const struct domain *d = list_entry(e, struct domain, all_entry);

        for_each_vcpu(d, v)
        {
            if (d == dom0 || !v->hvm)
                continue;
            printk("d%uv%u: %s, registers at its last exit:\n", d->id, v->id,
                   vcpu_state_name(v));
            dump_guest_registers(v);
        }
    }
    spin_unlock(&domlist_lock);
}

static void key_interrupts(char key)
{
    uint64_t rte;

    printk("I/O APIC pins in use:\n");
    for (unsigned int gsi = 0; gsi < ioapic_nr_gsis(); gsi++) {
        if (ioapic_read_rte(gsi, &rte) || ((rte & BIT(16)) && !(rte & 0xff)))
            continue;
        printk("  %3u: vector %02lx %s %s%s%s to %lx%s%s\n", gsi, rte & 0xff,
               rte & BIT(15) ? "level" : "edge", rte & BIT(13) ? "low" : "high",
               rte & BIT(16) ? " masked" : "", rte & BIT(14) ? " IRR" : "", rte >> 56,
               rte & BIT(11) ? " logical" : "",
               console_owns_gsi(gsi) ? " (console)" : "");
    }
}

static void key_memory(char key)
{
    struct heap_usage heap = heap_usage();

    printk("Memory: %lu MiB, free %lu MiB (%lu frames), of it cleared %lu MiB\n",
           frames_total() >> 8, frames_free() >> 8, frames_free(), frames_cleared() >> 8);
    printk(
        "Small objects: %lu, %lu KiB in %lu frames; larger ones: %lu frames; pages that "
        "domains may map: %lu frames\n",
        heap.objects, heap.bytes >> 10, heap.slab_pages, heap.large_pages,
        frames_shared());
    spin_lock(&domlist_lock);
    list_for_each(e, &domain_list)
    {
        const struct domain *d = list_entry(e, struct domain, all_entry);

        printk("d%u: RAM %lu frames, nested page tables %lu frames (%lu unlinked)\n",
               d->id, d->tot_pages, d->p2m.nr_tables, d->p2m.nr_retired);
    }
    spin_unlock(&domlist_lock);
}

static void key_event_channels(char key)
{
    spin_lock(&domlist_lock);
    list_for_each(e, &domain_list) evtchn_dump(list_entry(e, struct domain, all_entry));
    spin_unlock(&domlist_lock);
}

static const char *const exit_names[VMEXIT_REASONS] = {
    [VMEXIT_EXCEPTION] = "exception",
    [VMEXIT_EXTINT] = "interrupt",
    [VMEXIT_NMI] = "NMI",
    [VMEXIT_SMI_INIT] = "SMI or INIT",
    [VMEXIT_INTR_WINDOW] = "window",
    [VMEXIT_NMI_WINDOW] = "NMI window",
    [VMEXIT_IRET] = "IRET",
    [VMEXIT_CPUID] = "CPUID",
    [VMEXIT_HLT] = "HLT",
    [VMEXIT_INVLPG] = "INVLPG",
    [VMEXIT_RDTSC] = "RDTSC",
    [VMEXIT_RDPMC] = "RDPMC",
    [VMEXIT_HYPERCALL] = "hypercall",
    [VMEXIT_CR_READ] = "CR read",
    [VMEXIT_CR_WRITE] = "CR write",
    [VMEXIT_DR_ACCESS] = "DR",
    [VMEXIT_IO] = "I/O",
    [VMEXIT_RDMSR] = "RDMSR",
    [VMEXIT_WRMSR] = "WRMSR",
    [VMEXIT_NPF] = "nested page fault",
    [VMEXIT_XSETBV] = "XSETBV",
    [VMEXIT_WBINVD] = "WBINVD",
    [VMEXIT_INVD] = "INVD",
    [VMEXIT_MONITOR] = "MONITOR",
    [VMEXIT_MWAIT] = "MWAIT",
    [VMEXIT_PAUSE] = "PAUSE",
    [VMEXIT_TASK_SWITCH] = "task switch",
    [VMEXIT_DESC_TABLE] = "descriptor",
    [VMEXIT_SHUTDOWN] = "triple fault",
    [VMEXIT_VIRT_INSN] = "VMX or SVM",
    [VMEXIT_PREEMPT_TIMER] = "timer",
    [VMEXIT_APIC_EOI] = "APIC EOI",
    [VMEXIT_APIC_WRITE] = "APIC write",
    [VMEXIT_INVALID_STATE] = "bad state",
    [VMEXIT_UNKNOWN] = "unknown",
    [VMEXIT_NONE] = "internal",
};

/* What guests spend their exits on. */
static void key_exits(char key)
{
    spin_lock(&domlist_lock);
    list_for_each(e, &domain_list)
    {
        const struct domain *d = list_entry(e, struct domain, all_entry);

        for_each_vcpu(d, v)
        {
            if (!v->hvm)
                continue;
            printk("d%uv%u:", d->id, v->id);
            for (unsigned int i = 0; i < VMEXIT_REASONS; i++) {
                if (v->hvm->exits[i])
                    printk(" %s %lu", exit_names[i] ?: "?", v->hvm->exits[i]);
            }
            printk("\n");
        }
    }
    spin_unlock(&domlist_lock);
}

static void key_timers(char key)
{
    for (unsigned int i = 0; i < nr_cpus; i++)
        printk("CPU %u: %u timers\n", i, timers_armed(i));
    printk("System time %ld ns\n", now_ns());
}

static void key_all(char key)
{
    for (int k = 'A'; k < 128; k++) {
        if (keys[k].fn && k != 'R' && k != 'C' && k != 'h')
            keys[k].fn((char)k);
    }
}

static void key_reboot(char key)
{
    printk("Rebooting\n");
    machine_reboot();
}

static void key_crash(char key)
{
    panic("asked for by key");
}

void keyhandler_init(void)
{
    keyhandler_register('h', key_help, "this list");
    keyhandler_register('d', key_registers, "what each CPU runs, with registers");
    keyhandler_register('0', key_dom0, "registers of Dom0's vCPUs");
    keyhandler_register('v', key_guests, "registers of guests' vCPUs");
    keyhandler_register('q', key_domains, "domains");
    keyhandler_register('r', key_run_queues, "who runs and who waits for a CPU");
    keyhandler_register('i', key_interrupts, "interrupts of the machine");
    keyhandler_register('m', key_memory, "memory");
    keyhandler_register('e', key_event_channels, "event channels");
    keyhandler_register('x', key_exits, "VM exits of each vCPU by reason");
    keyhandler_register('a', key_timers, "timers");
    keyhandler_register('*', key_all, "all that tells something");
    keyhandler_register('R', key_reboot, "reboot the machine");
    keyhandler_register('C', key_crash, "panic");
}
