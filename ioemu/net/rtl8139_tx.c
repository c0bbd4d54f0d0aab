/*
 * Transmitting: the four buffers of the older mode, and the descriptors of C+ mode with
 * checksums, segmentation of TCP over IPv4 and VLAN tags.  Of the two rings of C+ mode
 * only the normal one exists; no driver was seen to use the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "rtl8139.h"

/* Descriptors for one go; the rest follows from the main loop. */
#define DESCRIPTORS_AT_ONCE 256u
#define BUFFER_LARGEST      1792u /* of a frame, RTL8139C datasheet, TSD */

/* opts1 and opts2 of a transmit descriptor */
#define CPD_LGSEN     (1u << 27)
#define CPD_MSS_SHIFT 16
#define CPD_MSS       0x7ffu
#define CPD_IPCS      (1u << 18)
#define CPD_UDPCS     (1u << 17)
#define CPD_TCPCS     (1u << 16)
#define CPD_SIZE      0xffffu
#define CPD_TAGC      (1u << 17)
#define CPD_STATUS    0x0ff00000u /* what the card reports: no error ever */

enum {
    TYPE_IP4 = 0x0800,
    TYPE_VLAN = 0x8100,
    IP4_LENGTH = 2,
    IP4_PROTOCOL = 9,
    IP4_CHECKSUM = 10,
    IP4_SOURCE = 12,
    IP4_HEADER = 20,
    TCP_OFFSET = 12,
    TCP_CHECKSUM = 16,
    TCP_HEADER = 20,
    UDP_CHECKSUM = 6,
    UDP_HEADER = 8,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
};

static void put_on_wire(struct rtl8139 *s, const struct iovec *iov, int count)
{
    if ((rtl8139_get(s, TCR) & TCR_LOOPBACK) != TCR_LOOPBACK) {
        if (s->net)
            net_send(s->net, iov, count);
        return;
    }
    uint8_t frame[4096];
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > sizeof(frame) - bytes)
            return;
        memcpy(frame + bytes, iov[i].iov_base, iov[i].iov_len);
        bytes += iov[i].iov_len;
    }
    rtl8139_receive(s, frame, bytes);
}

/* ---- the four buffers ---------------------------------------------------------------
 */

void rtl8139_send_buffer(struct rtl8139 *s, unsigned n)
{
    uint8_t frame[BUFFER_LARGEST];
    uint8_t *tsd = s->reg + TSD + 4 * n;
    uint32_t status = load_le32(tsd), bytes = status & TSD_SIZE;

    if (!(s->reg[CR] & CR_TE) || !pci_bus_master(&s->pci))
        return;
    status &= ~(uint32_t)(TSD_TOK | TSD_TUN);
    if (bytes > sizeof(frame) || bytes < ETH_HEADER) {
        guest_error(&s->pci.dev, "a frame of %u bytes is not sent", bytes);
        s->counters.tx_errors++;
        store_le32(tsd, status | TSD_OWN | TSD_TABT);
        rtl8139_interrupt(s, INT_TER);
        return;
    }
    dma_read(&s->pci.dev, rtl8139_get(s, TSAD + 4 * n), frame, bytes);
    const struct iovec iov = {frame, bytes};
    put_on_wire(s, &iov, 1);
    s->counters.tx_ok++;
    store_le32(tsd, status | TSD_OWN | TSD_TOK);
    rtl8139_interrupt(s, INT_TOK);
}

/* ---- a frame from descriptors -------------------------------------------------------
 */

/* The IPv4 header and how long it is; 0: there is none. */
static size_t ip4_header(const struct rtl8139 *s, size_t *at)
{
    const uint8_t *frame = s->frame;

    *at = ETH_HEADER;
    if (s->frame_bytes >= ETH_HEADER + ETH_VLAN + IP4_HEADER &&
        load_be16(frame + 2 * ETH_ADDRESS) == TYPE_VLAN)
        *at += ETH_VLAN;
    if (s->frame_bytes < *at + IP4_HEADER || load_be16(frame + *at - 2) != TYPE_IP4 ||
        frame[*at] >> 4 != 4)
        return 0;
    size_t bytes = (frame[*at] & 15) * 4u;
    return bytes >= IP4_HEADER && *at + bytes <= s->frame_bytes ? bytes : 0;
}

/* The card sums all of it itself, whatever the driver has left in the field. */
static void insert_sums(struct rtl8139 *s, uint32_t opts1)
{
    size_t at, header = ip4_header(s, &at);
    uint8_t *ip = s->frame + at;

    if (!header)
        return;
    if (opts1 & CPD_IPCS) {
        store_be16(ip + IP4_CHECKSUM, 0);
        checksum_store(s->frame, s->frame_bytes, at, at + header, at + IP4_CHECKSUM,
                       false);
    }
    bool tcp = opts1 & CPD_TCPCS && ip[IP4_PROTOCOL] == PROTOCOL_TCP;
    bool udp = opts1 & CPD_UDPCS && ip[IP4_PROTOCOL] == PROTOCOL_UDP;
    size_t total = load_be16(ip + IP4_LENGTH);
    if ((!tcp && !udp) || total > s->frame_bytes - at ||
        total < header + (tcp ? TCP_HEADER : UDP_HEADER))
        return;
    uint8_t *field = ip + header + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
    store_be16(field, 0);
    uint32_t sum = checksum_add(0, ip + IP4_SOURCE, 8) + (uint32_t)(total - header) +
                   (tcp ? PROTOCOL_TCP : PROTOCOL_UDP);
    uint16_t folded = checksum_fold(checksum_add(sum, ip + header, total - header));
    store_be16(field, folded ? folded : 0xffff);
}

static void emit(void *opaque, const struct iovec *iov, int count)
{
    put_on_wire(opaque, iov, count);
}

static void send_segments(struct rtl8139 *s, uint32_t opts1)
{
    size_t at, header = ip4_header(s, &at);
    size_t transport = at + header;
    struct segmentation cut = {
        .network = at,
        .transport = transport,
        .most = opts1 >> CPD_MSS_SHIFT & CPD_MSS,
        .tcp = true,
    };

    if (header && transport + TCP_HEADER <= s->frame_bytes)
        cut.payload = transport + (s->frame[transport + TCP_OFFSET] >> 4) * 4u;
    if (segment_frame(s->frame, s->frame_bytes, &cut, emit, s) < 0)
        guest_error(&s->pci.dev, "a large send of %u bytes is not TCP over IPv4",
                    s->frame_bytes);
}

static void insert_tag(struct rtl8139 *s, uint32_t opts2)
{
    uint8_t *after = s->frame + 2 * ETH_ADDRESS;

    if (s->frame_bytes > sizeof(s->frame) - ETH_VLAN)
        return;
    memmove(after + ETH_VLAN, after, s->frame_bytes - 2 * ETH_ADDRESS);
    store_be16(after, TYPE_VLAN);
    store_le16(after + 2, (uint16_t)opts2); /* in the order of the wire */
    s->frame_bytes += ETH_VLAN;
}

static void finish_frame(struct rtl8139 *s, uint32_t opts1, uint32_t opts2)
{
    if (s->frame_too_long || s->frame_bytes < ETH_HEADER) {
        guest_error(&s->pci.dev, "frame of %s bytes not sent",
                    s->frame_too_long ? "too many" : "too few");
        s->counters.tx_errors++;
    } else {
        if (opts2 & CPD_TAGC)
            insert_tag(s, opts2);
        if (opts1 & CPD_LGSEN) {
            send_segments(s, opts1);
        } else {
            insert_sums(s, opts1);
            const struct iovec iov = {s->frame, s->frame_bytes};
            put_on_wire(s, &iov, 1);
        }
        s->counters.tx_ok++;
    }
    s->frame_bytes = 0;
    s->frame_too_long = false;
}

static void add_data(struct rtl8139 *s, uint64_t gpa, uint32_t bytes)
{
    if (s->frame_too_long || bytes > sizeof(s->frame) - s->frame_bytes) {
        s->frame_too_long = true;
        return;
    }
    dma_read(&s->pci.dev, gpa, s->frame + s->frame_bytes, bytes);
    s->frame_bytes += bytes;
}

/* False: the driver owns the next one. */
static bool take_descriptor(struct rtl8139 *s, bool *sent)
{
    uint64_t gpa = rtl8139_get64(s, TNPDS) + (uint64_t)s->tx_index * RTL8139_DESC_BYTES;
    uint8_t d[RTL8139_DESC_BYTES];

    if (dma_read(&s->pci.dev, gpa, d, sizeof(d)))
        return false;
    uint32_t opts1 = load_le32(d);
    if (!(opts1 & CPD_OWN))
        return false;
    if (opts1 & CPD_FS) {
        s->frame_bytes = 0;
        s->frame_too_long = false;
    }
    add_data(s, load_le64(d + 8), opts1 & CPD_SIZE);
    if (opts1 & CPD_LS) {
        finish_frame(s, opts1, load_le32(d + 4));
        *sent = true;
    }
    store_le32(d, opts1 & ~(CPD_OWN | CPD_STATUS));
    dma_write(&s->pci.dev, gpa, d, 4);
    s->tx_index =
        opts1 & CPD_EOR || s->tx_index + 1 >= RTL8139_DESCRIPTORS ? 0 : s->tx_index + 1;
    return true;
}

void rtl8139_transmit(struct rtl8139 *s)
{
    bool sent = false;
    unsigned n = 0;

    if (!(s->reg[CR] & CR_TE) || !(rtl8139_get16(s, CPCR) & CPCR_TX) ||
        !pci_bus_master(&s->pci))
        return;
    while (n < DESCRIPTORS_AT_ONCE && take_descriptor(s, &sent))
        n++;
    if (n == DESCRIPTORS_AT_ONCE)
        deferred_queue(&s->more_tx);
    if (sent)
        rtl8139_interrupt(s, INT_TOK | (n < DESCRIPTORS_AT_ONCE ? INT_TDU : 0));
}
