/*
 * What all cards know of Ethernet besides devmodel/net_offload.h: frame check sequences
 * and addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_NET_ETHERNET_H
#define IOEMU_NET_ETHERNET_H

#include "../../devmodel/net_offload.h"

#define FCS_BYTES 4u

/* Frame check sequence (IEEE 802.3, 3.2.9). */
uint32_t ethernet_fcs(const uint8_t *frame, size_t bytes);

/* An address for a card that was given none: follows from the machine's UUID. */
void default_mac(const struct device *dev, uint8_t mac[ETH_ADDRESS]);
bool mac_is_zero(const uint8_t mac[ETH_ADDRESS]);

#endif
