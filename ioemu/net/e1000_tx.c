/*
 * Transmitting (3.3 and 3.5): legacy, data and context descriptors, checksum insertion,
 * segmentation, VLAN tags.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "e1000.h"

/* Descriptors for one go; the rest follows from the main loop. */
#define DESCRIPTORS_AT_ONCE 256u

enum {
    COMMAND_END = 1 << 0,
    COMMAND_CHECKSUM = 1 << 2, /* legacy */
    COMMAND_SEGMENT = 1 << 2,  /* data, context */
    COMMAND_REPORT = 1 << 3,
    COMMAND_REPORT_SENT = 1 << 4,
    COMMAND_EXTENDED = 1 << 5,
    COMMAND_TAG = 1 << 6,
    STATUS_DONE = 1 << 0,
    STATUS_OFFSET = 12,
    TYPE_CONTEXT = 0,
    TYPE_DATA = 1,
    OPTION_IP_SUM = 1 << 0,
    OPTION_TU_SUM = 1 << 1,
    CONTEXT_TCP = 1 << 0,
    CONTEXT_SUM = 0, /* which of the two contexts */
    CONTEXT_SEGMENT = 1,
};

/* ---- a whole frame ------------------------------------------------------------------
 */

/* So many frames of this length. */
static void count_sent(struct e1000 *e, const uint8_t *frame, size_t bytes,
                       uint32_t frames)
{
    uint64_t total = (uint64_t)(bytes + FCS_BYTES) * frames;

    e1000_count(e, TPT, frames);
    e1000_count(e, GPTC, frames);
    e1000_count(e, PTC64 + e1000_size_class(bytes + FCS_BYTES), frames);
    e1000_count64(e, TOTL, total);
    e1000_count64(e, GOTCL, total);
    if (frame[0] & 1)
        e1000_count(e, frame[0] == 0xff && frame[1] == 0xff ? BPTC : MPTC, frames);
}

static bool loops_back(struct e1000 *e)
{
    return e1000_get(e, RCTL) & RCTL_LOOPBACK || e1000_phy_loopback(e);
}

static void loop_back(struct e1000 *e, const struct iovec *iov, int iovcnt)
{
    uint8_t frame[16384];
    size_t bytes = 0;

    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > sizeof(frame) - bytes)
            return;
        memcpy(frame + bytes, iov[i].iov_base, iov[i].iov_len);
        bytes += iov[i].iov_len;
    }
    e1000_receive(e, frame, bytes);
}

/* Out on the wire, with the tag between addresses and type, and padding. */
static void send_out(void *opaque, const struct iovec *in, int count)
{
    static const uint8_t zeros[ETH_LEAST];
    struct e1000 *e = opaque;
    struct iovec iov[6];
    uint8_t tag[ETH_VLAN];
    size_t bytes = 0;
    int n = 0;

    for (int i = 0; i < count; i++)
        bytes += in[i].iov_len;
    if (e->frame_vlan && in[0].iov_len >= 2 * ETH_ADDRESS) {
        store_be16(tag, (uint16_t)e1000_get(e, VET));
        store_be16(tag + 2, e->frame_tag);
        iov[n++] = (struct iovec){in[0].iov_base, 2 * ETH_ADDRESS};
        iov[n++] = (struct iovec){tag, sizeof(tag)};
        iov[n++] = (struct iovec){(uint8_t *)in[0].iov_base + 2 * ETH_ADDRESS,
                                  in[0].iov_len - 2 * ETH_ADDRESS};
        bytes += ETH_VLAN;
    } else {
        iov[n++] = in[0];
    }
    for (int i = 1; i < count && n < 5; i++)
        iov[n++] = in[i];
    if (bytes < ETH_LEAST && e1000_get(e, TCTL) & TCTL_PAD) {
        iov[n++] = (struct iovec){(void *)zeros, ETH_LEAST - bytes};
        bytes = ETH_LEAST;
    }
    count_sent(e, in[0].iov_base, bytes, 1);
    if (loops_back(e))
        loop_back(e, iov, n);
    else if (e->net)
        net_send(e->net, iov, n);
}

/* The whole frame, for the back end to cut; false: it has to be done here. */
static bool send_uncut(struct e1000 *e, const struct segmentation *s)
{
    struct net_offload o;

    if (!e->net || e->frame_vlan || loops_back(e) ||
        offload_segmentation(e->frame, e->frame_bytes, s, &o) ||
        !net_send_offload(e->net, e->frame, e->frame_bytes, &o))
        return false;
    uint32_t data = (uint32_t)(e->frame_bytes - s->payload),
             full = data / (uint32_t)s->most;
    uint32_t last = data % (uint32_t)s->most;
    count_sent(e, e->frame, s->payload + s->most, full);
    if (last || !full)
        count_sent(e, e->frame, s->payload + last, 1);
    return true;
}

static void send_segments(struct e1000 *e)
{
    const struct e1000_context *c = &e->context[CONTEXT_SEGMENT];
    const struct segmentation s = {
        .network = c->ipcss,
        .transport = c->tucss,
        .payload = c->header_bytes,
        .most = c->mss,
        .tcp = c->command & CONTEXT_TCP,
    };

    if (!send_uncut(e, &s) &&
        segment_frame(e->frame, e->frame_bytes, &s, send_out, e) < 0)
        guest_error(&e->pci.dev, "segmentation of a frame of %u bytes with headers of %u",
                    e->frame_bytes, c->header_bytes);
    else
        e1000_count(e, TSCTC, 1);
}

static void insert_sum(struct e1000 *e, size_t start, size_t field, size_t end,
                       bool nonzero)
{
    /* An end of 0 is the end of the frame; offsets that make no sense sum nothing. */
    if (!end || end >= e->frame_bytes)
        end = e->frame_bytes;
    else
        end++;
    checksum_store(e->frame, e->frame_bytes, start, end, field, nonzero);
}

static void finish_frame(struct e1000 *e)
{
    const struct e1000_context *c = &e->context[CONTEXT_SUM];

    if (e->frame_too_long || e->frame_bytes < ETH_HEADER) {
        guest_error(&e->pci.dev, "frame of %s bytes not sent",
                    e->frame_too_long ? "too many" : "too few");
    } else if (e->frame_segment) {
        send_segments(e);
    } else {
        if (e->frame_tu_sum)
            insert_sum(e, c->tucss, c->tucso, c->tucse, true);
        if (e->frame_ip_sum)
            insert_sum(e, c->ipcss, c->ipcso, c->ipcse, false);
        const struct iovec iov = {e->frame, e->frame_bytes};
        send_out(e, &iov, 1);
    }
    e->frame_bytes = 0;
    e->frame_too_long = e->frame_segment = false;
    e->frame_ip_sum = e->frame_tu_sum = e->frame_vlan = false;
}

/* ---- descriptors --------------------------------------------------------------------
 */

static void take_context(struct e1000 *e, const uint8_t *d)
{
    uint8_t command = d[11];
    struct e1000_context *c =
        &e->context[command & COMMAND_SEGMENT ? CONTEXT_SEGMENT : CONTEXT_SUM];

    c->ipcss = d[0];
    c->ipcso = d[1];
    c->ipcse = load_le16(d + 2);
    c->tucss = d[4];
    c->tucso = d[5];
    c->tucse = load_le16(d + 6);
    c->payload_bytes = load_le32(d + 8) & 0xfffff;
    c->command = command;
    c->header_bytes = d[13];
    c->mss = load_le16(d + 14);
}

static void add_data(struct e1000 *e, uint64_t gpa, uint32_t bytes)
{
    if (e->frame_too_long || bytes > sizeof(e->frame) - e->frame_bytes) {
        e->frame_too_long = true;
        return;
    }
    dma_read(&e->pci.dev, gpa, e->frame + e->frame_bytes, bytes);
    e->frame_bytes += bytes;
}

static void take_tag(struct e1000 *e, uint8_t command, const uint8_t *d)
{
    if (command & COMMAND_TAG && e1000_get(e, CTRL) & CTRL_VLAN_MODE) {
        e->frame_vlan = true;
        e->frame_tag = load_le16(d + 14);
    }
}

static void take_extended(struct e1000 *e, const uint8_t *d, uint8_t command)
{
    /* The options of the first descriptor of a frame are for all of it (3.3.7.1). */
    if (!e->frame_bytes && !e->frame_too_long) {
        e->frame_segment = command & COMMAND_SEGMENT;
        e->frame_ip_sum = d[13] & OPTION_IP_SUM;
        e->frame_tu_sum = d[13] & OPTION_TU_SUM;
    }
    add_data(e, load_le64(d), load_le32(d + 8) & 0xfffff);
    take_tag(e, command, d);
    if (command & COMMAND_END)
        finish_frame(e);
}

static void take_legacy(struct e1000 *e, const uint8_t *d, uint8_t command)
{
    add_data(e, load_le64(d), load_le16(d + 8));
    take_tag(e, command, d);
    if (!(command & COMMAND_END))
        return;
    /* CSO and CSS are of the last descriptor: one sum to the frame's end. */
    if (command & COMMAND_CHECKSUM && !e->frame_too_long)
        checksum_store(e->frame, e->frame_bytes, d[13], e->frame_bytes, d[10], false);
    finish_frame(e);
}

/* Returns the interrupt causes. */
static uint32_t take_descriptor(struct e1000 *e, uint64_t gpa)
{
    uint8_t d[E1000_DESC_BYTES];

    if (dma_read(&e->pci.dev, gpa, d, sizeof(d)))
        return 0;
    uint8_t command = d[11], type = d[10] >> 4;
    if (!(command & COMMAND_EXTENDED))
        take_legacy(e, d, command);
    else if (type == TYPE_CONTEXT)
        take_context(e, d);
    else if (type == TYPE_DATA)
        take_extended(e, d, command);
    if (!(command & (COMMAND_REPORT | COMMAND_REPORT_SENT)))
        return 0;
    uint8_t status = d[STATUS_OFFSET] | STATUS_DONE;
    dma_write(&e->pci.dev, gpa + STATUS_OFFSET, &status, 1);
    return INT_TXDW;
}

void e1000_transmit(struct e1000 *e)
{
    uint64_t base = (uint64_t)e1000_get(e, TDBAH) << 32 | e1000_get(e, TDBAL);
    unsigned entries = e1000_get(e, TDLEN) / E1000_DESC_BYTES;
    uint32_t causes = 0;

    if (!(e1000_get(e, TCTL) & TCTL_ENABLE) || !pci_bus_master(&e->pci))
        return;
    for (unsigned n = 0; e1000_get(e, TDH) != e1000_get(e, TDT); n++) {
        unsigned head = e1000_get(e, TDH);
        if (head >= entries || e1000_get(e, TDT) >= entries) {
            guest_error(&e->pci.dev, "transmit ring of %u has head %u and tail %u",
                        entries, head, e1000_get(e, TDT));
            break;
        }
        if (n == DESCRIPTORS_AT_ONCE) {
            deferred_queue(&e->more_tx);
            break;
        }
        causes |= take_descriptor(e, base + head * E1000_DESC_BYTES);
        *e1000_reg(e, TDH) = head + 1 == entries ? 0 : head + 1;
        if (e1000_get(e, TDH) == e1000_get(e, TDT))
            causes |= INT_TXQE;
    }
    if (causes)
        e1000_interrupt(e, causes);
}

void e1000_tx_reset(struct e1000 *e)
{
    memset(e->context, 0, sizeof(e->context));
    e->frame_bytes = 0;
    e->frame_too_long = e->frame_segment = false;
    e->frame_ip_sum = e->frame_tu_sum = e->frame_vlan = false;
    e->frame_tag = 0;
}
