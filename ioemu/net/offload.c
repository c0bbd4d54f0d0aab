/*
 * Checksums, segmentation, addresses; see offload.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "offload.h"

#include <errno.h>
#include <string.h>

enum {
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
    HEADERS_MOST = 256,
    SEGMENTS_MOST = 4096, /* a guest that wants one byte each gets none */
};

uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t bytes)
{
    uint64_t wide = sum;

    while (bytes >= 2) {
        wide += load_be16(data);
        data += 2;
        bytes -= 2;
    }
    if (bytes)
        wide += (uint64_t)data[0] << 8;
    while (wide >> 32)
        wide = (wide & 0xffffffff) + (wide >> 32);
    return (uint32_t)wide;
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

/* Headers of the segment with `data` bytes from `offset` of the payload. */
static void fix_headers(uint8_t *h, const struct segmentation *s, unsigned index,
                        size_t offset, const uint8_t *data, size_t bytes, bool last)
{
    uint8_t *ip = h + s->network, *transport = h + s->transport;
    size_t transport_bytes = s->payload - s->transport + bytes;

    if (ip[0] >> 4 == 4) {
        size_t header = s->transport - s->network;
        store_be16(ip + IP4_LENGTH, (uint16_t)(header + transport_bytes));
        store_be16(ip + IP4_ID, (uint16_t)(load_be16(ip + IP4_ID) + index));
        store_be16(ip + IP4_CHECKSUM, 0);
        store_be16(ip + IP4_CHECKSUM, checksum_fold(checksum_add(0, ip, header)));
    } else {
        size_t after = s->transport - s->network - IP6_HEADER + transport_bytes;
        store_be16(ip + IP6_LENGTH, (uint16_t)after);
    }
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

int segment_frame(const uint8_t *frame, size_t bytes, const struct segmentation *s,
                  void (*emit)(void *opaque, const struct iovec *iov, int iovcnt),
                  void *opaque)
{
    uint8_t headers[HEADERS_MOST];
    unsigned index = 0;

    /* Headers of odd length cannot be summed apart from the data; none exist. */
    if (!headers_fit(frame, bytes, s) || (s->payload - s->transport) % 2 ||
        (bytes - s->payload) / s->most >= SEGMENTS_MOST)
        return -EINVAL;
    for (size_t at = s->payload; at < bytes || !index; at += s->most) {
        size_t part = bytes - at < s->most ? bytes - at : s->most;
        memcpy(headers, frame, s->payload);
        fix_headers(headers, s, index, at - s->payload, frame + at, part,
                    at + part == bytes);
        const struct iovec iov[2] = {{headers, s->payload}, {(void *)(frame + at), part}};
        emit(opaque, iov, part ? 2 : 1);
        index++;
    }
    return (int)index;
}

/* ---- the rest -----------------------------------------------------------------------
 */

uint32_t ethernet_fcs(const uint8_t *frame, size_t bytes)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= frame[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
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
