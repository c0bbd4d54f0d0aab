/*
 * QEMU's firmware configuration device (docs/specs/fw_cfg of QEMU): selector at port
 * 0x510, data at 0x511, DMA at 0x514.  What it shows is in devmodel/fwcfg.c.  Items are
 * read-only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "../../devmodel/device.h"

enum {
    BASE = 0x510,
    BYTES = 12,
    SELECTOR = 0,
    DATA = 1,
    DMA_HIGH = 4,
    DMA_LOW = 8,

    DMA_ERROR = 1 << 0,
    DMA_READ = 1 << 1,
    DMA_SKIP = 1 << 2,
    DMA_SELECT = 1 << 3,
    DMA_WRITE = 1 << 4,

    KEY_WRITE = 1 << 14, /* asks for writing; nothing here is writable */
};

struct fw_cfg {
    struct device dev;
    struct io_region ports;
    uint16_t key;
    uint32_t offset;
    uint32_t dma_high;
};

static void select_key(struct fw_cfg *s, uint16_t key)
{
    s->key = key & (uint16_t)~KEY_WRITE;
    s->offset = 0;
}

static uint8_t read_byte(struct fw_cfg *s)
{
    size_t bytes;
    const uint8_t *data = fwcfg_get(&s->dev, s->key, &bytes);

    return data && s->offset < bytes ? data[s->offset++] : 0;
}

/* Copy to the guest; behind the end of the item there are zeroes. */
static int dma_copy(struct fw_cfg *s, uint64_t address, uint32_t length)
{
    static const uint8_t zeroes[4096];
    size_t bytes;
    const uint8_t *data = fwcfg_get(&s->dev, s->key, &bytes);
    size_t left = data && s->offset < bytes ? bytes - s->offset : 0;
    uint32_t piece = length < left ? length : (uint32_t)left;
    int err = piece ? dma_write(&s->dev, address, data + s->offset, piece) : 0;

    s->offset += piece;
    while (!err && piece < length) {
        uint32_t rest = length - piece;
        if (rest > sizeof(zeroes))
            rest = sizeof(zeroes);
        err = dma_write(&s->dev, address + piece, zeroes, rest);
        piece += rest;
    }
    return err;
}

/* FWCfgDmaAccess: u32 control, u32 length, u64 address; all big-endian. */
static void dma(struct fw_cfg *s, uint64_t gpa)
{
    uint8_t request[16], result[4] = {0};
    uint32_t status = 0;

    if (dma_read(&s->dev, gpa, request, sizeof(request))) {
        guest_error(&s->dev, "DMA request at %#llx is not in memory",
                    (unsigned long long)gpa);
        return;
    }
    uint32_t control = load_be32(request), length = load_be32(request + 4);
    if (control & DMA_SELECT)
        select_key(s, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        if (dma_copy(s, load_be64(request + 8), length))
            status = DMA_ERROR;
    } else if (control & DMA_WRITE) {
        status = DMA_ERROR;
    } else if (control & DMA_SKIP) {
        s->offset = length < UINT32_MAX - s->offset ? s->offset + length : UINT32_MAX;
    }
    store_be32(result, status);
    dma_write(&s->dev, gpa, result, sizeof(result));
}

static uint64_t fw_cfg_read(void *opaque, uint64_t offset, unsigned size)
{
    static const uint8_t signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};
    struct fw_cfg *s = opaque;
    uint64_t value = 0;

    if (offset >= DMA_HIGH) {
        if (offset + size <= BYTES)
            memcpy(&value, signature + (offset - DMA_HIGH), size);
        return value;
    }
    if (offset <= DATA && size == 1)
        return read_byte(s);
    return 0;
}

static void fw_cfg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *s = opaque;

    if (offset == SELECTOR && size == 2) {
        select_key(s, (uint16_t)value);
    } else if (offset == DMA_HIGH && size == 4) {
        s->dma_high = __builtin_bswap32((uint32_t)value);
    } else if (offset == DMA_LOW && size == 4) {
        uint64_t gpa = (uint64_t)s->dma_high << 32 | __builtin_bswap32((uint32_t)value);
        s->dma_high = 0;
        dma(s, gpa);
    }
}

static unsigned fw_cfg_read_string(void *opaque, uint64_t offset, unsigned size,
                                   void *buffer, unsigned count)
{
    struct fw_cfg *s = opaque;
    size_t bytes;
    const uint8_t *data = fwcfg_get(&s->dev, s->key, &bytes);
    size_t left = data && s->offset < bytes ? bytes - s->offset : 0;
    unsigned moved = count < left ? count : (unsigned)left;

    if (offset != DATA || size != 1 || !moved)
        return 0;
    memcpy(buffer, data + s->offset, moved);
    s->offset += moved;
    return moved;
}

static const struct io_ops fw_cfg_io = {
    .read = fw_cfg_read,
    .read_string = fw_cfg_read_string,
    .write = fw_cfg_write,
};

static void fw_cfg_reset(struct device *dev)
{
    struct fw_cfg *s = (struct fw_cfg *)dev;

    select_key(s, 0);
    s->dma_high = 0;
}

static int fw_cfg_create(struct device *dev, struct error *error)
{
    struct fw_cfg *s = (struct fw_cfg *)dev;

    io_region_init(&s->ports, dev, "fw_cfg", IO_PORT, BYTES, &fw_cfg_io, s);
    return io_region_map(&s->ports, BASE);
}

static int fw_cfg_state(struct device *dev, struct state *state)
{
    struct fw_cfg *s = (struct fw_cfg *)dev;

    state_u16(state, "key", &s->key);
    state_u32(state, "offset", &s->offset);
    return state_u32(state, "dma-high", &s->dma_high);
}

static int fw_cfg_load(struct device *dev, struct state *state, uint32_t version)
{
    return fw_cfg_state(dev, state);
}

static void fw_cfg_destroy(struct device *dev)
{
    io_region_unmap(&((struct fw_cfg *)dev)->ports);
}

static const struct device_ops fw_cfg_ops = {
    .name = "fw_cfg",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct fw_cfg),
    .version = 1,
    .create = fw_cfg_create,
    .reset = fw_cfg_reset,
    .save = fw_cfg_state,
    .load = fw_cfg_load,
    .destroy = fw_cfg_destroy,
};
REGISTER_DEVICE(fw_cfg_ops);
