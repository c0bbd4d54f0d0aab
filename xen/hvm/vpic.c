/* Two cascaded 8259A interrupt controllers with the edge/level registers of a PC.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel 8259A data sheet (231468); ELCR: PIIX data sheet. The slave hangs on input 2 of
 * the master whatever ICW3 says; MCS-80 mode and buffered mode are not modelled.
 * Interrupt requests of edge-triggered inputs are kept when the line falls.
 */
#include "hvm/vpic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"

#define CASCADE 2

/* Inputs of a PC that cannot be level triggered: timer, keyboard, cascade; RTC, FPU. */
const uint8_t vpic_elcr_mask[2] = {0xf8, 0xde};

/* Priority of the best request in `inputs`: 0 (highest) .. 7; 8: none. */
static unsigned int priority_of(const struct vpic_chip *c, uint8_t inputs)
{
    unsigned int rotated;

    if (!inputs)
        return 8;
    rotated = (inputs >> c->priority_add | inputs << (8 - c->priority_add)) & 0xff;
    return __builtin_ctz(rotated);
}

/* The input to serve next, or -1. */
static int highest_request(const struct vpic_chip *c)
{
    uint8_t in_service = c->isr;
    unsigned int request = priority_of(c, c->irr & ~c->imr);

    if (request == 8)
        return -1;
    if (c->special_mask)
        in_service &= ~c->imr;
    /* Fully nested, special: the master takes another request of the slave in service. */
    if (c->special_nested && c->is_master)
        in_service &= ~(1u << CASCADE);
    return request < priority_of(c, in_service) ? (int)((request + c->priority_add) & 7)
                                                : -1;
}

static void chip_input(struct vpic_chip *c, unsigned int input, bool level)
{
    uint8_t bit = 1u << input;

    if (c->elcr & bit) {
        c->irr = level ? c->irr | bit : c->irr & ~bit;
    } else if (level && !(c->lines & bit)) {
        c->irr |= bit;
    }
    c->lines = level ? c->lines | bit : c->lines & ~bit;
}

/* Outputs after a change; irq_lock is held. */
static void update(struct domain *d)
{
    struct vpic_chip *master = &d->hvm->vpic->chip[0], *slave = &d->hvm->vpic->chip[1];

    slave->output = highest_request(slave) >= 0;
    /* The cascade acts as a level input: it follows the slave. */
    if (slave->output)
        master->irr |= 1u << CASCADE;
    else
        master->irr &= ~(1u << CASCADE);
    master->output = highest_request(master) >= 0;
    if (master->output != d->hvm->platform->pic_output)
        platform_pic_output(d, master->output);
}

enum apic_sent vpic_set_line(struct domain *d, unsigned int irq, bool level)
{
    struct vpic_chip *c = &d->hvm->vpic->chip[irq >> 3];
    uint8_t bit = 1u << (irq & 7);
    bool pending = c->irr & bit, masked = c->imr & bit;

    chip_input(c, irq & 7, level);
    update(d);
    if (masked || c->init_step)
        return APIC_SENT_NOWHERE;
    return pending ? APIC_SENT_COALESCED : APIC_SENT;
}

void vpic_lines_loaded(struct domain *d)
{
    struct vpic *pic = d->hvm->vpic;

    pic->chip[0].lines = pic->chip[1].lines = 0;
    for (unsigned int gsi = 0; gsi < PLATFORM_NR_ISA; gsi++) {
        int irq = platform_gsi_to_pic(gsi);

        if (irq >= 0 && platform_gsi_level(d, gsi))
            pic->chip[irq >> 3].lines |= 1u << (irq & 7);
    }
    update(d);
}

/* INTA: the request becomes one in service; -1: it has gone (spurious). */
static int chip_ack(struct vpic_chip *c)
{
    int input = highest_request(c);

    if (input < 0)
        return -1;
    if (!(c->elcr >> input & 1))
        c->irr &= ~(1u << input);
    if (!c->auto_eoi)
        c->isr |= 1u << input;
    else if (c->rotate_on_auto_eoi)
        c->priority_add = (input + 1) & 7;
    return input;
}

/* Vector of the interrupt that the pair presents; the lock is held. */
static int ack_locked(struct domain *d)
{
    struct vpic_chip *master = &d->hvm->vpic->chip[0], *slave = &d->hvm->vpic->chip[1];
    int input = chip_ack(master), vector;

    if (input == CASCADE) {
        input = chip_ack(slave);
        vector = slave->irq_base + (input < 0 ? 7 : input);
    } else {
        vector = master->irq_base + (input < 0 ? 7 : input);
    }
    update(d);
    return vector;
}

int vpic_ack(struct domain *d)
{
    int vector;

    spin_lock(&d->hvm->platform->irq_lock);
    vector = ack_locked(d);
    spin_unlock(&d->hvm->platform->irq_lock);
    return vector;
}

/*
 * Command words.
 */
static void write_icw1(struct vpic_chip *c, uint8_t val)
{
    /* ELCR, lines and the vector base stay; the edge detectors forget. */
    c->irr = c->lines & c->elcr;
    c->imr = c->isr = 0;
    c->priority_add = 0;
    c->read_isr = c->poll = c->auto_eoi = c->rotate_on_auto_eoi = false;
    c->special_nested = c->special_mask = false;
    c->wants_icw4 = val & 1;
    c->single = val & 2;
    c->init_step = 2;
}

static void write_icw(struct vpic_chip *c, uint8_t val)
{
    switch (c->init_step) {
    case 2:
        c->irq_base = val & 0xf8;
        c->init_step = c->single ? (c->wants_icw4 ? 4 : 0) : 3;
        break;
    case 3:
        c->init_step = c->wants_icw4 ? 4 : 0;
        break;
    case 4:
        c->special_nested = val & 0x10;
        c->auto_eoi = val & 2;
        c->init_step = 0;
        break;
    }
}

/* OCW2: end of interrupt and rotation, by bits 7 - 5. */
static void write_ocw2(struct vpic_chip *c, uint8_t val)
{
    bool rotate = val & 0x80, specific = val & 0x40, eoi = val & 0x20;
    uint8_t in_service = c->special_mask ? c->isr & ~c->imr : c->isr;
    unsigned int input = val & 7;

    if (!eoi) {
        if (rotate && specific)
            c->priority_add = (input + 1) & 7; /* set priority */
        else if (!specific)
            c->rotate_on_auto_eoi = rotate;
        return;
    }
    if (!specific) {
        if (!in_service)
            return;
        input = (priority_of(c, in_service) + c->priority_add) & 7;
    }
    c->isr &= ~(1u << input);
    if (rotate)
        c->priority_add = (input + 1) & 7;
}

static void write_ocw3(struct vpic_chip *c, uint8_t val)
{
    if (val & 0x40)
        c->special_mask = val & 0x20;
    if (val & 4)
        c->poll = true;
    else if (val & 2)
        c->read_isr = val & 1;
}

static void chip_write(struct vpic_chip *c, bool a0, uint8_t val)
{
    if (!a0 && (val & 0x10))
        write_icw1(c, val);
    else if (!a0 && (val & 8))
        write_ocw3(c, val);
    else if (!a0)
        write_ocw2(c, val);
    else if (c->init_step)
        write_icw(c, val);
    else
        c->imr = val;
}

/* Poll command: a read acknowledges and tells which input. */
static uint8_t poll_read(struct vpic_chip *c)
{
    int input = chip_ack(c);

    c->poll = false;
    return input < 0 ? 0 : 0x80 | input;
}

static uint8_t chip_read(struct vpic_chip *c, bool a0)
{
    if (c->poll)
        return poll_read(c);
    if (a0)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

/*
 * Ports 0x20, 0x21, 0xa0, 0xa1; ELCR at 0x4d0, 0x4d1.
 */
static bool pic_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    struct domain *d = v->domain;

    spin_lock(&d->hvm->platform->irq_lock);
    *val = chip_read(&d->hvm->vpic->chip[port >> 7], port & 1);
    update(d);
    spin_unlock(&d->hvm->platform->irq_lock);
    return true;
}

static bool pic_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct domain *d = v->domain;

    spin_lock(&d->hvm->platform->irq_lock);
    chip_write(&d->hvm->vpic->chip[port >> 7], port & 1, val);
    update(d);
    spin_unlock(&d->hvm->platform->irq_lock);
    return true;
}

static bool elcr_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    *val = v->domain->hvm->vpic->chip[port & 1].elcr;
    return true;
}

static bool elcr_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct domain *d = v->domain;
    struct vpic_chip *c = &d->hvm->vpic->chip[port & 1];

    spin_lock(&d->hvm->platform->irq_lock);
    c->elcr = val & vpic_elcr_mask[port & 1];
    c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
    update(d);
    spin_unlock(&d->hvm->platform->irq_lock);
    return true;
}

void vpic_reset(struct domain *d)
{
    struct vpic *pic = d->hvm->vpic;

    spin_lock(&d->hvm->platform->irq_lock);
    memset(pic, 0, sizeof(*pic));
    pic->chip[0].is_master = true;
    /* Until firmware says otherwise nothing gets through. */
    pic->chip[0].imr = pic->chip[1].imr = 0xff;
    update(d);
    spin_unlock(&d->hvm->platform->irq_lock);
}

int vpic_init(struct domain *d)
{
    static const struct port_handler ports[] = {
        {0x20, 0x21, 1, pic_read, pic_write},
        {0xa0, 0xa1, 1, pic_read, pic_write},
        {0x4d0, 0x4d1, 1, elcr_read, elcr_write},
    };
    int rc = 0;

    d->hvm->vpic = zalloc(sizeof(*d->hvm->vpic));
    if (!d->hvm->vpic)
        return -ENOMEM;
    vpic_reset(d);
    for (unsigned int i = 0; i < ARRAY_SIZE(ports) && !rc; i++)
        rc = platform_add_ports(d, &ports[i]);
    return rc;
}

void vpic_destroy(struct domain *d)
{
    zfree(d->hvm->vpic);
    d->hvm->vpic = NULL;
}
