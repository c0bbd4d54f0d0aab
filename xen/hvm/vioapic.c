/* I/O APIC: redirection entries, level and edge. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Intel 82093AA data sheet; the EOI register (offset 0x40) is that of version 0x20, ICH
 * data sheets. Polarity does not matter: lines are given as asserted or not. An edge that
 * comes while its pin is masked is lost, as the data sheet says.
 */
#include "hvm/vioapic.h"
#include "boot/boot.h"
#include "cpu/irq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"

#define IOREGSEL 0x00
#define IOWIN    0x10
#define EOI_REG  0x40

#define REG_ID      0
#define REG_VERSION 1
#define REG_ARB     2
#define REG_TABLE   0x10
#define VERSION     0x20

static void send(struct domain *d, struct vioapic *io, unsigned int gsi,
                 enum apic_sent *sent)
{
    uint64_t rte = io->rte[gsi];
    struct apic_msg m = {
        .dest = rte >> RTE_DEST_SHIFT | (rte >> RTE_EXT_DEST_SHIFT & 0x7f) << 8,
        .vector = rte & RTE_VECTOR,
        .mode = (rte & RTE_MODE) >> 8,
        .logical = rte & RTE_LOGICAL,
        .level = rte & RTE_LEVEL,
    };

    *sent = APIC_SENT_NOWHERE;
    switch (m.mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        *sent = vlapic_send(d, &m);
        if (m.level && *sent != APIC_SENT_NOWHERE)
            io->rte[gsi] |= RTE_REMOTE_IRR;
        break;
    case APIC_NMI:
    case APIC_INIT:
        *sent = vlapic_send(d, &m);
        break;
    default: /* ExtINT: platform_pic_accepted() looks at the entry of pin 0 */
        break;
    }
}

static bool level_deliverable(const struct domain *d, const struct vioapic *io,
                              unsigned int gsi)
{
    return (io->rte[gsi] & (RTE_LEVEL | RTE_MASKED | RTE_REMOTE_IRR)) == RTE_LEVEL &&
           platform_gsi_level(d, gsi);
}

enum apic_sent vioapic_raise(struct domain *d, unsigned int gsi)
{
    struct vioapic *io = d->hvm->vioapic;
    enum apic_sent sent;

    if (io->mirror || gsi >= io->nr_gsis || (io->rte[gsi] & RTE_MASKED))
        return APIC_SENT_NOWHERE;
    if ((io->rte[gsi] & (RTE_LEVEL | RTE_REMOTE_IRR)) == (RTE_LEVEL | RTE_REMOTE_IRR))
        return APIC_SENT_COALESCED;
    send(d, io, gsi, &sent);
    return sent;
}

/* One pin's interrupt is over: again, if its line is still up. */
static void pin_eoi(struct domain *d, struct vioapic *io, unsigned int gsi)
{
    enum apic_sent sent;

    io->rte[gsi] &= ~RTE_REMOTE_IRR;
    if (level_deliverable(d, io, gsi))
        send(d, io, gsi, &sent);
}

static void eoi_range(struct domain *d, uint8_t vector, unsigned int first,
                      unsigned int end)
{
    struct vioapic *io = d->hvm->vioapic;

    if (io->mirror) {
        for (unsigned int gsi = first; gsi < end; gsi++)
            if ((io->rte[gsi] & (RTE_VECTOR | RTE_LEVEL)) == (vector | RTE_LEVEL))
                dom0_gsi_eoi(gsi);
        return;
    }
    spin_lock(&d->hvm->platform->irq_lock);
    for (unsigned int gsi = first; gsi < end; gsi++)
        if ((io->rte[gsi] & (RTE_VECTOR | RTE_REMOTE_IRR)) == (vector | RTE_REMOTE_IRR))
            pin_eoi(d, io, gsi);
    spin_unlock(&d->hvm->platform->irq_lock);
}

void vioapic_eoi(struct domain *d, uint8_t vector)
{
    if (d->hvm->vioapic)
        eoi_range(d, vector, 0, d->hvm->vioapic->nr_gsis);
}

/* Pin 0 in ExtINT mode connects the PICs to a local APIC. irq_lock is held. */
static void update_extint(struct domain *d, struct vioapic *io)
{
    uint64_t rte = io->rte[0];
    struct apic_msg m = {.dest = rte >> RTE_DEST_SHIFT, .logical = rte & RTE_LOGICAL};
    struct vcpu *to = NULL;

    if ((rte & (RTE_MODE | RTE_MASKED)) == (uint64_t)APIC_EXTINT << 8) {
        for_each_vcpu(d, v)
        {
            if (!to && v->hvm && v->hvm->vlapic && vlapic_matches(v->hvm->vlapic, &m))
                to = v;
        }
    }
    WRITE_ONCE(d->hvm->platform->extint_vcpu, to);
}

void vioapic_loaded(struct domain *d)
{
    spin_lock(&d->hvm->platform->irq_lock);
    update_extint(d, d->hvm->vioapic);
    spin_unlock(&d->hvm->platform->irq_lock);
}

static void write_rte(struct domain *d, unsigned int gsi, bool high, uint32_t val)
{
    struct vioapic *io = d->hvm->vioapic;
    enum apic_sent sent;
    uint64_t rte;

    spin_lock(&d->hvm->platform->irq_lock);
    rte = io->rte[gsi];
    rte = high ? (uint32_t)rte | (uint64_t)val << 32 : (rte & ~0xffffffffull) | val;
    rte = (rte & RTE_WRITABLE) | (io->rte[gsi] & RTE_REMOTE_IRR);
    if (!(rte & RTE_LEVEL))
        rte &= ~RTE_REMOTE_IRR; /* programmed to edge: how kernels clear a stuck one */
    io->rte[gsi] = rte;
    if (!io->mirror) {
        if (gsi == 0)
            update_extint(d, io);
        if (level_deliverable(d, io, gsi))
            send(d, io, gsi, &sent);
    }
    spin_unlock(&d->hvm->platform->irq_lock);
    if (io->mirror)
        dom0_gsi_update(gsi, rte);
}

static uint32_t window_read(const struct vioapic *io, const struct vioapic_chip *chip)
{
    unsigned int pin = (chip->select - REG_TABLE) / 2u;

    switch (chip->select) {
    case REG_ID:
    case REG_ARB:
        return chip->id;
    case REG_VERSION:
        return VERSION | (chip->nr_pins - 1) << 16;
    }
    if (chip->select < REG_TABLE || pin >= chip->nr_pins)
        return 0;
    return io->rte[chip->gsi_base + pin] >> (chip->select & 1) * 32;
}

static void window_write(struct domain *d, struct vioapic_chip *chip, uint32_t val)
{
    unsigned int pin = (chip->select - REG_TABLE) / 2u;

    if (chip->select == REG_ID)
        chip->id = val & 0x0f000000;
    else if (chip->select >= REG_TABLE && pin < chip->nr_pins)
        write_rte(d, chip->gsi_base + pin, chip->select & 1, val);
}

static uint64_t chip_read(struct vcpu *v, struct vioapic_chip *chip, uint64_t offset)
{
    switch (offset & ~3ull) {
    case IOREGSEL:
        return (uint64_t)chip->select >> (offset & 3) * 8;
    case IOWIN:
        return window_read(v->domain->hvm->vioapic, chip) >> (offset & 3) * 8;
    }
    return 0;
}

static void chip_write(struct vcpu *v, struct vioapic_chip *chip, uint64_t offset,
                       uint32_t val)
{
    switch (offset) {
    case IOREGSEL:
        chip->select = val;
        break;
    case IOWIN:
        window_write(v->domain, chip, val);
        break;
    case EOI_REG:
        eoi_range(v->domain, val, chip->gsi_base, chip->gsi_base + chip->nr_pins);
        break;
    }
}

/* A handler sees offsets into its range only: one pair for each chip. */
#define CHIP_HANDLER(n)                                                                  \
    static uint64_t chip##n##_read(struct vcpu *v, uint64_t offset, unsigned int bytes)  \
    {                                                                                    \
        return chip_read(v, &v->domain->hvm->vioapic->chip[n], offset);                  \
    }                                                                                    \
    static void chip##n##_write(struct vcpu *v, uint64_t offset, unsigned int bytes,     \
                                uint64_t val)                                            \
    {                                                                                    \
        chip_write(v, &v->domain->hvm->vioapic->chip[n], offset, val);                   \
    }
CHIP_HANDLER(0)
CHIP_HANDLER(1)
CHIP_HANDLER(2)
CHIP_HANDLER(3)
CHIP_HANDLER(4)
CHIP_HANDLER(5)
CHIP_HANDLER(6)
CHIP_HANDLER(7)

static const struct mmio_handler chip_handler[VIOAPIC_MAX_CHIPS] = {
    {.read = chip0_read, .write = chip0_write},
    {.read = chip1_read, .write = chip1_write},
    {.read = chip2_read, .write = chip2_write},
    {.read = chip3_read, .write = chip3_write},
    {.read = chip4_read, .write = chip4_write},
    {.read = chip5_read, .write = chip5_write},
    {.read = chip6_read, .write = chip6_write},
    {.read = chip7_read, .write = chip7_write},
};

void vioapic_reset(struct domain *d)
{
    struct vioapic *io = d->hvm->vioapic;

    spin_lock(&d->hvm->platform->irq_lock);
    for (unsigned int gsi = 0; gsi < io->nr_gsis; gsi++)
        io->rte[gsi] = RTE_MASKED;
    for (unsigned int i = 0; i < io->nr_chips; i++)
        io->chip[i].select = 0;
    WRITE_ONCE(d->hvm->platform->extint_vcpu, NULL);
    spin_unlock(&d->hvm->platform->irq_lock);
}

/* Dom0's, like the machine's: a chip ends where the next one's GSIs begin. */
static void mirror_chips(struct vioapic *io)
{
    io->mirror = true;
    io->nr_chips = min(acpi.ioapic_count, (unsigned int)VIOAPIC_MAX_CHIPS);
    for (unsigned int i = 0; i < io->nr_chips; i++) {
        unsigned int base = acpi.ioapic[i].gsi_base, end = io->nr_gsis;

        for (unsigned int j = 0; j < io->nr_chips; j++)
            if (acpi.ioapic[j].gsi_base > base)
                end = min(end, acpi.ioapic[j].gsi_base);
        io->chip[i].gpa = acpi.ioapic[i].maddr;
        io->chip[i].id = acpi.ioapic[i].id << 24;
        io->chip[i].gsi_base = base;
        io->chip[i].nr_pins =
            end > base ? min(end - base, (unsigned int)VIOAPIC_MAX_PINS) : 0;
    }
}

int vioapic_init(struct domain *d)
{
    unsigned int nr_gsis = d->is_privileged ? ioapic_nr_gsis() : PLATFORM_NR_GSIS;
    struct vioapic *io = zalloc(sizeof(*io) + nr_gsis * sizeof(io->rte[0]));
    int rc = 0;

    if (!io)
        return -ENOMEM;
    io->nr_gsis = nr_gsis;
    d->hvm->vioapic = io;
    if (d->is_privileged) {
        mirror_chips(io);
    } else {
        io->nr_chips = 1;
        io->chip[0] = (struct vioapic_chip){
            .gpa = VIOAPIC_BASE, .nr_pins = PLATFORM_NR_GSIS, .id = 1u << 24};
    }
    vioapic_reset(d);
    for (unsigned int i = 0; i < io->nr_chips && !rc; i++) {
        struct mmio_handler h = chip_handler[i];

        h.gpa = io->chip[i].gpa;
        h.bytes = 0x100;
        if (io->chip[i].nr_pins)
            rc = platform_add_mmio(d, &h);
    }
    return rc;
}

void vioapic_destroy(struct domain *d)
{
    zfree(d->hvm->vioapic);
    d->hvm->vioapic = NULL;
}
