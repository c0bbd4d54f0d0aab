/*
 * The hypervisor front end: devices of a domain served through an ioreq server, with the
 * stock Xen libraries.  One process serves one domain.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_XEN_FRONT_H
#define DEVMODEL_XEN_FRONT_H

#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xen/hvm/ioreq.h>

#include "machine.h"

#define XEN_PAGE       4096u
#define XEN_PAGE_SHIFT 12

struct mapcache;
struct sleeper;

struct xen_front {
    struct machine *machine;
    domid_t domid;
    xendevicemodel_handle *dm;
    xenforeignmemory_handle *fmem;
    xenevtchn_handle *evtchn;
    xc_interface *xc; /* only while the machine is built; NULL afterwards */
    struct sleeper *sleeper;

    ioservid_t server;
    bool have_server;
    xenforeignmemory_resource_handle *ring_handle;
    /*
     * The page of synchronous requests, one slot for each vCPU.  Who may write a slot, by
     * state: NONE: hypervisor.  READY, INPROCESS: this process.  IORESP_READY:
     * hypervisor.
     */
    shared_iopage_t *ring;
    unsigned vcpus;
    evtchn_port_t *port;    /* by vCPU: ours */
    uint16_t *vcpu_of_port; /* by local port + 1 entry each; 0xffff: none */
    unsigned port_room;

    struct mapcache *cache;
    uint64_t parking; /* first gfn where windows are while they are not mapped */

    int timer_fd;
    int64_t timer_armed; /* deadline the timer is set to; INT64_MAX: off */

    uint8_t intx_pulls[32][4];
    uint64_t strange; /* refused */
    bool stopped;     /* shutdown or reset was asked for */
    bool incoming;    /* a restored domain: it has the windows' pages already */
};

/* xen_front.c */
extern const struct front_ops xen_front_ops;
int xen_front_open(struct xen_front *x, int domid, struct error *error);
/* The ioreq server; before any device exists. */
int xen_front_create_server(struct xen_front *x, struct error *error);
/* Bind event channels and begin to serve; after the devices were made. */
int xen_front_start(struct xen_front *x, struct error *error);
/* Give up what only building needed, and everything but this domain. */
int xen_front_restrict(struct xen_front *x, struct error *error);
void xen_front_close(struct xen_front *x);

/* xen_ioreq.c: one request, in place: `r` is a private copy. */
void xen_handle_request(struct xen_front *x, ioreq_t *r);

/* xen_memory.c */
struct mapcache *mapcache_create(struct machine *m, xenforeignmemory_handle *fmem,
                                 domid_t domid);
void mapcache_destroy(struct mapcache *c);
/* -EFAULT where there is no memory; reads give 0xff there. */
int mapcache_read(struct mapcache *c, uint64_t gpa, void *buffer, size_t bytes);
int mapcache_write(struct mapcache *c, uint64_t gpa, const void *buffer, size_t bytes);
/* Forget mappings: frames may have got other contents behind their numbers. */
void mapcache_invalidate(struct mapcache *c);

/* xen_window.c */
int xen_window_init(struct machine *m, struct ram_window *w);
void xen_window_fini(struct machine *m, struct ram_window *w);
int xen_window_map(struct machine *m, struct ram_window *w, uint64_t gpa);
void xen_window_unmap(struct machine *m, struct ram_window *w);
void xen_window_track(struct machine *m, struct ram_window *w, bool on);
int xen_window_dirty(struct machine *m, struct ram_window *w, uint64_t offset,
                     uint64_t bytes, uint64_t *bitmap);

#endif
