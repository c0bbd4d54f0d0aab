/* ACPI PM timer, and on Xen's platform the PM1 event block with the buttons.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI 6.4, 4.8.3.1 and 4.8.3.3. All 32 bits count; a guest whose FADT says 24 masks the
 * rest. The timer's status bit and the SCI at the carry are not modelled. On the native
 * boards the PM1 event block is the device model's; at the two places of Xen's platform
 * device models rely on the hypervisor for it. Firmware polls the timer in its delay
 * loops: the read must be short, and who polls leaves the CPU to others, for its device
 * model may be among them.
 */
#include "hvm/vpmtimer.h"
#include "domain/sched.h"
#include "lib/errno.h"
#include "mm/frame.h"
#include <xen/hvm/params.h>
#include <xen/hvm/ioreq.h>

#define NATIVE_PM_BASE 0x600 /* of our own boards, as on QEMU's */
#define SCI_IRQ        9     /* as hvmloader's FADT says */

/* So many reads, each so soon after the one before, are a loop that waits. */
#define POLL_READS  8
#define POLL_GAP_NS (50 * NS_PER_US)

/* Of PM1_STS and PM1_EN: what raises the SCI (ACPI 6.4, tables 4.12 and 4.13). */
#define PM1_TIMER  BIT(0)
#define PM1_GLOBAL BIT(5)
#define PM1_POWER  BIT(8)
#define PM1_SLEEP  BIT(9)
#define PM1_SCI    (PM1_TIMER | PM1_GLOBAL | PM1_POWER | PM1_SLEEP)

static uint32_t count_at(const struct domain *d, ns_t now)
{
    uint64_t ns = now - d->hvm->pmtimer->base;

    return ns / NS_PER_S * PM_TIMER_HZ + ns % NS_PER_S * PM_TIMER_HZ / NS_PER_S;
}

uint32_t vpmtimer_count(const struct domain *d)
{
    return count_at(d, hvm_guest_time(d));
}

static void note_poll(struct hvm_vcpu *h, ns_t now)
{
    h->pmtimer_polls = now - h->pmtimer_read < POLL_GAP_NS ? h->pmtimer_polls + 1 : 0;
    h->pmtimer_read = now;
    if (h->pmtimer_polls >= POLL_READS) {
        h->pmtimer_polls = 0;
        vcpu_yield_to_waiting();
    }
}

static bool pmtimer_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    ns_t now = hvm_guest_time(v->domain);
    uint32_t count = count_at(v->domain, now);

    note_poll(v->hvm, now);
    count >>= (port - v->domain->hvm->pmtimer->port) * 8;
    *val = bytes < 4 ? count & ((1u << bytes * 8) - 1) : count;
    return true;
}

static bool pmtimer_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    return true; /* read-only */
}

void vpmtimer_update_sci(struct domain *d)
{
    const struct vpmtimer *p = d->hvm->pmtimer;

    hvm_isa_irq_set(d, SCI_IRQ, p->pm1_status & p->pm1_enable & PM1_SCI);
}

/* Four bytes: PM1_STS, of which written ones clear bits, and PM1_EN. */
static bool pm1_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    struct vpmtimer *p = v->domain->hvm->pmtimer;
    uint64_t both = READ_ONCE(p->pm1_status) | (uint32_t)READ_ONCE(p->pm1_enable) << 16;

    both >>= (port - p->pm1_port) * 8;
    *val = (uint32_t)(both & (BIT(bytes * 8) - 1));
    return true;
}

static bool pm1_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    struct vpmtimer *p = v->domain->hvm->pmtimer;
    unsigned int shift = (port - p->pm1_port) * 8;
    uint32_t mask = (uint32_t)((BIT(bytes * 8) - 1) << shift), data = val << shift;

    spin_lock(&p->lock);
    p->pm1_status &= (uint16_t) ~(data & mask);
    p->pm1_enable = (uint16_t)((p->pm1_enable & ~(mask >> 16)) | (data & mask) >> 16);
    vpmtimer_update_sci(v->domain);
    spin_unlock(&p->lock);
    return true;
}

long vpmtimer_press(struct domain *d, bool sleep)
{
    struct vpmtimer *p = d->hvm->pmtimer;

    if (!p || !p->pm1_port)
        return -EOPNOTSUPP;
    spin_lock(&p->lock);
    p->pm1_status |= sleep ? PM1_SLEEP : PM1_POWER;
    vpmtimer_update_sci(d);
    spin_unlock(&p->lock);
    return 0;
}

struct location {
    uint16_t timer, events; /* events 0: the device model's */
};

static int claim(struct domain *d, const struct location *l)
{
    struct port_handler timer = {l->timer, l->timer + 3, 4, pmtimer_read, pmtimer_write};
    struct port_handler events = {l->events, l->events + 3, 4, pm1_read, pm1_write};
    struct vpmtimer *p = d->hvm->pmtimer;
    int rc;

    p->port = l->timer;
    p->pm1_port = l->events;
    rc = platform_add_ports(d, &timer);
    if (!rc && l->events)
        rc = platform_add_ports(d, &events);
    return rc;
}

static const struct location locations[] = {
    {ACPI_PM_TMR_BLK_ADDRESS_V0, ACPI_PM1A_EVT_BLK_ADDRESS_V0},
    {ACPI_PM_TMR_BLK_ADDRESS_V1, ACPI_PM1A_EVT_BLK_ADDRESS_V1},
    {NATIVE_PM_BASE + 8, 0},
    {NATIVE_PM_BASE + 8, 0},
};

int vpmtimer_set_location(struct domain *d, uint64_t location)
{
    struct vpmtimer *p = d->hvm->pmtimer;

    if (location >= ARRAY_SIZE(locations))
        return -EINVAL;
    if (!p || p->port == locations[location].timer)
        return 0;
    platform_remove_ports(d, p->port);
    if (p->pm1_port)
        platform_remove_ports(d, p->pm1_port);
    return claim(d, &locations[location]);
}

void vpmtimer_reset(struct domain *d)
{
    struct vpmtimer *p = d->hvm->pmtimer;

    p->base = hvm_guest_time(d);
    p->pm1_status = p->pm1_enable = 0;
}

int vpmtimer_init(struct domain *d)
{
    d->hvm->pmtimer = zalloc(sizeof(*d->hvm->pmtimer));
    if (!d->hvm->pmtimer)
        return -ENOMEM;
    vpmtimer_reset(d);
    return claim(d, &locations[0]);
}

void vpmtimer_destroy(struct domain *d)
{
    zfree(d->hvm->pmtimer);
    d->hvm->pmtimer = NULL;
}
