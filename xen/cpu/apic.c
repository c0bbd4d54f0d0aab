/* The machine's local APICs. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM volume 3, chapter 11; AMD APM volume 2, chapter 16. xAPIC mode has its
 * registers in memory, x2APIC mode in MSRs 0x800 + offset / 16. In xAPIC mode the logical
 * ids are flat (one bit per CPU) on machines with up to 8 CPUs, as Linux would set them:
 * Dom0's device interrupts are programmed with them.
 */
#include "cpu/apic.h"
#include "cpu/percpu.h"
#include "cpu/time.h"
#include "cpu/x86.h"
#include "boot/boot.h"
#include "mm/frame.h"
#include "lib/math.h"
#include "lib/printk.h"

enum apic_reg {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_LDR = 0xd0,
    APIC_DFR = 0xe0,
    APIC_SVR = 0xf0,
    APIC_ISR = 0x100,
    APIC_TMR = 0x180,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR2 = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERF = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_ICR = 0x380,
    APIC_TIMER_CCR = 0x390,
    APIC_TIMER_DCR = 0x3e0,
};

#define APIC_SVR_ENABLE    BIT(8)
#define APIC_LVT_MASKED    BIT(16)
#define APIC_LVT_DEADLINE  BIT(18)
#define APIC_DELIVERY_NMI  0x400u
#define APIC_DELIVERY_INIT 0x500u
#define APIC_DELIVERY_SIPI 0x600u
#define APIC_ICR_ASSERT    BIT(14)
#define APIC_ICR_PENDING   BIT(12)
#define APIC_DCR_BY_1      0xb
#define APIC_DFR_FLAT      0xffffffffu
#define APIC_MAX_FLAT_CPUS 8
#define APIC_BASE_ENABLE   BIT(11)
#define APIC_BASE_X2APIC   BIT(10)
#define APIC_BROADCAST_ID  255

static volatile uint32_t *apic_regs;
static bool x2apic, deadline;
static uint64_t timer_hz;
static uint64_t ticks_per_ns_32; /* timer ticks per ns, 32.32 fixed point */

static bool opt_x2apic;
option_bool("x2apic", opt_x2apic, "use x2APIC mode though the firmware left xAPIC on");

static uint32_t apic_read(enum apic_reg reg)
{
    if (x2apic)
        return (uint32_t)rdmsr(MSR_X2APIC_BASE + reg / 16);
    return apic_regs[reg / 4];
}

static void apic_write(enum apic_reg reg, uint32_t val)
{
    if (x2apic)
        wrmsr(MSR_X2APIC_BASE + reg / 16, val);
    else
        apic_regs[reg / 4] = val;
}

bool apic_x2apic_enabled(void)
{
    return x2apic;
}

uint32_t apic_id_self(void)
{
    uint32_t id = apic_read(APIC_ID);

    return x2apic ? id : id >> 24;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

void apic_reconsider(void)
{
    apic_write(APIC_TPR, 0);
}

bool apic_is_level(unsigned int vector)
{
    return apic_read(APIC_TMR + vector / 32 * 0x10) & BIT(vector % 32);
}

static void apic_icr(uint32_t apic_id, uint32_t command)
{
    if (x2apic) {
        mb(); /* an MSR write does not order the memory writes before it */
        wrmsr(MSR_X2APIC_BASE + APIC_ICR / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    while (apic_regs[APIC_ICR / 4] & APIC_ICR_PENDING)
        cpu_relax();
    apic_regs[APIC_ICR2 / 4] = apic_id << 24;
    apic_regs[APIC_ICR / 4] = command;
}

void apic_send_ipi(unsigned int cpu, unsigned int vector)
{
    apic_icr(cpus[cpu]->apic_id, vector | APIC_ICR_ASSERT);
}

void apic_send_nmi(unsigned int cpu)
{
    apic_icr(cpus[cpu]->apic_id, APIC_DELIVERY_NMI | APIC_ICR_ASSERT);
}

void apic_send_init(uint32_t apic_id)
{
    apic_icr(apic_id, APIC_DELIVERY_INIT | APIC_ICR_ASSERT);
}

void apic_send_startup(uint32_t apic_id, uint8_t page)
{
    apic_icr(apic_id, APIC_DELIVERY_SIPI | APIC_ICR_ASSERT | page);
}

/* Bring the mode bits of this CPU to what was chosen. */
static void apic_enable(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

    wrmsr(MSR_APIC_BASE, base);
    if (x2apic)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
}

void apic_init(void)
{
    uint32_t features = cpuid_get(1, CPUID_ECX);
    bool large_ids = false;

    if (!(cpuid_get(1, CPUID_EDX) & BIT(9)))
        panic("This processor has no local APIC, or the firmware disabled it");
    for (unsigned int i = 0; i < acpi.cpu_count; i++)
        large_ids |= acpi.cpu[i].apic_id >= APIC_BROADCAST_ID;
    x2apic = (features & BIT(21)) &&
             ((rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC) || large_ids || opt_x2apic);
    if (!x2apic)
        apic_regs = map_mmio(acpi.lapic_base, PAGE_SIZE);
    deadline = features & BIT(24);
    apic_enable();
}

/* Interrupts that were in service when the firmware or a panicked system left. */
static void apic_clear_isr(void)
{
    for (unsigned int n = 0; n < 256; n++) {
        bool any = false;

        for (unsigned int i = 0; i < 8; i++)
            any |= apic_read(APIC_ISR + i * 0x10) != 0;
        if (!any)
            break;
        apic_eoi();
    }
}

void apic_init_cpu(void)
{
    apic_enable();
    if (!x2apic) {
        apic_write(APIC_DFR, APIC_DFR_FLAT);
        if (this_cpu()->id < APIC_MAX_FLAT_CPUS)
            apic_write(APIC_LDR, 1u << (24 + this_cpu()->id));
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
    apic_clear_isr();
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(APIC_LVT_LINT1, APIC_DELIVERY_NMI);
    apic_write(APIC_ESR, 0);
    apic_write(APIC_LVT_ERROR, VECTOR_ERROR);
}

void apic_timer_count_start(void)
{
    apic_write(APIC_TIMER_DCR, APIC_DCR_BY_1);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_ICR, UINT32_MAX);
}

uint32_t apic_timer_count_read(void)
{
    return UINT32_MAX - apic_read(APIC_TIMER_CCR);
}

void apic_timer_set_frequency(uint64_t hz)
{
    timer_hz = hz;
    ticks_per_ns_32 = muldiv64(hz, 1ull << 32, NS_PER_S);
    printk("APIC: %s, timer by %s (%lu kHz)\n", x2apic ? "x2APIC" : "xAPIC",
           deadline ? "TSC deadline" : "one shot", hz / 1000);
}

void apic_timer_init_cpu(void)
{
    apic_write(APIC_TIMER_DCR, APIC_DCR_BY_1);
    apic_write(APIC_TIMER_ICR, 0);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline ? APIC_LVT_DEADLINE : 0));
    mb(); /* the mode before the first deadline: SDM volume 3, 11.5.4.1 */
}

/* The counter has 32 bits: a later time is reached in steps, as the timer interrupt arms
 * again what is left. */
void apic_timer_arm(ns_t when)
{
    unsigned __int128 ticks;
    ns_t delta;

    if (deadline) {
        wrmsr(MSR_TSC_DEADLINE, max(ns_to_tsc(when), (uint64_t)1));
        return;
    }
    delta = when - now_ns();
    if (delta < 0)
        delta = 0;
    ticks = ((unsigned __int128)(uint64_t)delta * ticks_per_ns_32 >> 32) + 1;
    apic_write(APIC_TIMER_ICR, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

void pic_disable(void)
{
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    outb(0x20, 0x11); /* ICW1: cascade, ICW4 follows */
    outb(0xa0, 0x11);
    outb(0x21, 0xe0); /* ICW2: a spurious one must not look like an exception */
    outb(0xa1, 0xe8);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}
