/*
 * Device memory that the guest maps: pages of the domain, which live behind the end of
 * its RAM while the device's BAR does not decode, and are moved to the BAR's address when
 * it does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../firmware/layout.h"
#include "xen_front.h"

struct xen_window {
    uint64_t parked; /* gfn where it waits */
    uint64_t now;    /* gfn where it is */
    /*
     * Of a restored domain, not found yet: its pages came with the domain's memory,
     * parked or where the BAR was. `host` is private memory until map() tells where.
     */
    bool lost;
};

static int populate(struct xen_front *x, uint64_t first, size_t pages)
{
    xen_pfn_t frame[512];

    for (size_t done = 0; done < pages;) {
        size_t batch = pages - done < ARRAY_LEN(frame) ? pages - done : ARRAY_LEN(frame);
        for (size_t i = 0; i < batch; i++)
            frame[i] = first + done + i;
        if (xc_domain_populate_physmap_exact(x->xc, x->domid, batch, 0, 0, frame))
            return errno ? -errno : -ENOMEM;
        done += batch;
    }
    return 0;
}

/* At `where`, over what is there, unless it is NULL. */
static void *map_pages(struct xen_front *x, void *where, uint64_t first, size_t pages)
{
    xen_pfn_t *frame = must_alloc(pages * sizeof(*frame));

    for (size_t i = 0; i < pages; i++)
        frame[i] = first + i;
    void *at =
        xenforeignmemory_map2(x->fmem, x->domid, where, PROT_READ | PROT_WRITE,
                              where ? MAP_FIXED | MAP_SHARED : 0, pages, frame, NULL);
    free(frame);
    return at;
}

/* The pages of a restored domain's window: where they were parked, or lost until the BAR
 * says where they are. */
static int adopt(struct xen_front *x, struct ram_window *w, struct xen_window *xw)
{
    w->host = map_pages(x, NULL, xw->parked, w->size / XEN_PAGE);
    if (w->host)
        return 0;
    w->host =
        mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    xw->lost = true;
    return w->host == MAP_FAILED ? -errno : 0;
}

int xen_window_init(struct machine *m, struct ram_window *w)
{
    struct xen_front *x = m->front_data;
    size_t pages = w->size / XEN_PAGE;
    uint64_t first = x->parking;

    if (!x->xc)
        return -EPERM; /* the machine is complete: no more memory can be had */
    struct xen_window *xw = must_alloc(sizeof(*xw));
    xw->parked = xw->now = first;
    w->front = xw;
    x->parking += pages;
    if (x->incoming)
        return adopt(x, w, xw);
    int err = populate(x, first, pages);
    if (err) {
        dev_log(w->dev, LOG_ERROR, "%s: no %llu KiB of memory in the domain: %s", w->name,
                (unsigned long long)w->size >> 10, strerror(-err));
        return err;
    }
    w->host = map_pages(x, NULL, first, pages);
    if (!w->host)
        return -errno;
    memset(w->host, 0, w->size);
    return 0;
}

/* The pages go with the domain. */
void xen_window_fini(struct machine *m, struct ram_window *w)
{
    struct xen_front *x = m->front_data;

    xenforeignmemory_unmap(x->fmem, w->host, w->size / XEN_PAGE);
    free(w->front);
}

static int move_to(struct xen_front *x, struct ram_window *w, uint64_t gfn)
{
    struct xen_window *xw = w->front;
    uint64_t pages = w->size / XEN_PAGE;

    if (xw->lost) {
        if (!map_pages(x, w->host, gfn, pages))
            return -errno;
        xw->lost = false;
        xw->now = gfn;
        return 0;
    }
    if (xw->now == gfn)
        return 0;
    /* The call takes at most 2^32 - 1 pages and may stop early only with an error. */
    if (xendevicemodel_relocate_memory(x->dm, x->domid, (uint32_t)pages, xw->now, gfn))
        return -errno;
    xw->now = gfn;
    mapcache_invalidate(x->cache);
    return 0;
}

int xen_window_map(struct machine *m, struct ram_window *w, uint64_t gpa)
{
    if (gpa + w->size > LAYOUT_PCI_END && gpa < LAYOUT_HIGH_RAM_BASE)
        return -EFAULT; /* interrupt controllers, the hypervisor's pages, firmware */
    struct xen_front *x = m->front_data;
    uint64_t parked = ((struct xen_window *)w->front)->parked;
    if ((gpa + w->size) >> XEN_PAGE_SHIFT > parked)
        return -EFAULT; /* never over what is parked */
    return move_to(x, w, gpa >> XEN_PAGE_SHIFT);
}

void xen_window_unmap(struct machine *m, struct ram_window *w)
{
    struct xen_front *x = m->front_data;
    int err = move_to(x, w, ((struct xen_window *)w->front)->parked);

    if (err && !x->stopped)
        dev_log(w->dev, LOG_WARNING, "%s: cannot be taken away: %s", w->name,
                strerror(-err));
}

void xen_window_track(struct machine *m, struct ram_window *w, bool on)
{
    struct xen_front *x = m->front_data;

    if (!on)
        xendevicemodel_track_dirty_vram(x->dm, x->domid, 0, 0, NULL);
}

int xen_window_dirty(struct machine *m, struct ram_window *w, uint64_t offset,
                     uint64_t bytes, uint64_t *bitmap)
{
    struct xen_front *x = m->front_data;
    uint64_t pages = bytes / XEN_PAGE;
    const struct xen_window *xw = w->front;

    memset(bitmap, 0, (pages + 63) / 64 * 8);
    if (!w->mapped)
        return 0;
    if (xendevicemodel_track_dirty_vram(x->dm, x->domid, xw->now + offset / XEN_PAGE,
                                        (uint32_t)pages, (unsigned long *)bitmap))
        memset(bitmap, 0xff, (pages + 63) / 64 * 8); /* then everything may be */
    return 0;
}
