/*
 * virtio network device (Virtual I/O Device 1.2, section 5.1): one pair of queues and the
 * control queue.  A guest may send 64 KiB at once, without checksums, whatever the back
 * end, and take as much from those that can: what one side cannot the core does.
 * Left out: several queue pairs, UDP segmentation, receive-side coalescing, RSS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../virtio/virtio.h"
#include "ethernet.h"

#define FRAME_MOST     (65536u + 64)
#define CHAINS_AT_ONCE 256u /* for one go; the rest follows from the main loop */
#define TABLE_MOST     64u  /* addresses in the filter */
#define BUFFERS_MOST   64u  /* that one received frame may span */

enum {
    FEATURE_CSUM = 0,
    FEATURE_GUEST_CSUM = 1,
    FEATURE_MAC = 5,
    FEATURE_GUEST_TSO4 = 7,
    FEATURE_GUEST_TSO6 = 8,
    FEATURE_GUEST_ECN = 9,
    FEATURE_HOST_TSO4 = 11,
    FEATURE_HOST_TSO6 = 12,
    FEATURE_HOST_ECN = 13,
    FEATURE_MERGE = 15,
    FEATURE_STATUS = 16,
    FEATURE_CONTROL = 17,
    FEATURE_CONTROL_RX = 18,
    FEATURE_CONTROL_VLAN = 19,
    FEATURE_CONTROL_RX_EXTRA = 20,
    FEATURE_CONTROL_MAC = 23,

    QUEUE_RX = 0,
    QUEUE_TX = 1,
    QUEUE_CONTROL = 2,
    QUEUES = 3,

    CONFIG_MAC = 0,
    CONFIG_STATUS = 6,
    CONFIG_BYTES = 10,
    STATUS_LINK_UP = 1,

    HEADER_BUFFERS = NET_HEADER_BYTES,
    HEADER_SHORT = NET_HEADER_BYTES, /* legacy, without mergeable buffers */
    HEADER_LONG = 12,

    CONTROL_RX = 0,
    CONTROL_MAC = 1,
    CONTROL_VLAN = 2,
    MAC_TABLE_SET = 0,
    MAC_ADDRESS_SET = 1,
    VLAN_ADD = 0,
    VLAN_DELETE = 1,
    CONTROL_OK = 0,
    CONTROL_ERROR = 1,
    VLAN_IDS = 4096,
};

/* Commands of class CONTROL_RX, in their order; each is a switch. */
enum {
    RX_PROMISCUOUS,
    RX_ALL_MULTICAST,
    RX_ALL_UNICAST,
    RX_NO_MULTICAST,
    RX_NO_UNICAST,
    RX_NO_BROADCAST,
    RX_SWITCHES,
};

struct vnet {
    struct virtio virtio;    /* must be first */
    struct net_backend *net; /* options */
    uint8_t given_mac[ETH_ADDRESS];
    const char *rom_file;
    uint32_t queue_size;

    uint8_t mac[ETH_ADDRESS];
    bool rx_switch[RX_SWITCHES];
    uint8_t table[TABLE_MOST][ETH_ADDRESS]; /* unicast first */
    uint32_t table_unicast, table_multicast;
    bool too_many_unicast, too_many_multicast; /* for the table: take all */
    uint32_t vlan[VLAN_IDS / 32];

    struct deferred more_tx;
    struct vq_chain chain;
    uint8_t frame[FRAME_MOST];
};

static struct vnet *to_vnet(struct virtio *v)
{
    return container_of(v, struct vnet, virtio);
}

static size_t header_bytes(const struct vnet *n)
{
    return virtio_has(&n->virtio, VIRTIO_VERSION_1) ||
                   virtio_has(&n->virtio, FEATURE_MERGE)
               ? HEADER_LONG
               : HEADER_SHORT;
}

/* ---- transmit -----------------------------------------------------------------------
 */

/* The frame in n->frame, as its header wants it. */
static bool send_frame(struct vnet *n, const uint8_t *header, size_t bytes)
{
    const struct net_offload o = offload_read(header);

    if (o.gso != NET_GSO_NONE && o.gso != NET_GSO_TCP4 && o.gso != NET_GSO_TCP6)
        return false;
    return !n->net || net_send_offload(n->net, n->frame, bytes, &o);
}

static void transmit_chain(struct vnet *n, struct virtqueue *q)
{
    uint8_t header[HEADER_LONG] = {0};
    size_t skip = header_bytes(n);
    uint64_t bytes = n->chain.out_bytes;

    bool good =
        bytes > skip && bytes - skip <= sizeof(n->frame) &&
        vq_read(q, &n->chain, 0, header, skip) == (ssize_t)skip &&
        vq_read(q, &n->chain, skip, n->frame, bytes - skip) == (ssize_t)(bytes - skip);
    if (!good || !send_frame(n, header, bytes - skip))
        guest_error(&n->virtio.pci.dev, "frame of %llu bytes not sent",
                    (unsigned long long)bytes);
    virtqueue_put(q, n->chain.head, 0);
}

static void transmit(struct vnet *n)
{
    struct virtqueue *q = &n->virtio.queue[QUEUE_TX];
    unsigned count = 0;

    do {
        while (count < CHAINS_AT_ONCE && virtqueue_take(q, &n->chain) > 0) {
            transmit_chain(n, q);
            count++;
        }
        if (count == CHAINS_AT_ONCE) {
            deferred_queue(&n->more_tx);
            break;
        }
        virtqueue_enable_notify(q);
    } while (virtqueue_pending(q));
    virtqueue_signal(q);
}

static void more_tx(void *opaque)
{
    struct vnet *n = opaque;

    if (virtio_running(&n->virtio) || n->virtio.legacy)
        transmit(n);
}

/* ---- receive ------------------------------------------------------------------------
 */

static bool in_table(const struct vnet *n, const uint8_t *address, unsigned first,
                     unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        if (memcmp(n->table[i], address, ETH_ADDRESS) == 0)
            return true;
    }
    return false;
}

static bool vlan_passes(const struct vnet *n, const uint8_t *frame, size_t bytes)
{
    if (!virtio_has(&n->virtio, FEATURE_CONTROL_VLAN) || bytes < ETH_HEADER + 2 ||
        load_be16(frame + 2 * ETH_ADDRESS) != 0x8100)
        return true;
    unsigned id = load_be16(frame + ETH_HEADER) & 0xfff;
    return n->vlan[id / 32] >> (id % 32) & 1;
}

static bool passes(const struct vnet *n, const uint8_t *frame, size_t bytes)
{
    static const uint8_t broadcast[ETH_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (n->rx_switch[RX_PROMISCUOUS])
        return true;
    if (bytes < ETH_HEADER)
        return false;
    if (!vlan_passes(n, frame, bytes))
        return false;
    if (memcmp(frame, broadcast, ETH_ADDRESS) == 0)
        return !n->rx_switch[RX_NO_BROADCAST];
    if (frame[0] & 1)
        return !n->rx_switch[RX_NO_MULTICAST] &&
               (n->rx_switch[RX_ALL_MULTICAST] || n->too_many_multicast ||
                in_table(n, frame, n->table_unicast, n->table_multicast));
    return !n->rx_switch[RX_NO_UNICAST] &&
           (n->rx_switch[RX_ALL_UNICAST] || n->too_many_unicast ||
            memcmp(frame, n->mac, ETH_ADDRESS) == 0 ||
            in_table(n, frame, 0, n->table_unicast));
}

static bool can_receive(void *opaque)
{
    struct vnet *n = opaque;
    struct virtqueue *q = &n->virtio.queue[QUEUE_RX];

    /* Without a driver frames are lost; without buffers they wait. */
    if (!virtio_running(&n->virtio) || !q->ready || virtqueue_pending(q))
        return true;
    virtqueue_enable_notify(q);
    return virtqueue_pending(q);
}

/* Put the header and frame into buffers; how many, or 0: they do not fit. */
static unsigned fill_buffers(struct vnet *n, const uint8_t *frame, size_t bytes,
                             const struct net_offload *o)
{
    struct virtqueue *q = &n->virtio.queue[QUEUE_RX];
    size_t skip = header_bytes(n), done = 0;
    bool merge = virtio_has(&n->virtio, FEATURE_MERGE);
    uint8_t header[HEADER_LONG] = {0};
    struct vq_chain first;
    unsigned count = 0;

    while (count < BUFFERS_MOST && (done < bytes || !count)) {
        struct vq_chain *chain = count ? &n->chain : &first;
        if (virtqueue_take(q, chain) <= 0)
            break;
        size_t start = count ? 0 : skip;
        size_t room = chain->in_bytes > start ? chain->in_bytes - start : 0;
        size_t part = bytes - done < room ? bytes - done : room;
        if (!part || vq_write(q, chain, start, frame + done, part) != (ssize_t)part) {
            virtqueue_untake(q);
            break;
        }
        virtqueue_put_at(q, count, chain->head, (uint32_t)(part + start));
        done += part;
        count++;
        if (!merge)
            break;
    }
    if (count && done == bytes) {
        offload_write(header, o);
        store_le16(header + HEADER_BUFFERS, (uint16_t)count);
        if (vq_write(q, &first, 0, header, skip) == (ssize_t)skip)
            return count;
    }
    while (count--)
        virtqueue_untake(q);
    return 0;
}

/* A driver fills its ring at the latest when half of it is empty: what does not fit into
 * more buffers than that never will. */
static bool receive_offload(void *opaque, const uint8_t *frame, size_t bytes,
                            const struct net_offload *o)
{
    struct vnet *n = opaque;
    struct virtqueue *q = &n->virtio.queue[QUEUE_RX];

    /* No padding: a virtio device has no wire, and QEMU's tests send very short frames.
     */
    if (!virtio_running(&n->virtio) || (bytes >= ETH_HEADER && !passes(n, frame, bytes)))
        return true;
    unsigned count = fill_buffers(n, frame, bytes, o);
    if (!count) {
        virtqueue_enable_notify(q);
        if (virtqueue_waiting(q) <= q->size / 2)
            return false;
        count = fill_buffers(n, frame, bytes, o);
    }
    if (!count) {
        guest_error(&n->virtio.pci.dev, "no buffers for a frame of %zu bytes", bytes);
        return true;
    }
    virtqueue_publish(q, count);
    virtqueue_signal(q);
    return true;
}

static void receive(void *opaque, const uint8_t *frame, size_t bytes)
{
    static const struct net_offload nothing;

    receive_offload(opaque, frame, bytes, &nothing);
}

static unsigned takes(void *opaque)
{
    const struct virtio *v = &((struct vnet *)opaque)->virtio;

    return (virtio_has(v, FEATURE_GUEST_CSUM) ? NET_TAKES_SUM : 0u) |
           (virtio_has(v, FEATURE_GUEST_TSO4) ? NET_TAKES_TCP4 : 0u) |
           (virtio_has(v, FEATURE_GUEST_TSO6) ? NET_TAKES_TCP6 : 0u) |
           (virtio_has(v, FEATURE_GUEST_ECN) ? NET_TAKES_ECN : 0u);
}

static void set_link(struct vnet *n, bool up)
{
    store_le16(n->virtio.config + CONFIG_STATUS, up ? STATUS_LINK_UP : 0);
}

static void link_changed(void *opaque, bool up)
{
    struct vnet *n = opaque;

    set_link(n, up);
    virtio_config_changed(&n->virtio);
}

static const struct net_front_ops front = {
    .can_receive = can_receive,
    .receive = receive,
    .link_changed = link_changed,
    .takes = takes,
    .receive_offload = receive_offload,
};

/* ---- control ------------------------------------------------------------------------
 */

/* One list of addresses: their number, then they.  Returns the bytes it took, 0: bad. */
static uint64_t take_list(struct vnet *n, struct virtqueue *q, uint64_t at,
                          unsigned first, uint32_t *count, bool *too_many)
{
    uint8_t raw[4];

    if (vq_read(q, &n->chain, at, raw, 4) != 4)
        return 0;
    uint32_t entries = load_le32(raw);
    uint64_t bytes = (uint64_t)entries * ETH_ADDRESS;
    if (at + 4 + bytes > n->chain.out_bytes)
        return 0;
    *too_many = entries > TABLE_MOST - first;
    *count = *too_many ? 0 : entries;
    size_t wanted = (size_t)*count * ETH_ADDRESS;
    if (vq_read(q, &n->chain, at + 4, n->table[first], wanted) != (ssize_t)wanted)
        return 0;
    return 4 + bytes;
}

static uint8_t set_table(struct vnet *n, struct virtqueue *q)
{
    n->table_unicast = n->table_multicast = 0;
    uint64_t used = take_list(n, q, 2, 0, &n->table_unicast, &n->too_many_unicast);
    if (!used || !take_list(n, q, 2 + used, n->table_unicast, &n->table_multicast,
                            &n->too_many_multicast)) {
        n->table_unicast = n->table_multicast = 0;
        return CONTROL_ERROR;
    }
    return CONTROL_OK;
}

static uint8_t control_mac(struct vnet *n, struct virtqueue *q, uint8_t command)
{
    uint8_t mac[ETH_ADDRESS];

    if (command == MAC_TABLE_SET)
        return set_table(n, q);
    if (command != MAC_ADDRESS_SET ||
        vq_read(q, &n->chain, 2, mac, sizeof(mac)) != sizeof(mac))
        return CONTROL_ERROR;
    memcpy(n->mac, mac, sizeof(mac));
    memcpy(n->virtio.config + CONFIG_MAC, mac, sizeof(mac));
    return CONTROL_OK;
}

static uint8_t control_vlan(struct vnet *n, struct virtqueue *q, uint8_t command)
{
    uint8_t raw[2];

    if (vq_read(q, &n->chain, 2, raw, 2) != 2 || load_le16(raw) >= VLAN_IDS)
        return CONTROL_ERROR;
    uint32_t *word = &n->vlan[load_le16(raw) / 32], bit = 1u << (load_le16(raw) % 32);
    if (command == VLAN_ADD)
        *word |= bit;
    else if (command == VLAN_DELETE)
        *word &= ~bit;
    else
        return CONTROL_ERROR;
    return CONTROL_OK;
}

static uint8_t control_command(struct vnet *n, struct virtqueue *q)
{
    uint8_t head[2], on;

    if (vq_read(q, &n->chain, 0, head, 2) != 2)
        return CONTROL_ERROR;
    switch (head[0]) {
    case CONTROL_RX:
        if (head[1] >= RX_SWITCHES || vq_read(q, &n->chain, 2, &on, 1) != 1)
            return CONTROL_ERROR;
        n->rx_switch[head[1]] = on;
        return CONTROL_OK;
    case CONTROL_MAC:
        return control_mac(n, q, head[1]);
    case CONTROL_VLAN:
        return control_vlan(n, q, head[1]);
    default:
        return CONTROL_ERROR;
    }
}

static void control(struct vnet *n, struct virtqueue *q)
{
    do {
        while (virtqueue_take(q, &n->chain) > 0) {
            if (!n->chain.in_bytes) {
                virtio_break(&n->virtio, "control request without room for the answer");
                return;
            }
            uint8_t ack = control_command(n, q);
            vq_write(q, &n->chain, n->chain.in_bytes - 1, &ack, 1);
            virtqueue_put(q, n->chain.head, 1);
        }
        virtqueue_enable_notify(q);
    } while (virtqueue_pending(q));
    virtqueue_signal(q);
}

/* ---- life cycle ---------------------------------------------------------------------
 */

static void vnet_notify(struct virtio *v, struct virtqueue *q)
{
    struct vnet *n = to_vnet(v);

    if (q->index == QUEUE_TX)
        transmit(n);
    else if (q->index == QUEUE_CONTROL)
        control(n, q);
    else if (n->net)
        net_accept_input(n->net);
}

static void vnet_reset_queues(struct virtio *v)
{
    struct vnet *n = to_vnet(v);

    deferred_cancel(&n->more_tx);
    memset(n->rx_switch, 0, sizeof(n->rx_switch));
    /* A driver that knows no control queue gets everything. */
    n->rx_switch[RX_PROMISCUOUS] = true;
    n->table_unicast = n->table_multicast = 0;
    n->too_many_unicast = n->too_many_multicast = false;
    memset(n->vlan, 0, sizeof(n->vlan));
    memcpy(n->mac, n->given_mac, ETH_ADDRESS);
    memcpy(v->config + CONFIG_MAC, n->mac, ETH_ADDRESS);
    set_link(n, n->net && net_link_up(n->net));
}

/* Legacy drivers set the address by writing it here. */
static void vnet_config_written(struct virtio *v, unsigned offset, unsigned size)
{
    struct vnet *n = to_vnet(v);

    if (v->legacy && !virtio_has(v, FEATURE_CONTROL_MAC))
        memcpy(n->mac, v->config + CONFIG_MAC, ETH_ADDRESS);
    else
        memcpy(v->config + CONFIG_MAC, n->mac, ETH_ADDRESS);
}

static const struct virtio_ops vnet_virtio_ops = {
    .type = VIRTIO_NET,
    .class_code = 0x020000,
    .config_bytes = CONFIG_BYTES,
    .notify = vnet_notify,
    .reset = vnet_reset_queues,
    .config_written = vnet_config_written,
};

static struct vnet *of_device(struct device *dev)
{
    return container_of(to_pci(dev), struct vnet, virtio.pci);
}

static int vnet_create(struct device *dev, struct error *error)
{
    struct vnet *n = of_device(dev);

    if (mac_is_zero(n->given_mac))
        default_mac(dev, n->given_mac);
    memcpy(n->mac, n->given_mac, ETH_ADDRESS);
    n->virtio.offered =
        1u << FEATURE_CSUM | 1u << FEATURE_GUEST_CSUM | 1u << FEATURE_MAC |
        1u << FEATURE_GUEST_TSO4 | 1u << FEATURE_GUEST_TSO6 | 1u << FEATURE_GUEST_ECN |
        1u << FEATURE_HOST_TSO4 | 1u << FEATURE_HOST_TSO6 | 1u << FEATURE_HOST_ECN |
        1u << FEATURE_MERGE | 1u << FEATURE_STATUS | 1u << FEATURE_CONTROL |
        1u << FEATURE_CONTROL_RX | 1u << FEATURE_CONTROL_VLAN |
        1u << FEATURE_CONTROL_RX_EXTRA | 1u << FEATURE_CONTROL_MAC;
    memset(n->virtio.config_writable + CONFIG_MAC, 0xff, ETH_ADDRESS);
    deferred_init(&n->more_tx, dev, more_tx, n);
    int err = virtio_create(&n->virtio, &vnet_virtio_ops, QUEUES, n->queue_size, error);
    if (err)
        return err;
    if (*n->rom_file)
        err = pci_rom_file(&n->virtio.pci, n->rom_file, error);
    if (!err && n->net && (err = net_attach(n->net, &front, n)))
        error_set(error, err, "%s: that netdev belongs to another device", dev->id);
    if (err)
        virtio_destroy(&n->virtio);
    return err;
}

static void vnet_destroy(struct device *dev)
{
    struct vnet *n = of_device(dev);

    if (n->net)
        net_detach(n->net);
    deferred_cancel(&n->more_tx);
    virtio_destroy(&n->virtio);
}

static void vnet_reset(struct device *dev)
{
    virtio_reset(&of_device(dev)->virtio);
}

static void vnet_start(struct device *dev)
{
    virtio_kick_all(&of_device(dev)->virtio);
}

static int vnet_state(struct vnet *n, struct state *state)
{
    uint32_t unicast = n->table_unicast, multicast = n->table_multicast;

    virtio_state(&n->virtio, state);
    state_bytes(state, "mac", n->mac, sizeof(n->mac));
    for (unsigned i = 0; i < RX_SWITCHES; i++)
        state_bool(state, "switch", &n->rx_switch[i]);
    state_bytes(state, "table", n->table, sizeof(n->table));
    state_range(state, "unicast", &unicast, 0, TABLE_MOST);
    state_range(state, "multicast", &multicast, 0, TABLE_MOST);
    state_bool(state, "all-unicast", &n->too_many_unicast);
    state_bool(state, "all-multicast", &n->too_many_multicast);
    for (unsigned i = 0; i < ARRAY_LEN(n->vlan); i++)
        state_u32(state, "vlan", &n->vlan[i]);
    if (state_error(state))
        return state_error(state);
    if (unicast + multicast > TABLE_MOST)
        return state_fail(state, "%u and %u addresses", unicast, multicast);
    n->table_unicast = unicast;
    n->table_multicast = multicast;
    return 0;
}

static int vnet_save(struct device *dev, struct state *state)
{
    return vnet_state(of_device(dev), state);
}

static int vnet_load(struct device *dev, struct state *state, uint32_t version)
{
    struct vnet *n = of_device(dev);
    int err = vnet_state(n, state);

    set_link(n, n->net && net_link_up(n->net));
    return err;
}

static const struct option_desc vnet_options[] = {
    OPTION("netdev", NET, struct vnet, net, NULL, "back end; none: the link is down"),
    OPTION("mac", MAC, struct vnet, given_mac, NULL, "address; none: from the UUID"),
    OPTION("romfile", STRING, struct vnet, rom_file, "efi-virtio.rom", "network boot"),
    OPTION("queue-size", U32, struct vnet, queue_size, "256", "entries of a queue"),
    VIRTIO_OPTIONS(struct vnet),
    {0},
};

static const struct device_ops vnet_ops = {
    .name = "virtio-net-pci",
    .alias = "virtio-net",
    .bus = BUS_PCI,
    .hotplug = true,
    .size = sizeof(struct vnet),
    .version = 1,
    .options = vnet_options,
    .create = vnet_create,
    .reset = vnet_reset,
    .start = vnet_start,
    .save = vnet_save,
    .load = vnet_load,
    .destroy = vnet_destroy,
};

REGISTER_DEVICE(vnet_ops);
