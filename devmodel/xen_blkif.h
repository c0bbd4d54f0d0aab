/*
 * The paravirtual block protocol (xen/io/blkif.h), back end side: one ring of one guest,
 * served from one drive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_XEN_BLKIF_H
#define DEVMODEL_XEN_BLKIF_H

#include <xenevtchn.h>
#include <xengnttab.h>

#include "machine.h"

#define BLKIF_RING_ORDER    2u /* at most four pages */
#define BLKIF_RING_PAGES    (1u << BLKIF_RING_ORDER)
#define BLKIF_SEGMENTS_MOST 64u /* of an indirect request: 256 KiB */
#define BLKIF_SECTOR        512u

struct blkif;

struct blkif_config {
    struct machine *machine;
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    unsigned domid;
    struct block_backend *drive;
    bool read_only;
    bool x86_32; /* layout of a 32-bit guest's ring */
    uint32_t ring_ref[BLKIF_RING_PAGES];
    unsigned ring_pages; /* a power of two */
    uint32_t remote_port;
};

/* Map the ring, bind the event channel.  NULL with a message. */
struct blkif *blkif_connect(const struct blkif_config *c, struct error *error);
/* The local port, by which events are told apart. */
evtchn_port_t blkif_port(const struct blkif *f);
/* An event came: take requests from the ring. */
void blkif_event(struct blkif *f);
/* Wait for what is under way, and let go of the ring. */
void blkif_disconnect(struct blkif *f);

#endif
