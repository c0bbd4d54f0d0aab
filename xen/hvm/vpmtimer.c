/* ACPI PM timer: a counter of 3.579545 MHz behind a port. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * ACPI 6.4, 4.8.3.3. All 32 bits count; a guest whose FADT says 24 masks the rest. The
 * status bit and the SCI at the carry are not modelled: the PM1 event block is the device
 * model's. Firmware polls this port in its delay loops: the read must be short.
 */
#include "hvm/vpmtimer.h"
#include "lib/errno.h"
#include "mm/frame.h"
#include <xen/hvm/params.h>
#include <xen/hvm/ioreq.h>

#define NATIVE_PM_BASE 0x600 /* of our own boards, as on QEMU's */

uint32_t vpmtimer_count(const struct domain *d)
{
    uint64_t ns = hvm_guest_time(d) - d->hvm->pmtimer->base;

    return ns / NS_PER_S * PM_TIMER_HZ + ns % NS_PER_S * PM_TIMER_HZ / NS_PER_S;
}

static bool pmtimer_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    uint32_t count = vpmtimer_count(v->domain);

    count >>= (port - v->domain->hvm->pmtimer->port) * 8;
    *val = bytes < 4 ? count & ((1u << bytes * 8) - 1) : count;
    return true;
}

static bool pmtimer_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    return true; /* read-only */
}

static int claim(struct domain *d, uint16_t port)
{
    struct port_handler h = {port, port + 3, 4, pmtimer_read, pmtimer_write};

    d->hvm->pmtimer->port = port;
    return platform_add_ports(d, &h);
}

int vpmtimer_set_location(struct domain *d, uint64_t location)
{
    static const uint16_t ports[] = {ACPI_PM_TMR_BLK_ADDRESS_V0,
                                     ACPI_PM_TMR_BLK_ADDRESS_V1, NATIVE_PM_BASE + 8,
                                     NATIVE_PM_BASE + 8};

    if (location >= ARRAY_SIZE(ports))
        return -EINVAL;
    if (!d->hvm->pmtimer || d->hvm->pmtimer->port == ports[location])
        return 0;
    platform_remove_ports(d, d->hvm->pmtimer->port);
    return claim(d, ports[location]);
}

void vpmtimer_reset(struct domain *d)
{
    d->hvm->pmtimer->base = hvm_guest_time(d);
}

int vpmtimer_init(struct domain *d)
{
    d->hvm->pmtimer = zalloc(sizeof(*d->hvm->pmtimer));
    if (!d->hvm->pmtimer)
        return -ENOMEM;
    vpmtimer_reset(d);
    return claim(d, ACPI_PM_TMR_BLK_ADDRESS_V0);
}

void vpmtimer_destroy(struct domain *d)
{
    zfree(d->hvm->pmtimer);
    d->hvm->pmtimer = NULL;
}
