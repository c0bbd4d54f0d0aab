/*
 * Receiving: address filters (13.4.22 RCTL, 13.5 filter registers), VLAN tags,
 * descriptors (3.2.3).  Checksums are left to the driver (status bit IXSM).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "e1000.h"

enum {
    DESC_LENGTH = 8,
    DESC_STATUS = 12,
    DESC_SPECIAL = 14,
    RX_DONE = 1 << 0,
    RX_END = 1 << 1,
    RX_NO_CHECKSUM = 1 << 2,
    RX_TAGGED = 1 << 3,
    ADDRESS_VALID = 1u << 31,
    FRAME_STANDARD = 1518, /* with FCS */
    FRAME_JUMBO = 16384,
};

static unsigned ring_entries(const struct e1000 *e)
{
    return e1000_get(e, RDLEN) / E1000_DESC_BYTES;
}

static unsigned free_descriptors(const struct e1000 *e)
{
    unsigned head = e1000_get(e, RDH), tail = e1000_get(e, RDT),
             entries = ring_entries(e);

    if (head >= entries || tail >= entries)
        return 0;
    return tail >= head ? tail - head : tail + entries - head;
}

static unsigned buffer_bytes(const struct e1000 *e)
{
    uint32_t rctl = e1000_get(e, RCTL);
    unsigned size = 2048u >> (rctl >> 16 & 3);

    return rctl & RCTL_BIGGER && size < 2048 ? size * 16 : size;
}

bool e1000_can_receive(struct e1000 *e)
{
    /* While reception is off frames are lost; without buffers they wait. */
    return !(e1000_get(e, RCTL) & RCTL_ENABLE) || !pci_bus_master(&e->pci) ||
           free_descriptors(e);
}

/* ---- filters ------------------------------------------------------------------------
 */

static bool exact_match(const struct e1000 *e, const uint8_t *address)
{
    for (unsigned offset = RA; offset < RA_END; offset += 8) {
        uint32_t low = e1000_get(e, offset), high = e1000_get(e, offset + 4);
        if (high & ADDRESS_VALID && low == load_le32(address) &&
            (high & 0xffff) == load_le16(address + 4))
            return true;
    }
    return false;
}

static bool hash_match(const struct e1000 *e, const uint8_t *address)
{
    static const uint8_t shifts[4] = {4, 3, 2, 0};
    unsigned shift = shifts[e1000_get(e, RCTL) >> 12 & 3];
    unsigned hash = (unsigned)(load_le16(address + 4) >> shift) & 0xfff;

    return e1000_get(e, MTA + hash / 32 * 4) >> (hash % 32) & 1;
}

static bool vlan_passes(const struct e1000 *e, bool tagged, uint16_t tag)
{
    unsigned id = tag & 0xfff;

    if (!tagged || !(e1000_get(e, RCTL) & RCTL_VLAN_FILTER))
        return true;
    return e1000_get(e, VFTA + id / 32 * 4) >> (id % 32) & 1;
}

static bool address_passes(const struct e1000 *e, const uint8_t *address)
{
    static const uint8_t broadcast[ETH_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t rctl = e1000_get(e, RCTL);

    if (address[0] & 1) {
        if (rctl & RCTL_MULTICAST_ALL)
            return true;
        if (memcmp(address, broadcast, sizeof(broadcast)) == 0)
            return rctl & RCTL_BROADCAST;
        return exact_match(e, address) || hash_match(e, address);
    }
    return rctl & RCTL_UNICAST_ALL || exact_match(e, address);
}

/* ---- descriptors --------------------------------------------------------------------
 */

static uint64_t ring_base(const struct e1000 *e)
{
    return (uint64_t)e1000_get(e, RDBAH) << 32 | e1000_get(e, RDBAL);
}

static void write_descriptor(struct e1000 *e, const uint8_t *data, size_t bytes,
                             bool last, uint8_t status, uint16_t tag)
{
    unsigned head = e1000_get(e, RDH);
    uint64_t gpa = ring_base(e) + head * E1000_DESC_BYTES;
    uint8_t desc[E1000_DESC_BYTES];

    /* A descriptor that is not in memory, or has no buffer, swallows its part. */
    if (dma_read(&e->pci.dev, gpa, desc, sizeof(desc)) == 0) {
        uint64_t buffer = load_le64(desc);
        if (buffer && bytes)
            dma_write(&e->pci.dev, buffer, data, bytes);
        memset(desc + DESC_LENGTH, 0, E1000_DESC_BYTES - DESC_LENGTH);
        store_le16(desc + DESC_LENGTH, (uint16_t)bytes);
        store_le16(desc + DESC_SPECIAL, last ? tag : 0);
        if (dma_write(&e->pci.dev, gpa + DESC_LENGTH, desc + DESC_LENGTH,
                      E1000_DESC_BYTES - DESC_LENGTH) == 0) {
            /* The driver looks at the status: it comes last. */
            desc[DESC_STATUS] = (uint8_t)(RX_DONE | status | (last ? RX_END : 0));
            __atomic_thread_fence(__ATOMIC_RELEASE);
            dma_write(&e->pci.dev, gpa + DESC_STATUS, desc + DESC_STATUS, 1);
        }
    }
    *e1000_reg(e, RDH) = head + 1 == ring_entries(e) ? 0 : head + 1;
}

static void count_received(struct e1000 *e, const uint8_t *frame, size_t bytes)
{
    e1000_count(e, TPR, 1);
    e1000_count(e, GPRC, 1);
    e1000_count(e, PRC64 + e1000_size_class(bytes), 1);
    e1000_count64(e, TORL, bytes);
    e1000_count64(e, GORCL, bytes);
    if (frame[0] & 1)
        e1000_count(e, frame[0] == 0xff && frame[1] == 0xff ? BPRC : MPRC, 1);
}

/* `bytes` includes the FCS when the driver wants it. */
static void store_frame(struct e1000 *e, const uint8_t *frame, size_t bytes,
                        uint8_t status, uint16_t tag)
{
    unsigned buffer = buffer_bytes(e), entries = ring_entries(e);
    unsigned before = free_descriptors(e);

    if ((bytes + buffer - 1) / buffer > before) {
        e1000_count(e, MPC, 1);
        e1000_interrupt(e, INT_RXO);
        return;
    }
    count_received(e, frame, bytes);
    for (size_t at = 0; at < bytes; at += buffer) {
        size_t part = bytes - at < buffer ? bytes - at : buffer;
        write_descriptor(e, frame + at, part, at + part == bytes, status, tag);
    }
    /* RDMTS: a half, a quarter, an eighth of the ring is left. */
    unsigned threshold = entries >> ((e1000_get(e, RCTL) >> 8 & 3) + 1);
    unsigned left = free_descriptors(e);
    e1000_interrupt(e, INT_RXT0 |
                           (left <= threshold && before > threshold ? INT_RXDMT0 : 0u));
}

/* Take the tag out into the descriptor, when the driver asked for that. */
static size_t strip_tag(struct e1000 *e, uint8_t *frame, size_t bytes, bool tagged,
                        uint8_t *status)
{
    if (!tagged || !(e1000_get(e, CTRL) & CTRL_VLAN_MODE))
        return bytes;
    memmove(frame + 2 * ETH_ADDRESS, frame + 2 * ETH_ADDRESS + ETH_VLAN,
            bytes - 2 * ETH_ADDRESS - ETH_VLAN);
    *status |= RX_TAGGED;
    return bytes - ETH_VLAN;
}

void e1000_receive(struct e1000 *e, const uint8_t *data, size_t bytes)
{
    uint8_t frame[FRAME_JUMBO + FCS_BYTES];
    uint8_t status = RX_NO_CHECKSUM;
    uint32_t rctl = e1000_get(e, RCTL);

    if (!(rctl & RCTL_ENABLE) || !pci_bus_master(&e->pci) || bytes < ETH_HEADER)
        return;
    if (bytes > FRAME_JUMBO) {
        e1000_count(e, ROC, 1);
        return;
    }
    memcpy(frame, data, bytes);
    if (bytes < ETH_LEAST) {
        memset(frame + bytes, 0, ETH_LEAST - bytes);
        bytes = ETH_LEAST;
    }
    bool tagged = load_be16(frame + 2 * ETH_ADDRESS) == (e1000_get(e, VET) & 0xffff);
    uint16_t tag = tagged ? load_be16(frame + ETH_HEADER) : 0;
    if (!address_passes(e, frame) || !vlan_passes(e, tagged, tag))
        return;
    if (!(rctl & RCTL_LONG) &&
        bytes + FCS_BYTES > (size_t)FRAME_STANDARD + (tagged ? ETH_VLAN : 0)) {
        e1000_count(e, ROC, 1);
        return;
    }
    bytes = strip_tag(e, frame, bytes, tagged, &status);
    if (!(rctl & RCTL_STRIP_FCS)) {
        store_le32(frame + bytes, ethernet_fcs(frame, bytes));
        bytes += FCS_BYTES;
    }
    store_frame(e, frame, bytes, status, status & RX_TAGGED ? tag : 0);
}

static bool front_can_receive(void *opaque)
{
    return e1000_can_receive(opaque);
}

static void front_receive(void *opaque, const uint8_t *frame, size_t bytes)
{
    e1000_receive(opaque, frame, bytes);
}

static void front_link_changed(void *opaque, bool up)
{
    e1000_set_link(opaque, up);
}

const struct net_front_ops e1000_front = {
    .can_receive = front_can_receive,
    .receive = front_receive,
    .link_changed = front_link_changed,
};
