/*
 * PIIX3 IDE controller, function 1 (Intel 82371SB datasheet 290550, 2.3 and 2.7), in
 * compatibility mode: two channels at 1F0/3F6 and 170/376 with interrupts 14 and 15, and
 * the bus master ("Programming Interface for Bus Master IDE Controller", 1.0).
 *
 * The timing registers hold what is written; the channels always decode.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "ide.h"

enum {
    CHANNELS = 2,
    BM_CHANNEL = 8, /* bytes of registers of one channel */
    BM_COMMAND_REG = 0,
    BM_STATUS_REG = 2,
    BM_TABLE_REG = 4,
    BM_CAPABLE = 0x60, /* drive 0/1 DMA capable: for software's use */

    PRD_BYTES = 8,
    PRD_TABLE_MOST = 65536 / PRD_BYTES,
    PRD_WHOLE = 65536, /* what a byte count of 0 means */

    REG_DATA = 0,
    REG_ERROR = 1, /* written: features */
    REG_COUNT = 2,
    REG_LBA_LOW = 3,
    REG_LBA_MID = 4,
    REG_LBA_HIGH = 5,
    REG_DEVICE = 6,
    REG_STATUS = 7, /* written: command */

    COMMAND_DIAGNOSTIC = 0x90,
};

static const uint16_t command_port[CHANNELS] = {0x1f0, 0x170};
static const uint16_t control_port[CHANNELS] = {0x3f6, 0x376};

struct piix_ide {
    struct pci_device pci;
    struct ide_channel channel[CHANNELS];
    struct io_region bus_master;
};

/* ---- interrupt ----------------------------------------------------------------------
 */

static void update_irq(struct ide_channel *c)
{
    irq_set(&c->irq, c->interrupt && !(c->control & CTL_NIEN));
}

static void clear_interrupt(struct ide_channel *c)
{
    c->interrupt = false;
    update_irq(c);
}

void ide_interrupt(struct ide_drive *d)
{
    struct ide_channel *c = d->channel;

    c->interrupt = true;
    if (!(c->control & CTL_NIEN))
        c->bm_status |= BM_INTERRUPT;
    update_irq(c);
}

/* ---- physical region descriptors ----------------------------------------------------
 */

static void prd_rewind(struct ide_channel *c)
{
    c->prd_next = c->bm_table;
    c->prd_left = 0;
    c->prd_count = 0;
    c->prd_last = false;
}

/* Load the next descriptor; false: there is none. */
static bool prd_load(struct ide_channel *c)
{
    uint8_t prd[PRD_BYTES];

    if (c->prd_last || c->prd_count == PRD_TABLE_MOST)
        return false;
    int err = dma_read(c->controller, c->prd_next, prd, sizeof(prd));
    if (err == -EFAULT)
        return false;
    if (err) /* bus mastering is off: the bus gives nothing */
        memset(prd, 0, sizeof(prd));
    c->prd_next += PRD_BYTES;
    c->prd_count++;
    c->prd_address = load_le32(prd) & ~1u;
    c->prd_left = load_le16(prd + 4) & ~1u;
    if (!c->prd_left)
        c->prd_left = PRD_WHOLE;
    c->prd_last = prd[7] & 0x80;
    return true;
}

uint64_t ide_dma_bytes(struct ide_channel *c, uint64_t enough)
{
    uint64_t bytes = 0;

    prd_rewind(c);
    while (bytes < enough && prd_load(c))
        bytes += c->prd_left;
    prd_rewind(c);
    return bytes;
}

int ide_dma_copy(struct ide_channel *c, void *buffer, uint32_t bytes, bool to_memory)
{
    uint8_t *at = buffer;
    int result = 0;

    while (bytes) {
        if (!c->prd_left && !prd_load(c))
            return -ENOSPC;
        uint32_t piece = bytes < c->prd_left ? bytes : c->prd_left;
        int err = to_memory ? dma_write(c->controller, c->prd_address, at, piece)
                            : dma_read(c->controller, c->prd_address, at, piece);
        if (err && !result)
            result = err;
        c->prd_address += piece;
        c->prd_left -= piece;
        at += piece;
        bytes -= piece;
    }
    /* A bus that is switched off loses the data and tells nobody. */
    return result == -EACCES ? 0 : result;
}

void ide_dma_end(struct ide_channel *c, bool error)
{
    if (error)
        c->bm_status |= BM_ERROR;
    if (error || (!c->prd_left && (c->prd_last || c->prd_count == PRD_TABLE_MOST)))
        c->bm_status &= (uint8_t)~BM_ACTIVE;
}

void ide_dma_short(struct ide_channel *c)
{
    c->bm_status &= (uint8_t)~BM_ACTIVE;
}

/* ---- bus master registers -----------------------------------------------------------
 */

void ide_dma_wait(struct ide_drive *d, enum dma_kind kind)
{
    d->dma = kind;
    if (d->channel->bm_status & BM_ACTIVE)
        ide_dma_go(d);
}

static void bm_start(struct ide_channel *c)
{
    struct ide_drive *d = c->drive[c->selected];

    c->bm_status |= BM_ACTIVE;
    prd_rewind(c);
    if (d && d->dma != DMA_NONE && !d->busy)
        ide_dma_go(d);
}

/* Software stops: what is under way finishes first, so that memory is quiet afterwards.
 */
static void bm_stop(struct ide_channel *c)
{
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *d = c->drive[n];
        while (d && d->dma != DMA_NONE && d->busy)
            block_drain(d->blk);
    }
    c->bm_status &= (uint8_t)~BM_ACTIVE;
}

static uint64_t bm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix_ide *s = opaque;
    struct ide_channel *c = &s->channel[offset / BM_CHANNEL];
    unsigned reg = offset % BM_CHANNEL;

    if (reg == BM_COMMAND_REG)
        return c->bm_command;
    if (reg == BM_STATUS_REG)
        return c->bm_status;
    if (reg >= BM_TABLE_REG)
        return c->bm_table >> (reg - BM_TABLE_REG) * 8 & 0xff;
    return 0xff;
}

static void write_bm_command(struct ide_channel *c, uint8_t value)
{
    uint8_t changed = (c->bm_command ^ value) & BM_START;

    c->bm_command = value & (BM_START | BM_TO_MEMORY);
    if (changed && value & BM_START)
        bm_start(c);
    else if (changed)
        bm_stop(c);
}

static void bm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix_ide *s = opaque;
    struct ide_channel *c = &s->channel[offset / BM_CHANNEL];
    unsigned reg = offset % BM_CHANNEL;
    uint8_t byte = (uint8_t)value;

    if (reg == BM_COMMAND_REG) {
        write_bm_command(c, byte);
    } else if (reg == BM_STATUS_REG) {
        c->bm_status &= (uint8_t) ~(byte & (BM_ERROR | BM_INTERRUPT));
        c->bm_status = (uint8_t)((c->bm_status & ~BM_CAPABLE) | (byte & BM_CAPABLE));
    } else if (reg >= BM_TABLE_REG) {
        unsigned shift = (reg - BM_TABLE_REG) * 8;
        c->bm_table = (c->bm_table & ~(0xffu << shift)) | (uint32_t)byte << shift;
        c->bm_table &= ~3u;
    }
}

static const struct io_ops bm_ops = {
    .read = bm_read,
    .write = bm_write,
    .max_size = 1,
};

/* ---- task file ----------------------------------------------------------------------
 */

static uint32_t read_data(struct ide_drive *d, unsigned size)
{
    uint32_t value = 0, left = d->end - d->at;

    if (!(d->status & ST_DRQ) || !left)
        return 0;
    memcpy(&value, d->buffer + d->at, size < left ? size : left);
    d->at += size < left ? size : left;
    if (d->at == d->end)
        ide_pio_end(d);
    return value;
}

static void write_data(struct ide_drive *d, unsigned size, uint32_t value)
{
    uint32_t left = d->end - d->at;

    if (!(d->status & ST_DRQ) || !left)
        return;
    memcpy(d->buffer + d->at, &value, size < left ? size : left);
    d->at += size < left ? size : left;
    if (d->at == d->end)
        ide_pio_end(d);
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide_channel *c = opaque;
    struct ide_drive *d = c->drive[c->selected];
    bool hob = c->control & CTL_HOB;

    if (!d)
        return offset == REG_DEVICE ? DEV_OBSOLETE | c->selected * DEV_SLAVE : 0;
    switch (offset) {
    case REG_DATA:
        return read_data(d, size);
    case REG_ERROR:
        return d->error;
    case REG_COUNT:
        return hob ? d->hob_count : d->count;
    case REG_LBA_LOW:
        return hob ? d->hob_low : d->lba_low;
    case REG_LBA_MID:
        return hob ? d->hob_mid : d->lba_mid;
    case REG_LBA_HIGH:
        return hob ? d->hob_high : d->lba_high;
    case REG_DEVICE:
        return d->device;
    case REG_STATUS:
        clear_interrupt(c);
        return d->status;
    default:
        return 0xff;
    }
}

static void write_register(struct ide_drive *d, unsigned reg, uint8_t value)
{
    switch (reg) {
    case REG_ERROR:
        d->hob_feature = d->feature;
        d->feature = value;
        break;
    case REG_COUNT:
        d->hob_count = d->count;
        d->count = value;
        break;
    case REG_LBA_LOW:
        d->hob_low = d->lba_low;
        d->lba_low = value;
        break;
    case REG_LBA_MID:
        d->hob_mid = d->lba_mid;
        d->lba_mid = value;
        break;
    case REG_LBA_HIGH:
        d->hob_high = d->lba_high;
        d->lba_high = value;
        break;
    case REG_DEVICE:
        d->device = value | DEV_OBSOLETE;
        break;
    default:
        break;
    }
}

/* EXECUTE DEVICE DIAGNOSTIC is for both drives and selects drive 0 (8.9). */
static void run_diagnostic(struct ide_channel *c)
{
    c->selected = 0;
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *d = c->drive[n];
        if (!d)
            continue;
        ide_cancel(d);
        ide_set_signature(d);
        d->error = 1; /* passed, and no drive 1 that failed */
        if (!d->cdrom)
            d->status = ST_DRDY | ST_DSC;
    }
    if (c->drive[0])
        ide_interrupt(c->drive[0]);
}

static void write_command(struct ide_channel *c, uint8_t value)
{
    struct ide_drive *d = c->drive[c->selected];

    clear_interrupt(c);
    if (value == COMMAND_DIAGNOSTIC)
        run_diagnostic(c);
    else if (d)
        ide_command(d, value);
}

static void command_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_channel *c = opaque;
    struct ide_drive *d = c->drive[c->selected];

    c->control &= (uint8_t)~CTL_HOB; /* any command block write clears it */
    if (offset == REG_DATA) {
        if (d)
            write_data(d, size, (uint32_t)value);
        return;
    }
    if (offset == REG_STATUS) {
        write_command(c, (uint8_t)value);
        return;
    }
    /* Both drives see writes, unless one is at work. */
    for (unsigned n = 0; n < 2; n++) {
        if (c->drive[n] && !(c->drive[n]->status & (ST_BSY | ST_DRQ)))
            write_register(c->drive[n], (unsigned)offset, (uint8_t)value);
    }
    if (offset == REG_DEVICE && !(d && d->status & (ST_BSY | ST_DRQ)))
        c->selected = !!(value & DEV_SLAVE);
}

static uint64_t command_read_any(void *opaque, uint64_t offset, unsigned size)
{
    if (offset == REG_DATA)
        return command_read(opaque, offset, size);
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (command_read(opaque, offset + i, 1) & 0xff) << (i * 8);
    return value;
}

static void command_write_any(void *opaque, uint64_t offset, unsigned size,
                              uint64_t value)
{
    if (offset == REG_DATA) {
        command_write(opaque, offset, size, value);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        command_write(opaque, offset + i, 1, value >> (i * 8) & 0xff);
}

static unsigned data_string(struct ide_channel *c, uint64_t offset, unsigned size,
                            struct ide_drive **drive, unsigned count)
{
    struct ide_drive *d = c->drive[c->selected];

    if (offset != REG_DATA || size == 1 || !d || !(d->status & ST_DRQ))
        return 0;
    *drive = d;
    uint32_t whole = (d->end - d->at) / size;
    return count < whole ? count : whole;
}

static unsigned data_read_string(void *opaque, uint64_t offset, unsigned size,
                                 void *buffer, unsigned count)
{
    struct ide_drive *d = NULL;
    unsigned moved = data_string(opaque, offset, size, &d, count);

    if (!moved)
        return 0;
    memcpy(buffer, d->buffer + d->at, (size_t)moved * size);
    d->at += moved * size;
    if (d->at == d->end)
        ide_pio_end(d);
    return moved;
}

static unsigned data_write_string(void *opaque, uint64_t offset, unsigned size,
                                  const void *buffer, unsigned count)
{
    struct ide_drive *d = NULL;
    unsigned moved = data_string(opaque, offset, size, &d, count);

    if (!moved)
        return 0;
    memcpy(d->buffer + d->at, buffer, (size_t)moved * size);
    d->at += moved * size;
    if (d->at == d->end)
        ide_pio_end(d);
    return moved;
}

static const struct io_ops command_ops = {
    .read = command_read_any,
    .write = command_write_any,
    .read_string = data_read_string,
    .write_string = data_write_string,
};

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct ide_channel *c = opaque;
    const struct ide_drive *d = c->drive[c->selected];

    return d ? d->status : 0; /* alternate status: the interrupt stays */
}

static void control_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_channel *c = opaque;
    uint8_t old = c->control;

    c->control = (uint8_t)value;
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *d = c->drive[n];
        if (!d)
            continue;
        if (!(old & CTL_SRST) && value & CTL_SRST) {
            ide_cancel(d);
            d->status = ST_BSY;
            d->dma = DMA_NONE;
        } else if (old & CTL_SRST && !(value & CTL_SRST)) {
            ide_set_signature(d);
            d->status = d->cdrom ? 0 : ST_DRDY | ST_DSC;
            d->error = 1;
            c->selected = 0;
        }
    }
    if (value & CTL_SRST)
        c->interrupt = false;
    update_irq(c);
}

static const struct io_ops control_ops = {
    .read = control_read,
    .write = control_write,
    .max_size = 1,
};

/* ---- controller ---------------------------------------------------------------------
 */

int ide_attach(struct device *controller, struct ide_drive *d)
{
    struct piix_ide *s = (struct piix_ide *)controller;
    struct ide_channel *c = &s->channel[d->dev.unit / 2];

    if (strcmp(controller->ops->name, "piix3-ide") != 0)
        return -ENODEV;
    if (c->drive[d->dev.unit % 2])
        return -EBUSY;
    c->drive[d->dev.unit % 2] = d;
    d->channel = c;
    return 0;
}

void ide_hide(struct ide_drive *d)
{
    struct ide_drive **place = &d->channel->drive[d->dev.unit % 2];

    if (*place == d)
        *place = NULL;
}

void ide_detach(struct ide_drive *d)
{
    if (d->channel)
        ide_hide(d);
    d->channel = NULL;
}

static void channel_reset(struct ide_channel *c)
{
    c->selected = 0;
    c->control = 0;
    c->bm_command = c->bm_status = 0;
    c->bm_table = 0;
    prd_rewind(c);
    clear_interrupt(c);
}

static void piix_ide_reset(struct device *dev)
{
    struct piix_ide *s = (struct piix_ide *)dev;

    for (unsigned n = 0; n < CHANNELS; n++) {
        for (unsigned i = 0; i < 2; i++) {
            if (s->channel[n].drive[i])
                ide_cancel(s->channel[n].drive[i]);
        }
        channel_reset(&s->channel[n]);
    }
    pci_set16(&s->pci, 0x06, 0x0280);
    /* The bits by which firmware enables the channels are among them. After S3 it does
     * not do that again, and drivers leave a channel alone that is not enabled. */
    if (!machine_asleep(dev))
        memset(&s->pci.config[0x40], 0, 8);
}

static void unmap_ports(struct piix_ide *s)
{
    for (unsigned n = 0; n < CHANNELS; n++) {
        io_region_unmap(&s->channel[n].command_block);
        io_region_unmap(&s->channel[n].control_block);
    }
}

static int map_channel(struct piix_ide *s, unsigned n)
{
    struct ide_channel *c = &s->channel[n];
    struct device *dev = &s->pci.dev;

    c->controller = dev;
    c->number = n;
    irq_line_init(&c->irq, dev, 14 + n);
    io_region_init(&c->command_block, dev, "ide", IO_PORT, 8, &command_ops, c);
    io_region_init(&c->control_block, dev, "ide-control", IO_PORT, 1, &control_ops, c);
    int err = io_region_map(&c->command_block, command_port[n]);
    return err ? err : io_region_map(&c->control_block, control_port[n]);
}

static int piix_ide_create(struct device *dev, struct error *error)
{
    struct piix_ide *s = (struct piix_ide *)dev;
    int err = 0;

    pci_setup(&s->pci, &(struct pci_ids){
                           .vendor = 0x8086,
                           .device = 0x7010,
                           .subsystem_vendor = 0x1af4,
                           .subsystem = 0x1100,
                           .class_code = 0x010180, /* both channels legacy, bus master */
                       });
    s->pci.writable[0x04] = 0x07; /* memory space is there for software that insists */
    s->pci.writable[0x0c] = 0;
    s->pci.writable[0x0d] = 0xf0;
    s->pci.writable[0x3c] = 0;
    memset(&s->pci.writable[0x40], 0xff, 5);
    io_region_init(&s->bus_master, dev, "bus-master", IO_PORT, CHANNELS * BM_CHANNEL,
                   &bm_ops, s);
    pci_bar_region(&s->pci, 4, &s->bus_master, 0);
    for (unsigned n = 0; !err && n < CHANNELS; n++)
        err = map_channel(s, n);
    if (err)
        unmap_ports(s);
    return err;
}

static int channel_state(struct ide_channel *c, struct state *state)
{
    uint32_t selected = c->selected;

    state_range(state, "selected", &selected, 0, 1);
    state_u8(state, "control", &c->control);
    state_bool(state, "interrupt", &c->interrupt);
    state_u8(state, "bm-command", &c->bm_command);
    state_u8(state, "bm-status", &c->bm_status);
    int err = state_u32(state, "bm-table", &c->bm_table);
    if (!err && state_loading(state)) {
        c->selected = selected;
        prd_rewind(c);
        update_irq(c);
    }
    return err;
}

static int piix_ide_state(struct device *dev, struct state *state)
{
    struct piix_ide *s = (struct piix_ide *)dev;
    int err = pci_state(&s->pci, state);

    for (unsigned n = 0; !err && n < CHANNELS; n++)
        err = channel_state(&s->channel[n], state);
    return err;
}

static int piix_ide_load(struct device *dev, struct state *state, uint32_t version)
{
    return piix_ide_state(dev, state);
}

static void piix_ide_destroy(struct device *dev)
{
    struct piix_ide *s = (struct piix_ide *)dev;

    unmap_ports(s);
    for (unsigned n = 0; n < CHANNELS; n++)
        irq_set(&s->channel[n].irq, false);
}

static const struct device_ops piix_ide_ops = {
    .name = "piix3-ide",
    .bus = BUS_PCI,
    .size = sizeof(struct piix_ide),
    .version = 1,
    .create = piix_ide_create,
    .reset = piix_ide_reset,
    .save = piix_ide_state,
    .load = piix_ide_load,
    .destroy = piix_ide_destroy,
};
REGISTER_DEVICE(piix_ide_ops);
