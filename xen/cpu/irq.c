/* Interrupt windows and the hypervisor's own vectors (cpu/irq.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/apic.h"
#include "cpu/smp_call.h"
#include "cpu/time_init.h"
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "lib/printk.h"
#include "lib/serial.h"

void irq_window(void)
{
    /* Interrupts are taken after the instruction that follows STI. */
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

void preempt_point(void)
{
    irq_window();
    if (this_cpu()->need_resched && this_cpu()->curr)
        schedule();
}

void irq_dispatch(unsigned int vector)
{
    this_cpu()->irq_count++;
    if (vector < VECTOR_FIRST_HYPERVISOR) {
        dom0_interrupt(vector, apic_is_level(vector));
        return;
    }
    switch (vector) {
    case VECTOR_TIMER:
        apic_eoi();
        timers_run();
        break;
    case VECTOR_CALL:
        apic_eoi();
        smp_call_serve();
        break;
    case VECTOR_POSTED: /* too late for guest mode: the next entry looks, too */
    case VECTOR_KICK:   /* who was kicked looks at its flags now */
        apic_eoi();
        break;
    case VECTOR_SERIAL:
        serial_interrupt();
        apic_eoi();
        break;
    case VECTOR_SPURIOUS: /* needs no EOI */
        break;
    case VECTOR_ERROR:
    default:
        printk("CPU %u: unexpected interrupt, vector 0x%x\n", this_cpu()->id, vector);
        apic_eoi();
    }
}
