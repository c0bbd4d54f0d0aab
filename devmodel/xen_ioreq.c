/*
 * One ioreq: what it means for ports, memory-mapped registers and configuration space
 * (xen/include/public/hvm/ioreq.h).  String instructions come as one request with a
 * count.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "xen_front.h"

/* A request never asks for more: the hypervisor cuts strings at page borders. */
#define STRING_MOST 65536u

enum target { TARGET_PORT, TARGET_CONFIG, TARGET_MEMORY };

static uint64_t read_target(struct xen_front *x, enum target target, uint64_t address,
                            unsigned size)
{
    struct machine *m = x->machine;

    switch (target) {
    case TARGET_PORT:
        return io_read(m, IO_PORT, address & 0xffff, size);
    case TARGET_CONFIG:
        return pci_config_read(m, (unsigned)(address >> 32 & 0xff),
                               (unsigned)(address & 0xfff), size);
    case TARGET_MEMORY:
        break;
    }
    return io_read(m, IO_MEM, address, size);
}

static void write_target(struct xen_front *x, enum target target, uint64_t address,
                         unsigned size, uint64_t value)
{
    struct machine *m = x->machine;

    switch (target) {
    case TARGET_PORT:
        io_write(m, IO_PORT, address & 0xffff, size, value);
        return;
    case TARGET_CONFIG:
        pci_config_write(m, (unsigned)(address >> 32 & 0xff), (unsigned)(address & 0xfff),
                         size, (uint32_t)value);
        return;
    case TARGET_MEMORY:
        break;
    }
    io_write(m, IO_MEM, address, size, value);
}

/* Data in the request itself.  Ports stay, memory addresses move with each repetition. */
static void immediate(struct xen_front *x, enum target target, ioreq_t *r)
{
    int64_t step = target == TARGET_MEMORY ? (r->df ? -(int64_t)r->size : r->size) : 0;

    for (uint32_t i = 0; i < r->count; i++) {
        uint64_t address = r->addr + (uint64_t)(step * i);
        if (r->dir == IOREQ_READ)
            r->data = read_target(x, target, address, r->size);
        else
            write_target(x, target, address, r->size, r->data);
    }
}

static void port_string(struct xen_front *x, const ioreq_t *r, uint8_t *buffer)
{
    uint64_t port = r->addr & 0xffff;

    if (r->dir == IOREQ_READ)
        io_read_string(x->machine, port, r->size, buffer, r->count);
    else
        io_write_string(x->machine, port, r->size, buffer, r->count);
}

/* Data in guest memory: moved as one piece, elements in the direction that DF says. */
static int string(struct xen_front *x, enum target target, const ioreq_t *r)
{
    uint8_t buffer[STRING_MOST];
    uint32_t bytes = r->count * r->size;
    int64_t step = target == TARGET_MEMORY ? (r->df ? -(int64_t)r->size : r->size) : 0;
    uint64_t low = r->df ? r->data - (bytes - r->size) : r->data;

    if (r->dir == IOREQ_WRITE)
        mapcache_read(x->cache, low, buffer, bytes);
    if (target == TARGET_PORT && !r->df) {
        port_string(x, r, buffer);
        return r->dir == IOREQ_READ ? mapcache_write(x->cache, low, buffer, bytes) : 0;
    }
    for (uint32_t i = 0; i < r->count; i++) {
        uint8_t *element = buffer + (r->df ? r->count - 1 - i : i) * r->size;
        uint64_t address = r->addr + (uint64_t)(step * i), value = 0;
        if (r->dir == IOREQ_READ) {
            value = read_target(x, target, address, r->size);
            memcpy(element, &value, r->size);
        } else {
            memcpy(&value, element, r->size);
            write_target(x, target, address, r->size, value);
        }
    }
    return r->dir == IOREQ_READ ? mapcache_write(x->cache, low, buffer, bytes) : 0;
}

static bool sane(const ioreq_t *r, enum target target)
{
    unsigned most = target == TARGET_MEMORY ? 8 : 4;

    if (r->size != 1 && r->size != 2 && r->size != 4 && r->size != 8)
        return false;
    return r->size <= most && r->count <= STRING_MOST / r->size;
}

static void access_target(struct xen_front *x, enum target target, ioreq_t *r)
{
    if (!sane(r, target)) {
        x->strange++;
        r->data = UINT64_MAX;
        return;
    }
    if (r->data_is_ptr)
        string(x, target, r);
    else
        immediate(x, target, r);
}

void xen_handle_request(struct xen_front *x, ioreq_t *r)
{
    x->machine->requests++;
    switch (r->type) {
    case IOREQ_TYPE_PIO:
        access_target(x, TARGET_PORT, r);
        break;
    case IOREQ_TYPE_COPY:
        access_target(x, TARGET_MEMORY, r);
        break;
    case IOREQ_TYPE_PCI_CONFIG:
        access_target(x, TARGET_CONFIG, r);
        break;
    case IOREQ_TYPE_TIMEOFFSET:
        dev_log(NULL, LOG_DEBUG, "the guest set its clock to %+lld s",
                (long long)r->data);
        break;
    case IOREQ_TYPE_INVALIDATE:
        mapcache_invalidate(x->cache);
        break;
    default:
        if (!x->strange++)
            dev_log(NULL, LOG_WARNING, "request of unknown type %u", r->type);
        r->data = UINT64_MAX;
        break;
    }
}
