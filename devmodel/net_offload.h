/*
 * What network cards and stacks leave to each other: checksums and segmentation, as
 * devices and back ends pass them on (struct net_offload) or have them done here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_NET_OFFLOAD_H
#define DEVMODEL_NET_OFFLOAD_H

#include "device.h"

#define ETH_ADDRESS  6
#define ETH_HEADER   14
#define ETH_LEAST    60 /* without FCS */
#define ETH_VLAN     4
#define HEADERS_MOST 256 /* of a frame that is to be cut */

/* Internet checksum (RFC 1071) of a piece; add pieces at even offsets, then fold. */
uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t bytes);
uint16_t checksum_fold(uint32_t sum);

/*
 * Sum [start, end) with what is in the field already (a pseudo-header, as drivers leave
 * it there), and store the result at `field`.  False: the offsets lie outside.
 */
bool checksum_store(uint8_t *frame, size_t bytes, size_t start, size_t end, size_t field,
                    bool nonzero);

struct segmentation {
    size_t network;   /* offset of the IPv4 or IPv6 header */
    size_t transport; /* of the TCP or UDP header */
    size_t payload;   /* of the data: length of all headers */
    size_t most;      /* bytes of data in one segment */
    bool tcp;
};

/*
 * Cutting of one large frame into segments with headers and checksums of their own.
 * segments_begin() returns 0, or -EINVAL when the frame is not what `s` says; the frame
 * stays where it is until the last segment.  segments_next() writes the next one's
 * headers (of `s.payload` bytes) and says where its data is; false: that was all.
 */
struct segments {
    struct segmentation s;
    uint8_t headers[HEADERS_MOST]; /* as they came */
    const uint8_t *frame;
    size_t bytes, at; /* of the frame; where the next segment's data begins */
    unsigned index;
};

int segments_begin(struct segments *c, const uint8_t *frame, size_t bytes,
                   const struct segmentation *s);
bool segments_next(struct segments *c, uint8_t *headers, const uint8_t **data,
                   size_t *bytes);

/* All of them at once, each to emit().  Returns how many, or -EINVAL. */
int segment_frame(const uint8_t *frame, size_t bytes, const struct segmentation *s,
                  void (*emit)(void *opaque, const struct iovec *iov, int iovcnt),
                  void *opaque);

/*
 * Make a TCP frame one that somebody else can cut: lengths, the IPv4 header's checksum
 * and the pseudo-header's sum in the TCP header, as struct net_offload wants them, which
 * it fills.  -EINVAL: the frame is not what `s` says, or not TCP; -EMSGSIZE: its lengths
 * do not fit its headers, cut it here.
 */
int offload_segmentation(uint8_t *frame, size_t bytes, const struct segmentation *s,
                         struct net_offload *o);

/* struct net_offload in a frame's header: the first bytes of virtio's (5.1.6), which are
 * also the tap's, little-endian. Flags and types that are none of ours are dropped by
 * writing; a type that is read may be any. */
#define NET_HEADER_BYTES 10
struct net_offload offload_read(const uint8_t header[NET_HEADER_BYTES]);
void offload_write(uint8_t header[NET_HEADER_BYTES], const struct net_offload *o);

/* How a frame that came with `o` is to be cut; false: it cannot. */
bool offload_plan(const uint8_t *frame, size_t bytes, const struct net_offload *o,
                  struct segmentation *s);

#endif
