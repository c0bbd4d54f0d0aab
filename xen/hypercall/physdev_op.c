/* physdev_op: what Dom0 tells of the machine's PCI devices, and the PIRQs of HVM guests
 * (public/physdev.h). The layouts are the same for 32-bit callers.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Nobody has physical interrupts to bind: Dom0 programs its virtual I/O APIC and its
 * devices' MSIs. PIRQs are the lines of emulated devices (hvm/vpirq.c), for a domain with
 * XEN_X86_EMU_USE_PIRQ; for others these ops do not exist, as on stock Xen. A line can be
 * mapped, an MSI cannot.
 */
#include "hypercall/abi.h"
#include "hvm/vpirq.h"
#include <xen/physdev.h>

static uint8_t known[65536 / 8]; /* of segment 0, by bus and devfn; atomic */

bool physdev_known(uint16_t segment, uint8_t bus, uint8_t devfn)
{
    unsigned int bdf = bus << 8 | devfn;

    return segment == 0 && READ_ONCE(known[bdf / 8]) >> bdf % 8 & 1;
}

static void set_known(uint16_t segment, uint8_t bus, uint8_t devfn, bool on)
{
    unsigned int bdf = bus << 8 | devfn;
    uint8_t mask = 1u << bdf % 8;

    if (segment)
        return;
    if (on)
        __atomic_fetch_or(&known[bdf / 8], mask, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&known[bdf / 8], (uint8_t)~mask, __ATOMIC_RELAXED);
}

static long device_add(struct hcall *c)
{
    struct physdev_pci_device_add arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    set_known(arg.seg, arg.bus, arg.devfn, true);
    return 0;
}

static long device_remove(struct hcall *c)
{
    struct physdev_pci_device arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (!physdev_known(arg.seg, arg.bus, arg.devfn))
        return -ENODEV;
    set_known(arg.seg, arg.bus, arg.devfn, false);
    return 0;
}

static long mmcfg_reserved(struct hcall *c)
{
    struct physdev_pci_mmcfg_reserved arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    /* Dom0 found the ECAM window reserved, or not: we do not use it ourselves. */
    return arg.start_bus <= arg.end_bus ? 0 : -EINVAL;
}

/* Dom0 resets an EHCI controller, whose debug port might be our console: it is not. */
static long dbgp(struct hcall *c)
{
    struct physdev_dbgp_op arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    return 0;
}

static long map_pirq(struct hcall *c)
{
    struct physdev_map_pirq arg;
    int rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.domid != DOMID_SELF)
        return -EPERM; /* passing a device through */
    if (arg.type != MAP_PIRQ_TYPE_GSI)
        return -EINVAL;
    rc = vpirq_map(c->v->domain, arg.pirq, arg.index);
    return rc ? rc : copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

static long unmap_pirq(struct hcall *c)
{
    struct physdev_unmap_pirq arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.domid != DOMID_SELF)
        return -EPERM;
    return vpirq_unmap(c->v->domain, arg.pirq);
}

static long pirq_eoi(struct hcall *c)
{
    struct physdev_eoi arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    return vpirq_eoi(c->v->domain, arg.irq);
}

static long irq_status_query(struct hcall *c)
{
    struct physdev_irq_status_query arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (!vpirq_is_mapped(c->v->domain, arg.irq))
        return -EINVAL;
    arg.flags = XENIRQSTAT_needs_eoi;
    return copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

static long get_free_pirq(struct hcall *c)
{
    struct physdev_get_free_pirq arg;
    int pirq;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    pirq = vpirq_get_free(c->v->domain);
    if (pirq < 0)
        return pirq;
    arg.pirq = pirq;
    return copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

static long pirq_op(struct hcall *c)
{
    switch ((uint32_t)c->arg[0]) {
    case PHYSDEVOP_map_pirq:
        return map_pirq(c);
    case PHYSDEVOP_unmap_pirq:
        return unmap_pirq(c);
    case PHYSDEVOP_eoi:
        return pirq_eoi(c);
    case PHYSDEVOP_irq_status_query:
        return irq_status_query(c);
    case PHYSDEVOP_get_free_pirq:
        return get_free_pirq(c);
    }
    return -ENOSYS;
}

long do_physdev_op(struct hcall *c)
{
    if (c->v->domain->emulation_flags & XEN_X86_EMU_USE_PIRQ)
        return pirq_op(c);
    if (!c->v->domain->is_privileged)
        return -ENOSYS;
    switch ((uint32_t)c->arg[0]) {
    case PHYSDEVOP_pci_device_add:
        return device_add(c);
    case PHYSDEVOP_pci_device_remove:
        return device_remove(c);
    case PHYSDEVOP_pci_mmcfg_reserved:
        return mmcfg_reserved(c);
    case PHYSDEVOP_dbgp_op:
        return dbgp(c);
    }
    return -ENOSYS;
}
