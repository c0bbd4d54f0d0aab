/* The machine's I/O APICs. SPDX-License-Identifier: GPL-2.0-or-later
 * Intel 82093AA data sheet, section 3. */
#include "cpu/apic.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "boot/boot.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/spinlock.h"

#define IOREGSEL   0 /* in 32-bit words */
#define IOWIN      4
#define IOAPIC_VER 1
#define IOAPIC_RTE 0x10

#define RTE_MASKED     BIT(16)
#define RTE_LEVEL      BIT(15)
#define RTE_ACTIVE_LOW BIT(13)
#define MAX_PINS       240

static struct {
    volatile uint32_t *regs;
    unsigned int gsi_base, pins;
    uint64_t claimed[DIV_ROUND_UP(MAX_PINS, 64)]; /* pins that are not Dom0's */
    uint32_t low[MAX_PINS]; /* low words as written, so that masking needs no read */
} ioapics[ARRAY_SIZE(acpi.ioapic)];

static struct spinlock ioapic_lock; /* guards the register windows and ioapics[].low */

static uint32_t ioapic_read(unsigned int n, uint32_t reg)
{
    ioapics[n].regs[IOREGSEL] = reg;
    return ioapics[n].regs[IOWIN];
}

static void ioapic_write(unsigned int n, uint32_t reg, uint32_t val)
{
    ioapics[n].regs[IOREGSEL] = reg;
    ioapics[n].regs[IOWIN] = val;
}

/* Which I/O APIC has this interrupt, and as which pin. */
static int ioapic_find(unsigned int gsi, unsigned int *pin)
{
    for (unsigned int n = 0; n < acpi.ioapic_count; n++) {
        if (gsi - ioapics[n].gsi_base < ioapics[n].pins) {
            *pin = gsi - ioapics[n].gsi_base;
            return (int)n;
        }
    }
    return -ENODEV;
}

unsigned int ioapic_nr_gsis(void)
{
    unsigned int count = 0;

    for (unsigned int n = 0; n < acpi.ioapic_count; n++)
        count = max(count, ioapics[n].gsi_base + ioapics[n].pins);
    return count;
}

int ioapic_read_rte(unsigned int gsi, uint64_t *rte)
{
    unsigned int pin;
    int n = ioapic_find(gsi, &pin);

    if (n < 0)
        return n;
    spin_lock(&ioapic_lock);
    *rte = ioapic_read((unsigned int)n, IOAPIC_RTE + 2 * pin) |
           (uint64_t)ioapic_read((unsigned int)n, IOAPIC_RTE + 2 * pin + 1) << 32;
    spin_unlock(&ioapic_lock);
    return 0;
}

/* Masked while it is half written. */
static void rte_write(unsigned int n, unsigned int pin, uint64_t rte)
{
    uint32_t reg = IOAPIC_RTE + 2 * pin;

    spin_lock(&ioapic_lock);
    ioapic_write(n, reg, ioapics[n].low[pin] | RTE_MASKED);
    ioapic_write(n, reg + 1, (uint32_t)(rte >> 32));
    ioapic_write(n, reg, (uint32_t)rte);
    ioapics[n].low[pin] = (uint32_t)rte;
    spin_unlock(&ioapic_lock);
}

static bool is_claimed(unsigned int n, unsigned int pin)
{
    return ioapics[n].claimed[pin / 64] & BIT(pin % 64);
}

int ioapic_write_rte(unsigned int gsi, uint64_t rte)
{
    unsigned int pin;
    int n = ioapic_find(gsi, &pin);

    if (n < 0)
        return n;
    if (is_claimed((unsigned int)n, pin))
        return -EBUSY;
    rte_write((unsigned int)n, pin, rte);
    return 0;
}

int ioapic_mask(unsigned int gsi, bool mask)
{
    unsigned int pin;
    int n = ioapic_find(gsi, &pin);
    uint32_t low;

    if (n < 0)
        return n;
    if (is_claimed((unsigned int)n, pin))
        return -EBUSY;
    spin_lock(&ioapic_lock);
    low = ioapics[n].low[pin] & ~(uint32_t)RTE_MASKED;
    ioapics[n].low[pin] = low | (mask ? RTE_MASKED : 0);
    ioapic_write((unsigned int)n, IOAPIC_RTE + 2 * pin, ioapics[n].low[pin]);
    spin_unlock(&ioapic_lock);
    return 0;
}

int ioapic_claim(unsigned int gsi, uint8_t vector, bool active_low, bool level)
{
    unsigned int pin;
    int n = ioapic_find(gsi, &pin);

    if (n < 0)
        return n;
    ioapics[n].claimed[pin / 64] |= BIT(pin % 64);
    rte_write((unsigned int)n, pin,
              vector | (active_low ? RTE_ACTIVE_LOW : 0) | (level ? RTE_LEVEL : 0) |
                  (uint64_t)cpus[0]->apic_id << 56);
    return 0;
}

unsigned int isa_irq_to_gsi(unsigned int irq, bool *active_low, bool *level)
{
    *active_low = false;
    *level = false;
    for (unsigned int i = 0; i < acpi.override_count; i++) {
        if (acpi.override[i].irq != irq)
            continue;
        *active_low = (acpi.override[i].flags & 3) == 3;
        *level = (acpi.override[i].flags >> 2 & 3) == 3;
        return acpi.override[i].gsi;
    }
    return irq;
}

void ioapic_init(void)
{
    for (unsigned int n = 0; n < acpi.ioapic_count; n++) {
        ioapics[n].regs = map_mmio(acpi.ioapic[n].maddr, 0x20);
        ioapics[n].gsi_base = acpi.ioapic[n].gsi_base;
        ioapics[n].pins =
            min((ioapic_read(n, IOAPIC_VER) >> 16 & 0xff) + 1, MAX_PINS + 0u);
        for (unsigned int pin = 0; pin < ioapics[n].pins; pin++) {
            ioapics[n].low[pin] = RTE_MASKED;
            rte_write(n, pin, RTE_MASKED);
        }
        printk("I/O APIC %u: %u pins from interrupt %u\n", acpi.ioapic[n].id,
               ioapics[n].pins, ioapics[n].gsi_base);
    }
}
