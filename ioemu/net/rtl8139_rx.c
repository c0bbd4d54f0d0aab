/*
 * Receiving: address filters (RCR, MAR), the ring of the older mode (a header of 16 bits
 * of status and 16 of length before each frame), and the descriptors of C+ mode.  Frames
 * in memory end with their FCS.  Checksums are left to the driver: no descriptor claims
 * that one was looked at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "rtl8139.h"

enum {
    RING_LEAST = 8192,
    RING_LARGEST_WRAP = 3, /* RBLEN of the size at which WRAP does nothing */
    HEADER_BYTES = 4,
    CAPR_BEHIND = 16, /* CAPR is this much before what the driver reads next */
    FRAME_LARGEST = 4096,

    /* status before a frame in the ring */
    RX_ROK = 1 << 0,
    RX_BROADCAST = 1 << 13,
    RX_PHYSICAL = 1 << 14,
    RX_MULTICAST = 1 << 15,

    /* opts1 and opts2 of a receive descriptor */
    CPD_BUFFER = 0x1fff,
    CPD_BROADCAST = 1 << 24,
    CPD_PHYSICAL = 1 << 25,
    CPD_MULTICAST = 1 << 26,
    CPD_TAGGED = 1 << 16,
    FRAGMENTS_MOST = 16,

    TYPE_VLAN = 0x8100,
};

/* ---- filters ------------------------------------------------------------------------
 */

/* Which of the 64 bits of MAR: the upper six bits of the CRC as it goes over the wire. */
static bool hash_match(const struct rtl8139 *s, const uint8_t *address)
{
    uint32_t crc = ~ethernet_fcs(address, ETH_ADDRESS);
    unsigned index = 0;

    for (unsigned bit = 0; bit < 6; bit++)
        index = index << 1 | (crc >> bit & 1);
    return s->reg[MAR + index / 8] >> (index % 8) & 1;
}

/* The status bit of the kind of address, 0: not for us. */
static unsigned accepted_as(const struct rtl8139 *s, const uint8_t *address)
{
    static const uint8_t broadcast[ETH_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t rcr = rtl8139_get(s, RCR);
    bool all = rcr & RCR_AAP;

    if (memcmp(address, broadcast, ETH_ADDRESS) == 0)
        return all || rcr & RCR_AB ? RX_BROADCAST : 0;
    if (address[0] & 1)
        return all || (rcr & RCR_AM && hash_match(s, address)) ? RX_MULTICAST : 0;
    bool ours = memcmp(address, s->reg + IDR, ETH_ADDRESS) == 0;
    return all || (rcr & RCR_APM && ours) ? RX_PHYSICAL : 0;
}

static void count(struct rtl8139 *s, unsigned kind)
{
    s->counters.rx_ok++;
    if (kind == RX_BROADCAST)
        s->counters.rx_broadcast++;
    else if (kind == RX_MULTICAST)
        s->counters.rx_multicast++;
    else
        s->counters.rx_physical++;
}

static void missed(struct rtl8139 *s, uint16_t cause)
{
    uint32_t count = rtl8139_get(s, MPC) & 0xffffff;

    if (count < 0xffffff)
        store_le32(s->reg + MPC, count + 1);
    if (s->counters.missed < UINT16_MAX)
        s->counters.missed++;
    rtl8139_interrupt(s, cause);
}

/* ---- the ring -----------------------------------------------------------------------
 */

unsigned rtl8139_ring_bytes(const struct rtl8139 *s)
{
    return RING_LEAST << (rtl8139_get(s, RCR) >> RCR_RBLEN_SHIFT & 3);
}

/* Where the driver reads next. */
static unsigned ring_taken(const struct rtl8139 *s)
{
    return (rtl8139_get16(s, CAPR) + CAPR_BEHIND) % rtl8139_ring_bytes(s);
}

static unsigned ring_at(const struct rtl8139 *s)
{
    return rtl8139_get16(s, CBR) % rtl8139_ring_bytes(s);
}

bool rtl8139_ring_empty(const struct rtl8139 *s)
{
    return ring_at(s) == ring_taken(s);
}

static size_t ring_space(size_t bytes)
{
    return (HEADER_BYTES + bytes + FCS_BYTES + 3) & ~(size_t)3;
}

static bool ring_has_room(const struct rtl8139 *s, size_t bytes)
{
    unsigned ring = rtl8139_ring_bytes(s);
    unsigned used = (ring_at(s) + ring - ring_taken(s)) % ring;

    /* Full and empty would look the same: the last bytes stay free. */
    return ring_space(bytes) < ring - used;
}

static void ring_put(struct rtl8139 *s, unsigned at, const uint8_t *data, size_t bytes)
{
    uint32_t base = rtl8139_get(s, RBSTART), rcr = rtl8139_get(s, RCR);
    unsigned ring = rtl8139_ring_bytes(s);
    bool beyond = rcr & RCR_WRAP && (rcr >> RCR_RBLEN_SHIFT & 3) != RING_LARGEST_WRAP;
    size_t first = bytes;

    /* With WRAP the end of a frame lies behind the ring, else at its beginning. */
    if (!beyond && bytes > ring - at)
        first = ring - at;
    dma_write(&s->pci.dev, (uint64_t)base + at, data, first);
    if (first < bytes)
        dma_write(&s->pci.dev, base, data + first, bytes - first);
}

static void ring_receive(struct rtl8139 *s, uint8_t *entry, size_t bytes, unsigned kind)
{
    unsigned at = ring_at(s);
    size_t whole = HEADER_BYTES + bytes + FCS_BYTES;

    if (!ring_has_room(s, bytes)) {
        missed(s, INT_RDU);
        return;
    }
    store_le16(entry, (uint16_t)(RX_ROK | kind));
    store_le16(entry + 2, (uint16_t)(bytes + FCS_BYTES));
    store_le32(entry + HEADER_BYTES + bytes, ethernet_fcs(entry + HEADER_BYTES, bytes));
    ring_put(s, at, entry, whole);
    store_le16(s->reg + CBR,
               (uint16_t)((at + ring_space(bytes)) % rtl8139_ring_bytes(s)));
    count(s, kind);
    rtl8139_interrupt(s, INT_ROK);
}

/* ---- descriptors --------------------------------------------------------------------
 */

struct rx_fragment {
    uint64_t gpa, buffer; /* of the descriptor and what it points to */
    uint32_t opts1, bytes;
};

static uint32_t next_index(uint32_t index, uint32_t opts1)
{
    return opts1 & CPD_EOR || index + 1 >= RTL8139_DESCRIPTORS ? 0 : index + 1;
}

/* The descriptors that this many bytes fill, and the one after them; 0: not enough. */
static unsigned gather(struct rtl8139 *s, struct rx_fragment *f, size_t bytes,
                       uint32_t *after)
{
    uint32_t index = s->rx_index;

    for (unsigned n = 0; n < FRAGMENTS_MOST; n++) {
        uint8_t d[RTL8139_DESC_BYTES];
        f[n].gpa = rtl8139_get64(s, RDSAR) + (uint64_t)index * RTL8139_DESC_BYTES;
        if (dma_read(&s->pci.dev, f[n].gpa, d, sizeof(d)))
            return 0;
        f[n].opts1 = load_le32(d);
        f[n].buffer = load_le64(d + 8);
        size_t room = f[n].opts1 & CPD_BUFFER;
        if (!(f[n].opts1 & CPD_OWN) || !room)
            return 0;
        f[n].bytes = (uint32_t)(room < bytes ? room : bytes);
        bytes -= f[n].bytes;
        index = next_index(index, f[n].opts1);
        if (!bytes) {
            *after = index;
            return n + 1;
        }
    }
    return 0;
}

static void give_back(struct rtl8139 *s, const struct rx_fragment *f, uint32_t status,
                      uint32_t opts2)
{
    uint8_t d[8];

    store_le32(d, (f->opts1 & CPD_EOR) | status);
    store_le32(d + 4, opts2);
    dma_write(&s->pci.dev, f->gpa + 4, d + 4, 4);
    /* The driver looks at OWN: it comes last. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    dma_write(&s->pci.dev, f->gpa, d, 4);
}

/* Take the tag out into the descriptor, when the driver asked for that. */
static size_t strip_tag(const struct rtl8139 *s, uint8_t *frame, size_t bytes,
                        uint32_t *opts2)
{
    *opts2 = 0;
    if (!(rtl8139_get16(s, CPCR) & CPCR_VLAN) || bytes < ETH_HEADER + ETH_VLAN ||
        load_be16(frame + 2 * ETH_ADDRESS) != TYPE_VLAN)
        return bytes;
    *opts2 = CPD_TAGGED | load_le16(frame + ETH_HEADER); /* as it is on the wire */
    memmove(frame + 2 * ETH_ADDRESS, frame + 2 * ETH_ADDRESS + ETH_VLAN,
            bytes - 2 * ETH_ADDRESS - ETH_VLAN);
    return bytes - ETH_VLAN;
}

static void descriptor_receive(struct rtl8139 *s, uint8_t *frame, size_t bytes,
                               unsigned kind)
{
    struct rx_fragment f[FRAGMENTS_MOST];
    uint32_t after = 0, opts2, status;

    bytes = strip_tag(s, frame, bytes, &opts2);
    store_le32(frame + bytes, ethernet_fcs(frame, bytes));
    bytes += FCS_BYTES;
    unsigned n = gather(s, f, bytes, &after);
    if (!n) {
        missed(s, INT_RDU);
        return;
    }
    status = kind == RX_BROADCAST   ? CPD_BROADCAST
             : kind == RX_MULTICAST ? CPD_MULTICAST
                                    : CPD_PHYSICAL;
    for (unsigned i = 0; i < n; i++) {
        dma_write(&s->pci.dev, f[i].buffer, frame, f[i].bytes);
        frame += f[i].bytes;
        /* The length of the frame in the last one, of the part in the others. */
        give_back(s, &f[i],
                  status | (i ? 0 : CPD_FS) |
                      (i + 1 == n ? CPD_LS | (uint32_t)bytes : f[i].bytes),
                  opts2);
    }
    s->rx_index = after;
    count(s, kind);
    rtl8139_interrupt(s, INT_ROK);
}

/* ---- frames -------------------------------------------------------------------------
 */

static bool is_on(const struct rtl8139 *s)
{
    return s->reg[CR] & CR_RE && pci_bus_master(&s->pci);
}

void rtl8139_receive(struct rtl8139 *s, const uint8_t *data, size_t bytes)
{
    uint8_t entry[HEADER_BYTES + FRAME_LARGEST + FCS_BYTES];
    uint8_t *frame = entry + HEADER_BYTES;

    if (!is_on(s) || bytes < ETH_HEADER)
        return;
    unsigned kind = accepted_as(s, data);
    if (!kind)
        return;
    if (bytes > FRAME_LARGEST) {
        s->counters.rx_errors++;
        return;
    }
    memcpy(frame, data, bytes);
    if (bytes < ETH_LEAST) {
        memset(frame + bytes, 0, ETH_LEAST - bytes);
        bytes = ETH_LEAST;
    }
    if (rtl8139_get16(s, CPCR) & CPCR_RX)
        descriptor_receive(s, frame, bytes, kind);
    else
        ring_receive(s, entry, bytes, kind);
}

/*
 * Frames wait while the ring is full: CAPR says when there is room.  Nothing says so in
 * C+ mode, where the card drops them and tells the driver.
 */
static bool can_receive(void *opaque)
{
    const struct rtl8139 *s = opaque;

    return !is_on(s) || rtl8139_get16(s, CPCR) & CPCR_RX ||
           ring_has_room(s, FRAME_LARGEST);
}

static void receive(void *opaque, const uint8_t *frame, size_t bytes)
{
    rtl8139_receive(opaque, frame, bytes);
}

static void link_changed(void *opaque, bool up)
{
    rtl8139_interrupt(opaque, INT_LINK);
}

const struct net_front_ops rtl8139_front = {
    .can_receive = can_receive,
    .receive = receive,
    .link_changed = link_changed,
};
