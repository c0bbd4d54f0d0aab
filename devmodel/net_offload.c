/*
 * Checksums and segmentation; see net_offload.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net_offload.h"

#include <errno.h>
#include <string.h>

enum {
    ETH_TYPE_VLAN = 0x8100,
    IP4_HEADER = 20,
    IP4_LENGTH = 2,
    IP4_ID = 4,
    IP4_CHECKSUM = 10,
    IP4_SOURCE = 12,
    IP6_HEADER = 40,
    IP6_LENGTH = 4,
    IP6_SOURCE = 8,
    TCP_HEADER = 20,
    TCP_SEQUENCE = 4,
    TCP_DATA_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_CHECKSUM = 16,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80,
    UDP_HEADER = 8,
    UDP_LENGTH = 4,
    UDP_CHECKSUM = 6,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    HEADER_FLAGS = 0,
    HEADER_GSO = 1,
    HEADER_BYTES = 2,
    HEADER_GSO_SIZE = 4,
    HEADER_SUM_START = 6,
    HEADER_SUM_OFFSET = 8,
    NEEDS_SUM = 1,
    GSO_ECN = 0x80,
    SEGMENTS_MOST = 4096, /* a guest that wants one byte each gets none */
};

static uint64_t add_with_carry(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word);
}

/* The sum does not depend on the order of bytes in a word, nor on the word's size (RFC
 * 1071, 2): 64 bits at a time as they lie in memory, and the result turned at the end. */
uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t bytes)
{
    uint64_t wide = 0, word;

    for (; bytes >= 32; bytes -= 32, data += 32) {
        uint64_t four[4];
        memcpy(four, data, sizeof(four));
        wide = add_with_carry(wide, four[0]);
        wide = add_with_carry(wide, four[1]);
        wide = add_with_carry(wide, four[2]);
        wide = add_with_carry(wide, four[3]);
    }
    for (; bytes >= 8; bytes -= 8, data += 8) {
        memcpy(&word, data, sizeof(word));
        wide = add_with_carry(wide, word);
    }
    word = 0;
    memcpy(&word, data, bytes);
    wide = add_with_carry(wide, word);
    while (wide >> 16)
        wide = (wide & 0xffff) + (wide >> 16);
    uint16_t native = (uint16_t)wide;
    uint64_t total = (uint64_t)sum + load_be16((const uint8_t *)&native);
    return (uint32_t)(total + (total >> 32));
}

uint16_t checksum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

bool checksum_store(uint8_t *frame, size_t bytes, size_t start, size_t end, size_t field,
                    bool nonzero)
{
    if (end > bytes || start >= end || field > bytes || bytes - field < 2)
        return false;
    uint16_t sum = checksum_fold(checksum_add(0, frame + start, end - start));
    if (!sum && nonzero)
        sum = 0xffff;
    store_be16(frame + field, sum);
    return true;
}

/* ---- segmentation -------------------------------------------------------------------
 */

static bool headers_fit(const uint8_t *frame, size_t bytes, const struct segmentation *s)
{
    size_t least = s->tcp ? TCP_HEADER : UDP_HEADER;

    if (s->payload > bytes || s->payload > HEADERS_MOST || !s->most ||
        s->network < ETH_HEADER || s->transport <= s->network ||
        s->transport + least > s->payload)
        return false;
    size_t network = s->transport - s->network;
    unsigned version = frame[s->network] >> 4;
    return (version == 4 && network >= IP4_HEADER) ||
           (version == 6 && network >= IP6_HEADER);
}

static uint32_t pseudo_header(const uint8_t *ip, uint32_t bytes, bool tcp)
{
    bool v4 = ip[0] >> 4 == 4;
    uint32_t sum =
        v4 ? checksum_add(0, ip + IP4_SOURCE, 8) : checksum_add(0, ip + IP6_SOURCE, 32);

    return sum + bytes + (tcp ? PROTOCOL_TCP : PROTOCOL_UDP);
}

/* `header` bytes of IP header, then `after`. */
static void set_ip_length(uint8_t *ip, size_t header, size_t after)
{
    if (ip[0] >> 4 == 4) {
        store_be16(ip + IP4_LENGTH, (uint16_t)(header + after));
        store_be16(ip + IP4_CHECKSUM, 0);
        store_be16(ip + IP4_CHECKSUM, checksum_fold(checksum_add(0, ip, header)));
    } else {
        store_be16(ip + IP6_LENGTH, (uint16_t)(header - IP6_HEADER + after));
    }
}

/* Headers of the segment with `data` bytes from `offset` of the payload. */
static void fix_headers(uint8_t *h, const struct segmentation *s, unsigned index,
                        size_t offset, const uint8_t *data, size_t bytes, bool last)
{
    uint8_t *ip = h + s->network, *transport = h + s->transport;
    size_t transport_bytes = s->payload - s->transport + bytes;

    if (ip[0] >> 4 == 4)
        store_be16(ip + IP4_ID, (uint16_t)(load_be16(ip + IP4_ID) + index));
    set_ip_length(ip, s->transport - s->network, transport_bytes);
    size_t field = s->tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
    if (s->tcp) {
        store_be32(transport + TCP_SEQUENCE,
                   load_be32(transport + TCP_SEQUENCE) + (uint32_t)offset);
        if (!last)
            transport[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (index)
            transport[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    } else {
        store_be16(transport + UDP_LENGTH, (uint16_t)transport_bytes);
    }
    store_be16(transport + field, 0);
    uint32_t sum = pseudo_header(ip, (uint32_t)transport_bytes, s->tcp);
    sum = checksum_add(sum, transport, s->payload - s->transport);
    uint16_t folded = checksum_fold(checksum_add(sum, data, bytes));
    store_be16(transport + field, folded ? folded : 0xffff);
}

int segments_begin(struct segments *c, const uint8_t *frame, size_t bytes,
                   const struct segmentation *s)
{
    /* Headers of odd length cannot be summed apart from the data; none exist. */
    if (!headers_fit(frame, bytes, s) || (s->payload - s->transport) % 2 ||
        (bytes - s->payload) / s->most >= SEGMENTS_MOST)
        return -EINVAL;
    c->s = *s;
    c->frame = frame;
    c->bytes = bytes;
    c->at = s->payload;
    c->index = 0;
    memcpy(c->headers, frame, s->payload);
    return 0;
}

bool segments_next(struct segments *c, uint8_t *headers, const uint8_t **data,
                   size_t *bytes)
{
    size_t left = c->bytes - c->at;

    if (!left && c->index)
        return false;
    *data = c->frame + c->at;
    *bytes = left < c->s.most ? left : c->s.most;
    memcpy(headers, c->headers, c->s.payload);
    fix_headers(headers, &c->s, c->index, c->at - c->s.payload, *data, *bytes,
                *bytes == left);
    c->at += *bytes;
    c->index++;
    return true;
}

int segment_frame(const uint8_t *frame, size_t bytes, const struct segmentation *s,
                  void (*emit)(void *opaque, const struct iovec *iov, int iovcnt),
                  void *opaque)
{
    struct segments c;
    uint8_t headers[HEADERS_MOST];
    const uint8_t *data;
    size_t part;

    if (segments_begin(&c, frame, bytes, s))
        return -EINVAL;
    while (segments_next(&c, headers, &data, &part)) {
        const struct iovec iov[2] = {{headers, s->payload}, {(void *)data, part}};
        emit(opaque, iov, part ? 2 : 1);
    }
    return (int)c.index;
}

/* ---- segmentation by others ---------------------------------------------------------
 */

int offload_segmentation(uint8_t *frame, size_t bytes, const struct segmentation *s,
                         struct net_offload *o)
{
    if (!s->tcp || !headers_fit(frame, bytes, s))
        return -EINVAL;
    uint8_t *ip = frame + s->network;
    size_t header = s->transport - s->network, length = bytes - s->transport;

    if (s->most > UINT16_MAX || s->payload > UINT16_MAX || header + length > UINT16_MAX)
        return -EMSGSIZE;
    set_ip_length(ip, header, length);
    uint32_t pseudo = pseudo_header(ip, (uint32_t)length, true);
    store_be16(frame + s->transport + TCP_CHECKSUM, (uint16_t)~checksum_fold(pseudo));
    *o = (struct net_offload){
        .sum = true,
        .gso = ip[0] >> 4 == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6,
        .sum_start = (uint16_t)s->transport,
        .sum_offset = TCP_CHECKSUM,
        .header_bytes = (uint16_t)s->payload,
        .mss = (uint16_t)s->most,
    };
    return 0;
}

struct net_offload offload_read(const uint8_t header[NET_HEADER_BYTES])
{
    return (struct net_offload){
        .sum = header[HEADER_FLAGS] & NEEDS_SUM,
        .gso = header[HEADER_GSO] & (uint8_t)~GSO_ECN,
        .ecn = header[HEADER_GSO] & GSO_ECN,
        .header_bytes = load_le16(header + HEADER_BYTES),
        .mss = load_le16(header + HEADER_GSO_SIZE),
        .sum_start = load_le16(header + HEADER_SUM_START),
        .sum_offset = load_le16(header + HEADER_SUM_OFFSET),
    };
}

void offload_write(uint8_t header[NET_HEADER_BYTES], const struct net_offload *o)
{
    header[HEADER_FLAGS] = o->sum ? NEEDS_SUM : 0;
    header[HEADER_GSO] = (uint8_t)(o->gso | (o->ecn ? GSO_ECN : 0));
    store_le16(header + HEADER_BYTES, o->header_bytes);
    store_le16(header + HEADER_GSO_SIZE, o->mss);
    store_le16(header + HEADER_SUM_START, o->sum_start);
    store_le16(header + HEADER_SUM_OFFSET, o->sum_offset);
}

bool offload_plan(const uint8_t *frame, size_t bytes, const struct net_offload *o,
                  struct segmentation *s)
{
    size_t start = o->sum_start;

    if (o->gso == NET_GSO_NONE || bytes < ETH_HEADER || start + TCP_HEADER > bytes)
        return false;
    bool tagged = load_be16(frame + 2 * ETH_ADDRESS) == ETH_TYPE_VLAN;
    *s = (struct segmentation){
        .network = ETH_HEADER + (tagged ? ETH_VLAN : 0u),
        .transport = start,
        .payload = start + (frame[start + TCP_DATA_OFFSET] >> 4) * 4u,
        .most = o->mss,
        .tcp = true,
    };
    return true;
}
