/*
 * What a network card computes for its driver: checksums, segmentation; and addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_NET_OFFLOAD_H
#define IOEMU_NET_OFFLOAD_H

#include "../../devmodel/device.h"

#define ETH_ADDRESS 6
#define ETH_HEADER  14
#define ETH_LEAST   60 /* without FCS */
#define ETH_VLAN    4

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
 * Cut one large frame into segments with headers and checksums of their own and hand each
 * to emit().  Returns how many, or -EINVAL when the frame is not what `s` says.
 */
int segment_frame(const uint8_t *frame, size_t bytes, const struct segmentation *s,
                  void (*emit)(void *opaque, const struct iovec *iov, int iovcnt),
                  void *opaque);

/* Frame check sequence (IEEE 802.3, 3.2.9). */
uint32_t ethernet_fcs(const uint8_t *frame, size_t bytes);

/* An address for a card that was given none: follows from the machine's UUID. */
void default_mac(const struct device *dev, uint8_t mac[ETH_ADDRESS]);
bool mac_is_zero(const uint8_t mac[ETH_ADDRESS]);

#endif
