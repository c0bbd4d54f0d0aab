/*
 * The PC platform as an HVM guest (or a bare machine) has it: PIC, PIT, I/O APIC, RTC,
 * HPET, ACPI PM timer, and how their interrupts get to the CPU (datasheets of the 8259A,
 * 8254, 82093AA, MC146818; IA-PC HPET specification 1.0a; ACPI 6.4 chapter 4).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"
#include "apic.h"

const char test_title[] = "platform";

#define PIC1          0x20
#define PIC2          0xa0
#define PIC_VECTOR    0x80 /* 0x80 to 0x8f */
#define PIT_CH0       0x40
#define PIT_CH2       0x42
#define PIT_CONTROL   0x43
#define PIT_GATE      0x61
#define PIT_HZ        1193182ul
#define RTC_INDEX     0x70
#define RTC_DATA      0x71
#define RTC_A         0x0a
#define RTC_B         0x0b
#define RTC_C         0x0c
#define RTC_D         0x0d
#define HPET_BASE     0xfed00000ul
#define IOAPIC_BASE   0xfec00000ul
#define IOAPIC_VECTOR 0x90
#define FADT_PM_TMR   76
#define PM_TIMER_HZ   3579545ul
#define WAIT_MS       500

static volatile uint32_t hits, last_vector;

static void pic_eoi(unsigned irq)
{
    if (irq >= 8)
        outb(PIC2, 0x20);
    outb(PIC1, 0x20);
}

static void on_pic(struct regs *regs)
{
    hits++;
    last_vector = (uint32_t)regs->vector;
    if (regs->vector == PIC_VECTOR + 8) { /* RTC: reading C makes it ready for the next */
        outb(RTC_INDEX, RTC_C);
        inb(RTC_DATA);
    }
    pic_eoi((unsigned)regs->vector - PIC_VECTOR);
}

static void on_ioapic(struct regs *regs)
{
    hits++;
    last_vector = (uint32_t)regs->vector;
    apic_eoi();
}

static void pic_init(uint8_t mask1, uint8_t mask2)
{
    outb(PIC1, 0x11); /* ICW1: edge, cascade, ICW4 */
    outb(PIC1 + 1, PIC_VECTOR);
    outb(PIC1 + 1, 1 << 2);
    outb(PIC1 + 1, 1);
    outb(PIC2, 0x11);
    outb(PIC2 + 1, PIC_VECTOR + 8);
    outb(PIC2 + 1, 2);
    outb(PIC2 + 1, 1);
    outb(PIC1 + 1, mask1);
    outb(PIC2 + 1, mask2);
}

static uint8_t pic_read(uint16_t port, bool isr)
{
    outb(port, isr ? 0x0b : 0x0a);
    return inb(port);
}

static void pit_start(unsigned channel, unsigned mode, uint16_t count)
{
    outb(PIT_CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    outb((uint16_t)(PIT_CH0 + channel), (uint8_t)count);
    outb((uint16_t)(PIT_CH0 + channel), (uint8_t)(count >> 8));
}

static uint16_t pit_latch(unsigned channel)
{
    uint8_t low;

    outb(PIT_CONTROL, (uint8_t)(channel << 6));
    low = inb((uint16_t)(PIT_CH0 + channel));
    return (uint16_t)(low | inb((uint16_t)(PIT_CH0 + channel)) << 8);
}

static void pic(void)
{
    pic_init(0xfb, 0xff);
    check_eq(inb(PIC1 + 1), 0xfb, "PIC: master's mask reads back");
    check_eq(inb(PIC2 + 1), 0xff, "PIC: slave's mask reads back");
    outb(PIC1 + 1, 0xaa);
    check_eq(inb(PIC1 + 1), 0xaa, "PIC: another mask reads back");
    for (unsigned v = 0; v < 16; v++)
        set_handler(PIC_VECTOR + v, on_pic);

    /* Virtual wire: the APIC takes the PIC's interrupt at LINT0. */
    apic_write(APIC_LVT0, APIC_DM_EXTINT);
    pic_init(0xfe, 0xff);
    hits = 0;
    pit_start(0, 2, (uint16_t)(PIT_HZ / 200));
    check(wait_change(&hits, 0, WAIT_MS) && last_vector == PIC_VECTOR,
          "PIC: IRQ 0 of the PIT");
    check(wait_change(&hits, 1, WAIT_MS), "PIC: and the next");
    outb(PIC1 + 1, 0xff);
    asm volatile("sti; nop; nop; cli");
    hits = 0;
    check(!wait_change(&hits, 0, 30), "PIC: masked, it is quiet");
    check(pic_read(PIC1, false) & 1, "PIC: but IRR shows it");
    outb(PIC1 + 1, 0xfe);
    check(wait_change(&hits, 0, WAIT_MS), "PIC: unmasked, it comes");
    outb(PIC1 + 1, 0xff);
    check_eq(pic_read(PIC1, true), 0, "PIC: ISR is empty");
    pit_start(0, 0, 0);
}

static void pit(void)
{
    uint16_t a, b;
    uint64_t start, ticks;
    uint8_t gate = inb(PIT_GATE);

    pit_start(0, 2, 0xffff);
    a = pit_latch(0);
    delay_us(1000);
    b = pit_latch(0);
    check((uint16_t)(a - b) > 1000 && (uint16_t)(a - b) < 60000,
          "PIT: channel 0 counts down, %u in 1 ms", (uint16_t)(a - b));
    outb(PIT_GATE, (uint8_t)((gate & ~2) | 1));
    start = rdtsc();
    pit_start(2, 0, (uint16_t)(PIT_HZ / 100));
    check(!(inb(PIT_GATE) & 0x20) || rdtsc() - start > ms_to_tsc(8),
          "PIT: channel 2's output is low in mode 0");
    while (!(inb(PIT_GATE) & 0x20) && rdtsc() - start < ms_to_tsc(WAIT_MS))
        cpu_relax();
    ticks = rdtsc() - start;
    check(inb(PIT_GATE) & 0x20 && ticks > ms_to_tsc(8),
          "PIT: and high after %lu us of 10000", ticks * 1000 / tsc_per_ms());
    outb(PIT_GATE, gate);
    /* Read-back command: status of channel 0 says mode 2, both bytes. */
    outb(PIT_CONTROL, 0xe2);
    check_eq(inb(PIT_CH0) & 0x3f, 0x34, "PIT: read-back of channel 0's status");
    pit_start(0, 0, 0);
}

static uint32_t ioapic_read(uint8_t reg)
{
    *(volatile uint32_t *)IOAPIC_BASE = reg;
    return *(volatile uint32_t *)(IOAPIC_BASE + 0x10);
}

static void ioapic_write(uint8_t reg, uint32_t value)
{
    *(volatile uint32_t *)IOAPIC_BASE = reg;
    *(volatile uint32_t *)(IOAPIC_BASE + 0x10) = value;
}

static void ioapic_route(unsigned pin, uint32_t low, uint8_t destination)
{
    ioapic_write((uint8_t)(0x11 + 2 * pin), (uint32_t)destination << 24);
    ioapic_write((uint8_t)(0x10 + 2 * pin), low);
}

static void ioapic(void)
{
    uint32_t version = ioapic_read(1), pins = (version >> 16 & 0xff) + 1;
    uint8_t id = (uint8_t)apic_id();

    check((version & 0xff) >= 0x11 && pins >= 24 && pins <= 240,
          "I/O APIC: version %x, %u pins", version & 0xff, pins);
    ioapic_write(0x10 + 2 * 5, 0x1a955);
    check_eq(ioapic_read(0x10 + 2 * 5) & 0x1afff, 0x1a955,
             "I/O APIC: an entry reads back");
    ioapic_write(0x10 + 2 * 5, 0x10000);
    apic_write(APIC_LVT0, APIC_LVT_MASKED | APIC_DM_EXTINT);
    outb(PIC1 + 1, 0xff);
    set_handler(IOAPIC_VECTOR, on_ioapic);
    set_handler(IOAPIC_VECTOR + 8, on_ioapic);

    hits = 0;
    ioapic_route(2, IOAPIC_VECTOR, id);
    pit_start(0, 2, (uint16_t)(PIT_HZ / 200));
    check(wait_change(&hits, 0, WAIT_MS) && last_vector == IOAPIC_VECTOR,
          "I/O APIC: the PIT at pin 2");
    check(wait_change(&hits, 1, WAIT_MS), "I/O APIC: and again");
    ioapic_route(2, IOAPIC_VECTOR | 1u << 16, id);
    asm volatile("sti; nop; nop; cli");
    hits = 0;
    check(!wait_change(&hits, 0, 30), "I/O APIC: masked, it is quiet");
    pit_start(0, 0, 0);
}

static uint8_t rtc_read(uint8_t reg)
{
    outb(RTC_INDEX, reg);
    return inb(RTC_DATA);
}

static void rtc_write(uint8_t reg, uint8_t value)
{
    outb(RTC_INDEX, reg);
    outb(RTC_DATA, value);
}

static void rtc(void)
{
    uint8_t b = rtc_read(RTC_B), seconds, hours;
    uint64_t start;

    check(rtc_read(RTC_D) & 0x80, "RTC: the battery is good");
    rtc_write(RTC_B, (uint8_t)(b | 4)); /* binary */
    seconds = rtc_read(0);
    hours = rtc_read(4);
    check(seconds < 60 && hours < 24 && rtc_read(8) >= 1 && rtc_read(8) <= 12,
          "RTC: %u h %u min %u s", hours, rtc_read(2), seconds);
    rtc_write(0x40, 0x5a);
    check_eq(rtc_read(0x40), 0x5a, "RTC: a byte of CMOS holds its value");
    rtc_read(RTC_C);
    seconds = rtc_read(0); /* the flag of an update before this one is cleared */
    start = rdtsc();
    while (rtc_read(0) == seconds && rdtsc() - start < ms_to_tsc(3000))
        cpu_relax();
    check(rtc_read(0) != seconds, "RTC: the seconds go on");
    delay_us(20000);
    check(rtc_read(RTC_C) & 0x10, "RTC: C says that it was updated");
    check(!(rtc_read(RTC_C) & 0x10), "RTC: reading clears it");

    /* Periodic interrupt, 1024 Hz, through pin 8. */
    hits = 0;
    ioapic_route(8, IOAPIC_VECTOR + 8, (uint8_t)apic_id());
    rtc_write(RTC_A, 0x26);
    rtc_read(RTC_C);
    rtc_write(RTC_B, (uint8_t)((b | 4 | 0x40) & ~0x30));
    check(wait_change(&hits, 0, WAIT_MS) && last_vector == IOAPIC_VECTOR + 8,
          "RTC: periodic interrupt");
    check(rtc_read(RTC_C) & 0x40, "RTC: C names it");
    hits = 0;
    rtc_read(RTC_C);
    check(wait_change(&hits, 0, WAIT_MS), "RTC: reading C lets the next through");
    rtc_write(RTC_B, (uint8_t)(b & ~0x70));
    rtc_read(RTC_C);
    ioapic_route(8, 0x10000, 0);
}

static uint64_t hpet_read(uint32_t reg)
{
    return *(volatile uint64_t *)(HPET_BASE + reg);
}

static void hpet_write(uint32_t reg, uint64_t value)
{
    *(volatile uint64_t *)(HPET_BASE + reg) = value;
}

static void hpet(void)
{
    uint64_t capabilities = hpet_read(0), period, a, b;
    uint64_t routes;
    unsigned pin = 0;

    if ((capabilities & 0xff) == 0xff || !(capabilities & 0xff)) {
        skip("there is none", "HPET");
        return;
    }
    period = capabilities >> 32; /* femtoseconds */
    check(period > 100000 && period <= 100000000, "HPET: period %lu fs, %lu timers",
          period, (capabilities >> 8 & 31) + 1);
    hpet_write(0x10, 0);
    hpet_write(0xf0, 0x1234567);
    check_eq(hpet_read(0xf0), 0x1234567, "HPET: the stopped counter can be set");
    hpet_write(0x10, 1);
    a = hpet_read(0xf0);
    delay_us(5000);
    b = hpet_read(0xf0);
    check((b - a) * period / 1000000 >= 4900000 && (b - a) * period / 1000000 < 500000000,
          "HPET: 5 ms are %lu ns of its", (b - a) * period / 1000000);
    check_eq(*(volatile uint32_t *)(HPET_BASE + 4), capabilities >> 32,
             "HPET: the high half by itself");

    /* Timer 0, one-shot, through an I/O APIC pin that it may use. */
    routes = hpet_read(0x100) >> 32;
    while (pin < 24 && !(routes >> pin & 1))
        pin++;
    if (!check(pin < 24, "HPET: timer 0 can be routed (%lx)", routes))
        return;
    asm volatile("sti; nop; nop; cli"); /* what the RTC left pending */
    hits = 0;
    ioapic_route(pin, IOAPIC_VECTOR, (uint8_t)apic_id());
    hpet_write(0x100, (uint64_t)pin << 9);
    hpet_write(0x108, hpet_read(0xf0) + 3000000000000ul / period);
    hpet_write(0x100, (uint64_t)pin << 9 | 1u << 2);
    check(wait_change(&hits, 0, WAIT_MS), "HPET: timer 0 fires through pin %u", pin);
    check(!wait_change(&hits, 1, 20), "HPET: once");
    hpet_write(0x100, 0);

    if (hpet_read(0x100) & 1u << 4) { /* periodic capable: accumulator by SETVAL */
        uint64_t step = 3000000000000ul / period;
        uint32_t seen = 0;

        hits = 0;
        hpet_write(0x10, 0);
        hpet_write(0x100, (uint64_t)pin << 9 | 1u << 2 | 1u << 3 | 1u << 6);
        hpet_write(0x108, hpet_read(0xf0) + step);
        hpet_write(0x108, step);
        hpet_write(0x10, 1);
        while (seen < 4 && wait_change(&hits, seen, WAIT_MS))
            seen++;
        check_eq(seen, 4, "HPET: timer 0 periodic");
        hpet_write(0x100, 0);
    } else {
        skip("not offered", "HPET: timer 0 periodic");
    }
    ioapic_route(pin, 0x10000, 0);
    hpet_write(0x10, 0);
}

static void pm_timer(void)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    uint32_t port = 0, a, b, d;

    if (fadt)
        memcpy(&port, (const char *)fadt + FADT_PM_TMR, 4);
    if (!port) {
        skip("no FADT", "PM timer");
        return;
    }
    a = inl((uint16_t)port);
    delay_us(5000);
    b = inl((uint16_t)port);
    d = (b - a) & 0xffffff;
    check(d >= PM_TIMER_HZ * 49 / 10000 && d < PM_TIMER_HZ / 2,
          "PM timer: %u ticks in 5 ms", d);
    check((a >> 24) == 0 || fadt->length > 116,
          "PM timer: 24 bits unless said otherwise");
}

static void ports(void)
{
    outb(0x80, 0x55);
    check_eq(inb(0x2f0), 0xff, "a port that nobody has reads as ones (8 bits)");
    check_eq(inw(0x2f0), 0xffff, "16 bits");
    check_eq(inl(0x2f0), 0xffffffff, "32 bits");
}

/* The devices are measured with it from here on. */
static void tsc(void)
{
    uint32_t khz;

    if (!env.xen)
        return;
    khz = cpuid(env.xen_base + 3, 0).ecx;
    check(tsc_per_ms() > khz - khz / 1000 && tsc_per_ms() < khz + khz / 1000,
          "TSC: %u kHz by CPUID, %lu by the time record", khz, tsc_per_ms());
}

void test_main(void)
{
    if (env.boot == BOOT_PVH) {
        skip("a PVH guest has no such platform", "PC platform");
        return;
    }
    apic_enable();
    time_init();
    tsc();
    pic();
    pit();
    ioapic();
    rtc();
    hpet();
    pm_timer();
    ports();
}
