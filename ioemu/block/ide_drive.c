/*
 * What disks and CD-ROMs on an IDE channel share: registers after reset, PIO bursts,
 * medium access, life cycle.  Commands are in ata.c and atapi.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ide.h"

enum {
    COMMAND_DEVICE_RESET = 0x08,
    GEOMETRY_HEADS = 16,
    GEOMETRY_SECTORS = 63,
    NO_MODE = 0xff,
};

void ide_ok(struct ide_drive *d)
{
    d->status = ST_DRDY | ST_DSC;
    d->next = PIO_NONE;
    d->dma = DMA_NONE;
    ide_interrupt(d);
}

void ide_abort(struct ide_drive *d)
{
    d->status = ST_DRDY | ST_DSC | ST_ERR;
    d->error = ER_ABRT;
    d->next = PIO_NONE;
    d->dma = DMA_NONE;
    d->at = d->end = 0;
    ide_interrupt(d);
}

/* The next burst through the data port; the caller decides about the interrupt. */
void ide_pio(struct ide_drive *d, uint32_t bytes, enum pio_next next)
{
    d->at = 0;
    d->end = bytes;
    d->next = next;
    d->status = ST_DRDY | ST_DSC | ST_DRQ;
}

void ide_pio_end(struct ide_drive *d)
{
    enum pio_next next = d->next;

    d->status = ST_DRDY | ST_DSC;
    d->next = PIO_NONE;
    if (next == PIO_DONE || next == PIO_NONE)
        return;
    if (d->cdrom)
        atapi_pio_end(d, next);
    else
        ata_pio_end(d, next);
}

void ide_dma_go(struct ide_drive *d)
{
    if (d->cdrom)
        atapi_dma_go(d);
    else
        ata_dma_go(d);
}

void ide_command(struct ide_drive *d, uint8_t command)
{
    if (d->status & (ST_BSY | ST_DRQ) && command != COMMAND_DEVICE_RESET) {
        guest_error(&d->dev, "command %#x while another is under way", command);
        return;
    }
    d->command = command;
    d->error = 0;
    d->dma = DMA_NONE;
    bool known = d->cdrom ? atapi_command(d, command) : ata_command(d, command);
    if (!known) {
        dev_log(&d->dev, LOG_DEBUG, "command %#x is not known", command);
        ide_abort(d);
    }
}

static void request_done(struct block_request *request, int result)
{
    struct ide_drive *d = request->opaque;

    d->busy = false;
    if (!d->discard)
        d->completed(d, result);
}

void ide_block_at(struct ide_drive *d, uint32_t where, enum block_op op, uint64_t offset,
                  uint32_t bytes, void (*completed)(struct ide_drive *d, int result))
{
    d->iov.iov_base = d->buffer + where;
    d->iov.iov_len = bytes;
    d->request = (struct block_request){
        .op = op,
        .offset = offset,
        .bytes = bytes,
        .iov = &d->iov,
        .iovcnt = op == BLOCK_READ || op == BLOCK_WRITE ? 1 : 0,
        .done = request_done,
        .opaque = d,
    };
    d->completed = completed;
    d->busy = true;
    d->discard = false;
    block_submit(d->blk, &d->request);
}

void ide_block(struct ide_drive *d, enum block_op op, uint64_t offset, uint32_t bytes,
               void (*completed)(struct ide_drive *d, int result))
{
    ide_block_at(d, 0, op, offset, bytes, completed);
}

void ide_cancel(struct ide_drive *d)
{
    while (d->busy) {
        d->discard = true;
        block_drain(d->blk);
    }
    d->discard = false;
    d->dma = DMA_NONE;
    d->next = PIO_NONE;
    d->at = d->end = 0;
    d->left = 0;
}

/* What a reset leaves in the registers (ATA/ATAPI-6, 9.12). */
void ide_set_signature(struct ide_drive *d)
{
    d->count = d->lba_low = 1;
    d->lba_mid = d->cdrom ? 0x14 : 0;
    d->lba_high = d->cdrom ? 0xeb : 0;
    d->device = DEV_OBSOLETE;
}

void ide_drive_reset(struct ide_drive *d)
{
    ide_cancel(d);
    ide_set_signature(d);
    d->status = d->cdrom ? 0 : ST_DRDY | ST_DSC;
    d->error = 1;
    d->feature = 0;
    d->hob_feature = d->hob_count = d->hob_low = d->hob_mid = d->hob_high = 0;
    d->heads = GEOMETRY_HEADS;
    d->sectors = GEOMETRY_SECTORS;
    d->multiple = MULTIPLE_MOST;
    d->udma = 5;
    d->mwdma = NO_MODE;
    d->write_cache = d->read_ahead = d->smart = true;
    if (d->cdrom)
        atapi_reset(d);
}

void ide_string(uint8_t *words, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = *text ? *text++ : ' ';
        words[i ^ 1] = (uint8_t)c;
    }
}

const char *ide_serial(struct ide_drive *d, char text[21])
{
    if (d->serial)
        return d->serial;
    if (d->blk && block_serial(d->blk))
        return block_serial(d->blk);
    snprintf(text, 21, "CB%05d", d->dev.unit + 1);
    return text;
}

/* ---- life cycle ---------------------------------------------------------------------
 */

static void medium_changed(void *opaque)
{
    struct ide_drive *d = opaque;

    if (d->cdrom)
        atapi_medium_changed(d);
}

static void eject_request(void *opaque)
{
    struct ide_drive *d = opaque;

    if (d->cdrom)
        atapi_eject_request(d);
}

static bool tray_locked(void *opaque)
{
    return ((struct ide_drive *)opaque)->tray_locked;
}

static const struct block_front_ops block_front = {
    .medium_changed = medium_changed,
    .eject_request = eject_request,
    .tray_locked = tray_locked,
};

static int drive_create(struct ide_drive *d, struct error *error)
{
    int err = 0;

    if (d->blk && (err = block_attach(d->blk, &block_front, d)))
        return error_set(error, err, "drive %s is in use by another device",
                         block_id(d->blk));
    err = ide_attach(d->dev.parent, d);
    if (err) {
        if (d->blk)
            block_detach(d->blk);
        return err;
    }
    d->buffer = calloc(1, IDE_BUFFER);
    if (!d->buffer) {
        ide_detach(d);
        return -ENOMEM;
    }
    return 0;
}

static int disk_create(struct device *dev, struct error *error)
{
    struct ide_drive *d = (struct ide_drive *)dev;

    if (!d->blk)
        return error_set(error, -EINVAL, "ide-hd needs drive=");
    if (!block_bytes(d->blk))
        return error_set(error, -EINVAL, "the image of drive %s is empty",
                         block_id(d->blk));
    return drive_create(d, error);
}

static int cdrom_create(struct device *dev, struct error *error)
{
    struct ide_drive *d = (struct ide_drive *)dev;

    d->cdrom = true;
    if (d->blk)
        block_removable(d->blk);
    return drive_create(d, error);
}

static void drive_reset(struct device *dev)
{
    ide_drive_reset((struct ide_drive *)dev);
}

/* The channel does not see it any more; what is under way is given up. */
static void disk_unplug(struct device *dev)
{
    struct ide_drive *d = (struct ide_drive *)dev;

    ide_cancel(d);
    d->status = 0;
    ide_hide(d);
}

static void drive_destroy(struct device *dev)
{
    struct ide_drive *d = (struct ide_drive *)dev;

    ide_cancel(d);
    ide_detach(d);
    if (d->blk)
        block_detach(d->blk);
    free(d->buffer);
}

/*
 * All requests have completed (the machine is paused), so what is left is registers, the
 * burst in the buffer and, for a DMA command that software has not started yet, its
 * parameters.
 */
static int drive_state(struct device *dev, struct state *s)
{
    struct ide_drive *d = (struct ide_drive *)dev;
    const struct {
        const char *name;
        uint8_t *value;
    } bytes[] = {
        {"feature", &d->feature},   {"count", &d->count},
        {"lba-low", &d->lba_low},   {"lba-mid", &d->lba_mid},
        {"lba-high", &d->lba_high}, {"device", &d->device},
        {"status", &d->status},     {"error", &d->error},
        {"hob-f", &d->hob_feature}, {"hob-count", &d->hob_count},
        {"hob-low", &d->hob_low},   {"hob-mid", &d->hob_mid},
        {"hob-high", &d->hob_high}, {"command", &d->command},
        {"udma", &d->udma},         {"mwdma", &d->mwdma},
        {"sense", &d->sense},       {"asc", &d->asc},
        {"ascq", &d->ascq},         {"event", &d->event},
    };
    const struct {
        const char *name;
        bool *value;
    } flags[] = {
        {"lba48", &d->lba48},
        {"write-cache", &d->write_cache},
        {"read-ahead", &d->read_ahead},
        {"smart", &d->smart},
        {"packet-dma", &d->packet_dma},
        {"tray-open", &d->tray_open},
        {"tray-locked", &d->tray_locked},
        {"attention", &d->attention},
    };

    for (unsigned i = 0; i < ARRAY_LEN(bytes); i++)
        state_u8(s, bytes[i].name, bytes[i].value);
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++)
        state_bool(s, flags[i].name, flags[i].value);
    state_range(s, "end", &d->end, 0, IDE_BUFFER);
    state_range(s, "at", &d->at, 0, d->end);
    state_range(s, "next", &d->next, 0, PIO_CD_PARAMETERS);
    state_range(s, "dma", &d->dma, 0, DMA_CD_REPLY);
    state_range(s, "reply", &d->reply, 0, IDE_BUFFER);
    state_u64(s, "lba", &d->lba);
    state_range(s, "left", &d->left, 0, 65536);
    state_range(s, "block", &d->block, 0, IDE_BUFFER / SECTOR);
    state_range(s, "heads", &d->heads, 1, 16);
    state_range(s, "sectors", &d->sectors, 1, 255);
    state_range(s, "multiple", &d->multiple, 0, MULTIPLE_MOST);
    state_bytes(s, "packet", d->packet, sizeof(d->packet));
    state_u32(s, "cd-left", &d->cd_left);
    state_range(s, "cd-from", &d->cd_from, 0, IDE_BUFFER);
    state_range(s, "cd-have", &d->cd_have, d->cd_from, IDE_BUFFER);
    return state_bytes(s, "buffer", d->buffer, IDE_BUFFER);
}

static int drive_load(struct device *dev, struct state *state, uint32_t version)
{
    return drive_state(dev, state);
}

static const struct option_desc drive_options[] = {
    OPTION("drive", BLOCK, struct ide_drive, blk, NULL, "image"),
    OPTION("serial", STRING, struct ide_drive, serial, NULL, "serial number"),
    OPTION("ver", STRING, struct ide_drive, firmware, "1.0", "firmware revision"),
    OPTION("model", STRING, struct ide_drive, model, NULL, "model name"),
    {0},
};

static const struct device_ops disk_ops = {
    .name = "ide-hd",
    .bus = BUS_IDE,
    .size = sizeof(struct ide_drive),
    .version = 1,
    .options = drive_options,
    .create = disk_create,
    .reset = drive_reset,
    .save = drive_state,
    .load = drive_load,
    .unplug = disk_unplug,
    .destroy = drive_destroy,
};
REGISTER_DEVICE(disk_ops);

static const struct device_ops cdrom_ops = {
    .name = "ide-cd",
    .bus = BUS_IDE,
    .size = sizeof(struct ide_drive),
    .version = 1,
    .options = drive_options,
    .create = cdrom_create,
    .reset = drive_reset,
    .save = drive_state,
    .load = drive_load,
    .destroy = drive_destroy,
};
REGISTER_DEVICE(cdrom_ops);
