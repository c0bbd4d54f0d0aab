/* dm_op: what a device model does to its guest (public/hvm/dm_op.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The caller passes an array of buffers, so that its kernel can check them; the first is
 * the operation. It is copied as far as it is given, and only its own part is copied
 * back.
 */
#include "hypercall/dm_op.h"
#include "domain/sched.h"
#include "hvm/ioreq.h"
#include "hvm/platform.h"
#include "lib/string.h"
#include <xen/hvm/dm_op.h>

struct compat_dm_op_buf {
    uint32_t h, size;
};

static int read_buffers(struct hcall *c, struct dm_call *call)
{
    for (unsigned int i = 0; i < call->nr_bufs; i++) {
        struct compat_dm_op_buf small;
        struct xen_dm_op_buf buf;

        if (c->compat) {
            if (copy_from_guest(&small, c->arg[2] + i * sizeof(small), sizeof(small)))
                return -EFAULT;
            call->buf[i] = (struct dm_buf){small.h, small.size};
        } else {
            if (copy_from_guest(&buf, c->arg[2] + i * sizeof(buf), sizeof(buf)))
                return -EFAULT;
            call->buf[i] = (struct dm_buf){HANDLE(buf.h), buf.size};
        }
    }
    return 0;
}

static long create_server(struct dm_call *m, xen_dm_op_create_ioreq_server_t *a)
{
    if (a->pad[0] || a->pad[1] || a->pad[2])
        return -EINVAL;
    return ioreq_server_create(m->d, m->caller, a->handle_bufioreq, &a->id);
}

static long server_info(struct dm_call *m, xen_dm_op_get_ioreq_server_info_t *a)
{
    uint64_t ioreq_gfn = 0, bufioreq_gfn = 0;
    uint32_t port = 0;
    long rc;

    if (a->flags & ~XEN_DMOP_no_gfns)
        return -EINVAL;
    rc = ioreq_server_info(m->d, m->caller, a->id, &ioreq_gfn, &bufioreq_gfn, &port,
                           !(a->flags & XEN_DMOP_no_gfns));
    a->ioreq_gfn = ioreq_gfn;
    a->bufioreq_gfn = bufioreq_gfn;
    a->bufioreq_port = port;
    return rc;
}

static long server_range(struct dm_call *m, const xen_dm_op_ioreq_server_range_t *a,
                         bool map)
{
    if (a->pad)
        return -EINVAL;
    return map ? ioreq_server_map_range(m->d, m->caller, a->id, a->type, a->start, a->end)
               : ioreq_server_unmap_range(m->d, m->caller, a->id, a->type, a->start,
                                          a->end);
}

static long pci_intx(struct domain *d, const xen_dm_op_set_pci_intx_level_t *a)
{
    if (a->domain || a->bus || a->device > 31 || a->intx > 3 || a->level > 1)
        return -EINVAL;
    hvm_pci_intx_set(d, a->device, a->intx, a->level);
    return 0;
}

static long isa_irq(struct domain *d, const xen_dm_op_set_isa_irq_level_t *a)
{
    if (a->isa_irq > 15 || a->level > 1)
        return -EINVAL;
    hvm_isa_irq_set(d, a->isa_irq, a->level);
    return 0;
}

static long link_route(struct domain *d, const xen_dm_op_set_pci_link_route_t *a)
{
    if (a->link > 3 || a->isa_irq > 15)
        return -EINVAL;
    return hvm_pci_link_route(d, a->link, a->isa_irq);
}

static long inject_event(struct domain *d, const xen_dm_op_inject_event_t *a)
{
    struct vcpu *v = domain_vcpu(d, a->vcpuid);
    long rc = -EBUSY;

    if (!v || a->pad0 || a->pad1 || a->type > XEN_DMOP_EVENT_sw_exc || a->type == 1)
        return -EINVAL;
    if ((a->type == XEN_DMOP_EVENT_hw_exc && a->vector > 31) ||
        (a->type == XEN_DMOP_EVENT_nmi && a->vector != 2))
        return -EINVAL;
    if (v == current)
        return -EINVAL;
    vcpu_pause(v);
    if (!v->hvm->inject.valid) {
        v->hvm->inject = (struct hvm_event){.valid = true,
                                            .vector = a->vector,
                                            .type = a->type,
                                            .has_error = a->error_code != ~0u,
                                            .insn_len = a->insn_len,
                                            .error = a->error_code,
                                            .cr2 = a->cr2};
        rc = 0;
    }
    vcpu_unpause(v);
    vcpu_kick(v);
    return rc;
}

static long run(struct dm_call *m, struct xen_dm_op *op)
{
    struct domain *d = m->d;

    switch (op->op) {
    case XEN_DMOP_create_ioreq_server:
        return create_server(m, &op->u.create_ioreq_server);
    case XEN_DMOP_get_ioreq_server_info:
        return server_info(m, &op->u.get_ioreq_server_info);
    case XEN_DMOP_map_io_range_to_ioreq_server:
        return server_range(m, &op->u.map_io_range_to_ioreq_server, true);
    case XEN_DMOP_unmap_io_range_from_ioreq_server:
        return server_range(m, &op->u.unmap_io_range_from_ioreq_server, false);
    case XEN_DMOP_set_ioreq_server_state:
        if (op->u.set_ioreq_server_state.pad)
            return -EINVAL;
        return ioreq_server_set_state(d, m->caller, op->u.set_ioreq_server_state.id,
                                      op->u.set_ioreq_server_state.enabled);
    case XEN_DMOP_destroy_ioreq_server:
        if (op->u.destroy_ioreq_server.pad)
            return -EINVAL;
        return ioreq_server_destroy(d, m->caller, op->u.destroy_ioreq_server.id);
    case XEN_DMOP_map_mem_type_to_ioreq_server:
        if (op->u.map_mem_type_to_ioreq_server.opaque)
            return -EINVAL;
        return ioreq_server_map_mem_type(d, m->caller,
                                         op->u.map_mem_type_to_ioreq_server.id,
                                         op->u.map_mem_type_to_ioreq_server.type,
                                         op->u.map_mem_type_to_ioreq_server.flags);
    case XEN_DMOP_set_pci_intx_level:
        return pci_intx(d, &op->u.set_pci_intx_level);
    case XEN_DMOP_set_isa_irq_level:
        return isa_irq(d, &op->u.set_isa_irq_level);
    case XEN_DMOP_set_pci_link_route:
        return link_route(d, &op->u.set_pci_link_route);
    case XEN_DMOP_inject_msi:
        if (op->u.inject_msi.pad)
            return -EINVAL;
        return hvm_inject_msi(d, op->u.inject_msi.addr, op->u.inject_msi.data);
    case XEN_DMOP_inject_event:
        return inject_event(d, &op->u.inject_event);
    case XEN_DMOP_remote_shutdown:
        domain_shutdown(d, (uint8_t)op->u.remote_shutdown.reason);
        return 0;
    case XEN_DMOP_nr_vcpus:
        op->u.nr_vcpus.vcpus = d->nr_vcpus;
        return 0;
    case XEN_DMOP_track_dirty_vram:
        return dm_track_dirty_vram(m, &op->u.track_dirty_vram);
    case XEN_DMOP_modified_memory:
        return dm_modified_memory(m, &op->u.modified_memory);
    case XEN_DMOP_set_mem_type:
        return dm_set_mem_type(m, &op->u.set_mem_type);
    case XEN_DMOP_relocate_memory:
        return dm_relocate_memory(m, &op->u.relocate_memory);
    case XEN_DMOP_pin_memory_cacheattr:
        return dm_pin_cacheattr(m, &op->u.pin_memory_cacheattr);
    }
    return -EOPNOTSUPP;
}

/* Bytes of each op's part of the union; 0: no such op. */
static const uint8_t part_bytes[] = {
    [XEN_DMOP_create_ioreq_server] = sizeof(xen_dm_op_create_ioreq_server_t),
    [XEN_DMOP_get_ioreq_server_info] = sizeof(xen_dm_op_get_ioreq_server_info_t),
    [XEN_DMOP_map_io_range_to_ioreq_server] = sizeof(xen_dm_op_ioreq_server_range_t),
    [XEN_DMOP_unmap_io_range_from_ioreq_server] = sizeof(xen_dm_op_ioreq_server_range_t),
    [XEN_DMOP_set_ioreq_server_state] = sizeof(xen_dm_op_set_ioreq_server_state_t),
    [XEN_DMOP_destroy_ioreq_server] = sizeof(xen_dm_op_destroy_ioreq_server_t),
    [XEN_DMOP_track_dirty_vram] = sizeof(xen_dm_op_track_dirty_vram_t),
    [XEN_DMOP_set_pci_intx_level] = sizeof(xen_dm_op_set_pci_intx_level_t),
    [XEN_DMOP_set_isa_irq_level] = sizeof(xen_dm_op_set_isa_irq_level_t),
    [XEN_DMOP_set_pci_link_route] = sizeof(xen_dm_op_set_pci_link_route_t),
    [XEN_DMOP_modified_memory] = sizeof(xen_dm_op_modified_memory_t),
    [XEN_DMOP_set_mem_type] = sizeof(xen_dm_op_set_mem_type_t),
    [XEN_DMOP_inject_event] = sizeof(xen_dm_op_inject_event_t),
    [XEN_DMOP_inject_msi] = sizeof(xen_dm_op_inject_msi_t),
    [XEN_DMOP_map_mem_type_to_ioreq_server] =
        sizeof(xen_dm_op_map_mem_type_to_ioreq_server_t),
    [XEN_DMOP_remote_shutdown] = sizeof(xen_dm_op_remote_shutdown_t),
    [XEN_DMOP_relocate_memory] = sizeof(xen_dm_op_relocate_memory_t),
    [XEN_DMOP_pin_memory_cacheattr] = sizeof(xen_dm_op_pin_memory_cacheattr_t),
    [XEN_DMOP_nr_vcpus] = sizeof(xen_dm_op_nr_vcpus_t),
};

static bool has_answer(uint32_t op)
{
    return op == XEN_DMOP_create_ioreq_server || op == XEN_DMOP_get_ioreq_server_info ||
           op == XEN_DMOP_modified_memory || op == XEN_DMOP_nr_vcpus;
}

static long do_op(struct hcall *c, struct dm_call *m)
{
    const size_t part_at = offsetof(struct xen_dm_op, u);
    struct xen_dm_op op = {0};
    size_t bytes;
    long rc;

    if (m->nr_bufs < 1 || m->buf[0].bytes < part_at ||
        copy_from_guest(&op, m->buf[0].gva, part_at))
        return -EFAULT;
    if (op.op >= ARRAY_SIZE(part_bytes) || !part_bytes[op.op])
        return -EOPNOTSUPP;
    if (op.pad)
        return -EINVAL;
    bytes = part_bytes[op.op];
    if (m->buf[0].bytes < part_at + bytes ||
        copy_from_guest(&op.u, m->buf[0].gva + part_at, bytes))
        return -EFAULT;
    rc = hcall_check(c, op.op);
    if (rc)
        return rc;
    rc = run(m, &op);
    if ((rc >= 0 || op.op == XEN_DMOP_modified_memory) && has_answer(op.op) &&
        copy_to_guest(m->buf[0].gva + part_at, &op.u, bytes))
        rc = -EFAULT;
    return rc;
}

long do_dm_op(struct hcall *c)
{
    struct dm_call m = {.caller = c->v->domain, .nr_bufs = (uint32_t)c->arg[1]};
    long rc;

    if (!m.nr_bufs)
        return -ENODATA;
    if (m.nr_bufs > DM_BUFS)
        return -E2BIG;
    c->who = WHO_DM; /* all of them are; the table is asked again with the op's number */
    rc = hcall_remote(c, (domid_t)c->arg[0], &m.d);
    if (rc)
        return rc;
    rc = domain_is_dying(m.d) ? -EINVAL : read_buffers(c, &m);
    if (!rc)
        rc = do_op(c, &m);
    domain_put(m.d);
    return rc;
}
