/*
 * The PACKET protocol of an ATAPI CD-ROM (ATA/ATAPI-6, 9.8 and 9.9): command packet in,
 * data out in bursts of the byte count limit or through the bus master.  The packets
 * themselves are in atapi_commands.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "ide.h"

enum {
    PACKET_BYTES = 12,
    SENSE_NONE = 0,
    SENSE_MEDIUM_ERROR = 3,
    SENSE_ILLEGAL_REQUEST = 5,
    ASC_READ_ERROR = 0x11,
};

/* Command over: reason in the sector count register, sense key in the error register. */
static void cd_finish(struct ide_drive *d)
{
    d->count = IR_CD | IR_IO;
    d->status = ST_DRDY | ST_DSC;
    d->error = 0;
    d->next = PIO_NONE;
    d->dma = DMA_NONE;
    d->left = d->cd_left = 0;
    ide_interrupt(d);
}

static void cd_fail(struct ide_drive *d)
{
    d->count = IR_CD | IR_IO;
    d->status = ST_DRDY | ST_ERR;
    d->error = (uint8_t)(d->sense << 4 | ER_ABRT);
    d->next = PIO_NONE;
    d->dma = DMA_NONE;
    d->left = d->cd_left = 0;
    ide_interrupt(d);
}

static void cd_medium_error(struct ide_drive *d, int result)
{
    if (result == -ENOMEDIUM)
        atapi_sense(d, 2, 0x3a, 0);
    else
        atapi_sense(d, SENSE_MEDIUM_ERROR, ASC_READ_ERROR, 0);
    cd_fail(d);
}

/* ---- PIO ----------------------------------------------------------------------------
 */

static uint32_t burst_limit(const struct ide_drive *d)
{
    uint32_t limit = d->lba_mid | (uint32_t)d->lba_high << 8;

    if (!limit || limit == 0xffff)
        return 0xfffe;
    /* Odd only for the last burst. */
    return limit < d->cd_left ? limit & ~1u : limit;
}

static void next_burst(struct ide_drive *d);

static void cd_read_done(struct ide_drive *d, int result)
{
    if (result) {
        cd_medium_error(d, result);
        return;
    }
    d->cd_have += d->block * CD_SECTOR;
    d->lba += d->block;
    d->left -= d->block;
    next_burst(d);
}

/* Refill: what is left moves to the front, sectors come behind it. */
static void cd_refill(struct ide_drive *d)
{
    uint32_t kept = d->cd_have - d->cd_from;

    memmove(d->buffer, d->buffer + d->cd_from, kept);
    d->cd_from = 0;
    d->cd_have = kept;
    uint32_t room = (IDE_BUFFER - kept) / CD_SECTOR;
    d->block = d->left < room ? d->left : room;
    d->status = ST_BSY | ST_DRDY;
    ide_block_at(d, kept, BLOCK_READ, d->lba * CD_SECTOR, d->block * CD_SECTOR,
                 cd_read_done);
}

static void next_burst(struct ide_drive *d)
{
    if (!d->cd_left) {
        cd_finish(d);
        return;
    }
    uint32_t limit = burst_limit(d);
    uint32_t bytes = d->cd_left < limit ? d->cd_left : limit;
    if (d->cd_have - d->cd_from < bytes) {
        cd_refill(d);
        return;
    }
    d->cd_left -= bytes;
    d->lba_mid = (uint8_t)bytes;
    d->lba_high = (uint8_t)(bytes >> 8);
    d->count = IR_IO;
    d->at = d->cd_from;
    d->end = d->cd_from + bytes;
    d->cd_from += bytes;
    d->next = PIO_CD_MORE;
    d->status = ST_DRDY | ST_DSC | ST_DRQ;
    ide_interrupt(d);
}

static void start_reply(struct ide_drive *d, uint32_t bytes)
{
    d->left = 0;
    d->cd_left = bytes;
    d->cd_from = 0;
    d->cd_have = bytes;
    if (!d->packet_dma) {
        next_burst(d);
        return;
    }
    d->reply = bytes;
    d->status = ST_DRDY | ST_DSC | ST_DRQ;
    d->at = d->end = 0;
    ide_dma_wait(d, DMA_CD_REPLY);
}

static void start_read(struct ide_drive *d)
{
    if (!d->left) {
        cd_finish(d);
        return;
    }
    if (d->packet_dma) {
        d->status = ST_DRDY | ST_DSC | ST_DRQ;
        d->at = d->end = 0;
        ide_dma_wait(d, DMA_CD_READ);
        return;
    }
    d->cd_left = d->left * CD_SECTOR;
    d->cd_from = d->cd_have = 0;
    next_burst(d);
}

static void run_packet(struct ide_drive *d)
{
    uint32_t bytes = 0;

    memcpy(d->packet, d->buffer, PACKET_BYTES);
    switch (atapi_execute(d, &bytes)) {
    case CD_NONE:
        cd_finish(d);
        break;
    case CD_REPLY:
        if (bytes)
            start_reply(d, bytes);
        else
            cd_finish(d);
        break;
    case CD_READ:
        start_read(d);
        break;
    case CD_FAILED:
        cd_fail(d);
        break;
    case CD_BUSY:
        d->cd_left = bytes;
        break;
    }
}

void atapi_pio_end(struct ide_drive *d, enum pio_next next)
{
    if (next == PIO_PACKET)
        run_packet(d);
    else if (next == PIO_CD_MORE)
        next_burst(d);
    else if (next == PIO_CD_PARAMETERS)
        cd_finish(d);
}

/* ---- DMA ----------------------------------------------------------------------------
 */

static void cd_dma_step(struct ide_drive *d);

static void cd_dma_done(struct ide_drive *d, int result)
{
    if (result) {
        ide_dma_end(d->channel, false);
        cd_medium_error(d, result);
        return;
    }
    if (ide_dma_copy(d->channel, d->buffer, d->block * CD_SECTOR, true)) {
        ide_dma_end(d->channel, true);
        atapi_sense(d, SENSE_ILLEGAL_REQUEST, 0, 0);
        cd_fail(d);
        return;
    }
    d->lba += d->block;
    d->left -= d->block;
    if (d->left) {
        cd_dma_step(d);
        return;
    }
    ide_dma_end(d->channel, false);
    cd_finish(d);
}

static void cd_dma_step(struct ide_drive *d)
{
    d->block = d->left < IDE_BUFFER / CD_SECTOR ? d->left : IDE_BUFFER / CD_SECTOR;
    ide_block(d, BLOCK_READ, d->lba * CD_SECTOR, d->block * CD_SECTOR, cd_dma_done);
}

void atapi_dma_go(struct ide_drive *d)
{
    bool read = d->dma == DMA_CD_READ;
    uint64_t need = read ? (uint64_t)d->left * CD_SECTOR : d->reply;
    uint64_t have = ide_dma_bytes(d->channel, need);

    if (read && have < need) {
        d->status = ST_DRDY | ST_DSC;
        d->dma = DMA_NONE;
        d->left = 0;
        ide_dma_short(d->channel);
        return;
    }
    if (read) {
        cd_dma_step(d);
        return;
    }
    /* A short reply into a larger region is normal; a larger one is cut. */
    int err =
        ide_dma_copy(d->channel, d->buffer, (uint32_t)(have < need ? have : need), true);
    ide_dma_end(d->channel, err != 0);
    cd_finish(d);
}

/* ---- ATA commands of a packet device ------------------------------------------------
 */

static void packet_command(struct ide_drive *d)
{
    if (d->feature & 2) { /* overlapped */
        ide_abort(d);
        return;
    }
    d->packet_dma = d->feature & 1;
    d->count = IR_CD;
    ide_pio(d, PACKET_BYTES, PIO_PACKET); /* without interrupt: DRQ comes within 50 us */
}

static void cd_flush_done(struct ide_drive *d, int result)
{
    ide_ok(d);
}

bool atapi_command(struct ide_drive *d, uint8_t command)
{
    switch (command) {
    case 0x08: /* DEVICE RESET: no interrupt */
        ide_cancel(d);
        ide_set_signature(d);
        d->status = 0;
        d->error = 1;
        return true;
    case 0xa0:
        packet_command(d);
        return true;
    case 0xa1:
        atapi_identify(d);
        ide_pio(d, SECTOR, PIO_DONE);
        ide_interrupt(d);
        return true;
    case 0xec: /* IDENTIFY DEVICE: aborted, with the signature (8.15.5.2) */
    case 0x20:
        ide_set_signature(d);
        d->device |= d->dev.unit % 2 ? DEV_SLAVE : 0;
        ide_abort(d);
        return true;
    case 0xe7:
    case 0xea:
        if (!d->blk) {
            ide_ok(d);
            return true;
        }
        d->status = ST_BSY | ST_DRDY;
        ide_block(d, BLOCK_FLUSH, 0, 0, cd_flush_done);
        return true;
    case 0xef: /* SET FEATURES: transfer modes are as good as chosen */
        if (d->feature == 3 && d->count >> 3 == 8 && (d->count & 7) <= 5) {
            d->udma = d->count & 7;
            d->mwdma = 0xff;
        } else if (d->feature == 3 && d->count >> 3 == 4 && (d->count & 7) <= 2) {
            d->mwdma = d->count & 7;
            d->udma = 0xff;
        }
        ide_ok(d);
        return true;
    case 0xe5:
        d->count = 0xff;
        ide_ok(d);
        return true;
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
        ide_ok(d);
        return true;
    default:
        return false;
    }
}

void atapi_reset(struct ide_drive *d)
{
    d->tray_locked = false;
    d->packet_dma = false;
    d->cd_left = d->cd_from = d->cd_have = 0;
    /* Power on, reset: reported once to whoever asks. */
    d->sense = SENSE_NONE;
    d->asc = d->ascq = 0;
    d->attention = false;
    d->event = 0;
}
