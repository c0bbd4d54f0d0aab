/*
 * What an operation costs that leaves the guest, in ticks of the TSC: with QEMU's
 * `-icount shift=0` and a native TSC that is instructions. Each row is the median of
 * many; printed as `bench <row> <median>` on every output. Made to run as an HVM guest
 * behind a firmware, so that devices have their addresses; rows for things that are not
 * there are left out and named. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"
#include "apic.h"
#include "pci.h"

const char test_title[] = "bench";

#define SAMPLES             101
#define WARM_UP             5
#define PORT_PIC_MASK       0x21
#define PORT_PIT            0x40
#define PORT_RTC            0x71
#define PORT_NOBODY         0x2f0
#define PORT_UART_LSR       0x3fd
#define FADT_PM_TMR         76
#define HPET_COUNTER        0xfed000f0ul
#define IOAPIC_WINDOW       0xfec00010ul
#define E1000_STATUS        8
#define VECTOR_IPI          0x60
#define VECTOR_TIMER        0x61
#define SLEEP_US            200
#define CPUID1_ECX_DEADLINE (1u << 24)
#define PCI_CLASS_VGA       0x0300
#define PCI_ID_E1000        0x100e8086u

static uint64_t samples[SAMPLES];
static uint64_t argument;
static volatile uint64_t handler_tsc;

static uint64_t median(void)
{
    for (unsigned i = 1; i < SAMPLES; i++)
        for (unsigned k = i; k && samples[k] < samples[k - 1]; k--) {
            uint64_t t = samples[k];

            samples[k] = samples[k - 1];
            samples[k - 1] = t;
        }
    return samples[SAMPLES / 2];
}

static void report(const char *row)
{
    uint64_t middle = median();

    print("bench %s %lu\n", row, middle);
    print("# %s: min %lu, max %lu of %u\n", row, samples[0], samples[SAMPLES - 1],
          SAMPLES);
}

/* Time the operation between two RDTSC, nothing else between them. */
static void measure(const char *row, void (*operation)(void))
{
    for (unsigned i = 0; i < WARM_UP + SAMPLES; i++) {
        uint64_t start = rdtsc();

        operation();
        samples[i < WARM_UP ? 0 : i - WARM_UP] = rdtsc() - start;
    }
    report(row);
}

static void nothing(void)
{
}
static void op_cpuid(void)
{
    cpuid(0, 0);
}
static void op_rdmsr(void)
{
    rdmsr(MSR_MTRR_DEF_TYPE);
}
static void op_wrmsr(void)
{
    wrmsr(MSR_MTRR_DEF_TYPE, argument);
}
static void op_rdmsr_unknown(void)
{
    uint64_t value;

    rdmsr_catch(0x12345, &value);
}
static void op_version(void)
{
    xen_version_op(XENVER_version, NULL);
}
static void op_unknown(void)
{
    hypercall(63, 0, 0, 0, 0, 0);
}
static void op_yield(void)
{
    sched_op(SCHEDOP_yield, NULL);
}
static void op_pic(void)
{
    inb(PORT_PIC_MASK);
}
static void op_pit(void)
{
    inb(PORT_PIT);
}
static void op_in32(void)
{
    inl((uint16_t)argument);
}
static void op_rtc(void)
{
    inb(PORT_RTC);
}
static void op_nobody(void)
{
    inb(PORT_NOBODY);
}
static void op_uart(void)
{
    inb(PORT_UART_LSR);
}
static void op_cf8(void)
{
    inl(PCI_CONFIG_ADDRESS);
}
static void op_pci(void)
{
    outl(PCI_CONFIG_ADDRESS, 0x80000000u);
    inl(PCI_CONFIG_DATA);
}
static void op_read32(void)
{
    (void)*(volatile uint32_t *)argument;
}
static void op_x2apic_read(void)
{
    rdmsr(MSR_X2APIC + APIC_ID / 16);
}
static void op_x2apic_tpr(void)
{
    wrmsr(MSR_X2APIC + APIC_TPR / 16, 0);
}

static void on_interrupt(struct regs *regs)
{
    handler_tsc = rdtsc();
    apic_eoi();
}

static void self_ipi(void)
{
    set_handler(VECTOR_IPI, on_interrupt);
    for (unsigned i = 0; i < WARM_UP + SAMPLES; i++) {
        uint64_t start;

        handler_tsc = 0;
        irq_enable();
        start = rdtsc();
        wrmsr(MSR_X2APIC + APIC_SELF / 16, VECTOR_IPI);
        while (!handler_tsc)
            ;
        irq_disable();
        samples[i < WARM_UP ? 0 : i - WARM_UP] = handler_tsc - start;
    }
    report("self_ipi");
}

/* APIC timer ticks in SLEEP_US, for CPUs without the TSC deadline mode. */
static uint32_t calibrate_apic_timer(uint64_t ticks)
{
    uint64_t start;
    uint32_t count;

    apic_write(APIC_TDCR, APIC_TDCR_1);
    apic_write(APIC_LVTT, APIC_LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TMICT, ~0u);
    start = rdtsc();
    while (rdtsc() - start < ticks * 64)
        ;
    count = ~0u - apic_read(APIC_TMCCT);
    return count / 64;
}

static void sleep_and_wake(void)
{
    bool deadline = cpuid(1, 0).ecx & CPUID1_ECX_DEADLINE;
    uint64_t ticks = tsc_per_ms() * SLEEP_US / 1000;
    uint32_t count = deadline ? 0 : calibrate_apic_timer(ticks);

    print("# hlt: %s, TSC at %lu kHz\n", deadline ? "TSC deadline" : "one-shot timer",
          tsc_per_ms());
    set_handler(VECTOR_TIMER, on_interrupt);
    apic_write(APIC_LVTT,
               VECTOR_TIMER | (deadline ? APIC_LVT_DEADLINE : APIC_LVT_ONESHOT));
    for (unsigned i = 0; i < WARM_UP + SAMPLES; i++) {
        uint64_t start;

        /* Spread the samples over the phases of whatever the hypervisor rounds timers to.
         */
        delay_us(i * 37 % 101);
        start = rdtsc();
        handler_tsc = 0;
        if (deadline)
            wrmsr(MSR_TSC_DEADLINE, start + ticks);
        else
            apic_write(APIC_TMICT, count);
        halt_once();
        while (!handler_tsc)
            halt_once();
        samples[i < WARM_UP ? 0 : i - WARM_UP] = handler_tsc - start - ticks;
    }
    report("hlt_wake");
}

static void ports(void)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    uint32_t pm_timer = 0;

    measure("port_pic", op_pic);
    measure("port_pit", op_pit);
    if (fadt)
        memcpy(&pm_timer, (const char *)fadt + FADT_PM_TMR, 4);
    argument = pm_timer;
    if (pm_timer)
        measure("port_pmtimer", op_in32);
    else
        print("# port_pmtimer: no FADT\n");
    measure("port_rtc", op_rtc);
    measure("port_nobody", op_nobody);
    measure("dm_port_uart", op_uart);
    measure("dm_port_cf8", op_cf8);
    measure("dm_pci_config", op_pci);
}

static void device_memory(void)
{
    uint32_t bdf;

    argument = HPET_COUNTER;
    measure("mmio_hpet", op_read32);
    argument = IOAPIC_WINDOW;
    measure("mmio_ioapic", op_read32);
    bdf = pci_find_class(PCI_CLASS_VGA);
    argument = bdf == PCI_NONE ? 0 : pci_bar(bdf, 2);
    if (argument)
        measure("dm_mmio_vga", op_read32);
    else
        print("# dm_mmio_vga: no such device\n");
    bdf = pci_find_id(PCI_ID_E1000);
    argument = bdf == PCI_NONE ? 0 : pci_bar(bdf, 0) + E1000_STATUS;
    if (argument > E1000_STATUS)
        measure("dm_mmio_e1000", op_read32);
    else
        print("# dm_mmio_e1000: no such device\n");
}

void test_main(void)
{
    apic_enable();
    irq_disable();
    measure("nothing", nothing);
    measure("cpuid", op_cpuid);
    measure("rdmsr", op_rdmsr);
    argument = rdmsr(MSR_MTRR_DEF_TYPE);
    measure("wrmsr", op_wrmsr);
    measure("rdmsr_unknown", op_rdmsr_unknown);
    if (env.xen) {
        measure("hypercall_version", op_version);
        measure("hypercall_unknown", op_unknown);
        measure("hypercall_yield", op_yield);
    } else {
        print("# hypercalls: no Xen leaves here\n");
    }
    ports();
    device_memory();
    if (apic_enter_x2apic()) {
        measure("x2apic_read", op_x2apic_read);
        measure("x2apic_tpr", op_x2apic_tpr);
        self_ipi();
        sleep_and_wake();
    } else {
        print("# x2apic: not offered\n");
    }
    print("bench-end\n");
    check(true, "all rows measured");
}
