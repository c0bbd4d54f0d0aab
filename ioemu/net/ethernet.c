/*
 * Frame check sequences and addresses; see ethernet.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ethernet.h"

#include <string.h>
#include <zlib.h>

uint32_t ethernet_fcs(const uint8_t *frame, size_t bytes)
{
    return (uint32_t)crc32_z(0, frame, bytes);
}

bool mac_is_zero(const uint8_t mac[ETH_ADDRESS])
{
    static const uint8_t zero[ETH_ADDRESS];

    return memcmp(mac, zero, ETH_ADDRESS) == 0;
}

void default_mac(const struct device *dev, uint8_t mac[ETH_ADDRESS])
{
    static const uint8_t base[ETH_ADDRESS] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    static unsigned made;
    const struct board *board = machine_board(dev);

    memcpy(mac, base, ETH_ADDRESS);
    if (!board->uuid_set) {
        mac[5] = (uint8_t)(mac[5] + made++);
        return;
    }
    /* Machines with different UUIDs can then share a network: FNV-1a over it. */
    uint32_t hash = 2166136261u;
    for (unsigned i = 0; i < sizeof(board->uuid); i++)
        hash = (hash ^ board->uuid[i]) * 16777619u;
    hash = (hash ^ (dev->pci ? dev->pci->devfn : 0)) * 16777619u;
    mac[3] = (uint8_t)(hash >> 16);
    mac[4] = (uint8_t)(hash >> 8);
    mac[5] = (uint8_t)hash;
}
