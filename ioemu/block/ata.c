/*
 * Commands of an ATA disk (ATA/ATAPI-6, chapter 8): PIO, multiple and DMA transfers with
 * CHS, 28-bit and 48-bit addresses, cache flush, features, power modes, SMART, TRIM.
 *
 * Left out: security, host protected area, device configuration overlay, queued commands,
 * CFA.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "ide.h"

enum {
    SMART_ENABLED_MID = 0x4f,
    SMART_ENABLED_HIGH = 0xc2,
    TRIM_ENTRIES = SECTOR / 8,
};

/* ---- addresses ----------------------------------------------------------------------
 */

static uint64_t disk_sectors(const struct ide_drive *d)
{
    return block_bytes(d->blk) / SECTOR;
}

uint32_t ata_cylinders(const struct ide_drive *d)
{
    uint64_t cylinders = disk_sectors(d) / (d->heads * d->sectors);

    if (cylinders > 16383)
        return 16383;
    return cylinders < 2 ? 2 : (uint32_t)cylinders;
}

/* First sector and count from the registers; UINT64_MAX: no such address. */
static uint64_t start_sector(const struct ide_drive *d)
{
    if (d->lba48)
        return (uint64_t)d->hob_high << 40 | (uint64_t)d->hob_mid << 32 |
               (uint64_t)d->hob_low << 24 | (uint64_t)d->lba_high << 16 |
               (uint64_t)d->lba_mid << 8 | d->lba_low;
    if (d->device & DEV_LBA)
        return (uint64_t)(d->device & 0xf) << 24 | (uint64_t)d->lba_high << 16 |
               (uint64_t)d->lba_mid << 8 | d->lba_low;
    uint32_t cylinder = (uint32_t)d->lba_high << 8 | d->lba_mid;
    if (!d->lba_low)
        return UINT64_MAX;
    return (uint64_t)(cylinder * d->heads + (d->device & 0xfu)) * d->sectors +
           d->lba_low - 1;
}

static void store_sector(struct ide_drive *d, uint64_t lba)
{
    if (d->lba48 || d->device & DEV_LBA) {
        d->lba_low = (uint8_t)lba;
        d->lba_mid = (uint8_t)(lba >> 8);
        d->lba_high = (uint8_t)(lba >> 16);
        if (d->lba48) {
            d->hob_low = (uint8_t)(lba >> 24);
            d->hob_mid = (uint8_t)(lba >> 32);
            d->hob_high = (uint8_t)(lba >> 40);
        } else {
            d->device = (uint8_t)((d->device & 0xf0) | (lba >> 24 & 0xf));
        }
        return;
    }
    uint32_t track = (uint32_t)(lba / d->sectors);
    d->lba_low = (uint8_t)(lba % d->sectors + 1);
    d->device = (uint8_t)((d->device & 0xf0) | track % d->heads);
    d->lba_mid = (uint8_t)(track / d->heads);
    d->lba_high = (uint8_t)(track / d->heads >> 8);
}

/* Begin a medium access; false: it was refused with an error. */
static bool set_range(struct ide_drive *d, bool lba48)
{
    d->lba48 = lba48;
    d->lba = start_sector(d);
    d->left = lba48 ? (uint32_t)d->hob_count << 8 | d->count : d->count;
    if (!d->left)
        d->left = lba48 ? 65536 : 256;
    if (d->lba < disk_sectors(d) && d->left <= disk_sectors(d) - d->lba)
        return true;
    d->left = 0;
    ide_abort(d);
    d->error = ER_IDNF | ER_ABRT;
    return false;
}

/* After `sectors` more are done: registers show where the command has got to. */
static void advance(struct ide_drive *d, uint32_t sectors)
{
    d->lba += sectors;
    d->left -= sectors;
    d->count = (uint8_t)d->left;
    d->hob_count = (uint8_t)(d->left >> 8);
}

static void medium_error(struct ide_drive *d, int result)
{
    store_sector(d, d->lba);
    ide_abort(d);
    d->error = result == -EIO && d->command != 0xe7 ? ER_UNC : ER_ABRT;
}

/* ---- PIO ----------------------------------------------------------------------------
 */

static uint32_t pio_block(const struct ide_drive *d)
{
    bool multiple = d->command == 0xc4 || d->command == 0xc5 || d->command == 0x29 ||
                    d->command == 0x39 || d->command == 0xce;
    uint32_t block = multiple ? d->multiple : 1;

    return d->left < block ? d->left : block;
}

static void read_done(struct ide_drive *d, int result)
{
    if (result) {
        medium_error(d, result);
        return;
    }
    advance(d, d->block);
    if (!d->left)
        store_sector(d, d->lba - 1);
    ide_pio(d, d->block * SECTOR, d->left ? PIO_READ_MORE : PIO_DONE);
    ide_interrupt(d);
}

static void read_block(struct ide_drive *d)
{
    d->status = ST_BSY | ST_DRDY | ST_DSC;
    d->block = pio_block(d);
    ide_block(d, BLOCK_READ, d->lba * SECTOR, d->block * SECTOR, read_done);
}

static void write_done(struct ide_drive *d, int result)
{
    if (result) {
        medium_error(d, result);
        return;
    }
    advance(d, d->block);
    if (!d->left) {
        store_sector(d, d->lba - 1);
        ide_ok(d);
        return;
    }
    d->block = pio_block(d);
    ide_pio(d, d->block * SECTOR, PIO_WRITE_BLOCK);
    ide_interrupt(d);
}

void ata_pio_end(struct ide_drive *d, enum pio_next next)
{
    if (next == PIO_READ_MORE) {
        read_block(d);
    } else if (next == PIO_WRITE_BLOCK) {
        d->status = ST_BSY | ST_DRDY | ST_DSC;
        ide_block(d, BLOCK_WRITE, d->lba * SECTOR, d->block * SECTOR, write_done);
    }
}

static void pio_read(struct ide_drive *d, bool lba48)
{
    if (set_range(d, lba48))
        read_block(d);
}

static void pio_write(struct ide_drive *d, bool lba48)
{
    if (!set_range(d, lba48))
        return;
    d->block = pio_block(d);
    ide_pio(d, d->block * SECTOR, PIO_WRITE_BLOCK); /* no interrupt for the first one */
}

/* ---- DMA ----------------------------------------------------------------------------
 */

static void dma_step(struct ide_drive *d);

static void dma_finish(struct ide_drive *d, int result)
{
    ide_dma_end(d->channel, result != 0);
    if (result) {
        medium_error(d, result);
        return;
    }
    store_sector(d, d->lba ? d->lba - 1 : 0);
    ide_ok(d);
}

static void dma_read_done(struct ide_drive *d, int result)
{
    if (!result)
        result = ide_dma_copy(d->channel, d->buffer, d->block * SECTOR, true);
    if (!result)
        advance(d, d->block);
    if (result || !d->left)
        dma_finish(d, result);
    else
        dma_step(d);
}

static void dma_write_done(struct ide_drive *d, int result)
{
    if (!result)
        advance(d, d->block);
    if (result || !d->left)
        dma_finish(d, result);
    else
        dma_step(d);
}

static void dma_step(struct ide_drive *d)
{
    d->block = d->left < IDE_BUFFER / SECTOR ? d->left : IDE_BUFFER / SECTOR;
    if (d->dma == DMA_READ) {
        ide_block(d, BLOCK_READ, d->lba * SECTOR, d->block * SECTOR, dma_read_done);
        return;
    }
    int err = ide_dma_copy(d->channel, d->buffer, d->block * SECTOR, false);
    if (err)
        dma_finish(d, err);
    else
        ide_block(d, BLOCK_WRITE, d->lba * SECTOR, d->block * SECTOR, dma_write_done);
}

/* DATA SET MANAGEMENT: blocks of 64 ranges, 48 bits of address and 16 of count. */
static void trim_next(struct ide_drive *d, int result)
{
    while (!result && d->at < d->end) {
        uint64_t range = load_le64(d->buffer + d->at);
        uint64_t lba = range & 0xffffffffffffull, count = range >> 48;
        d->at += 8;
        if (!count)
            continue;
        if (lba >= disk_sectors(d) || count > disk_sectors(d) - lba) {
            result = -EINVAL;
            break;
        }
        ide_block(d, BLOCK_DISCARD, lba * SECTOR, (uint32_t)count * SECTOR, trim_next);
        return;
    }
    d->at = d->end = 0;
    ide_dma_end(d->channel, false);
    if (result)
        ide_abort(d);
    else
        ide_ok(d);
}

static void trim_go(struct ide_drive *d)
{
    uint32_t bytes = d->left * SECTOR;

    if (bytes > IDE_BUFFER || ide_dma_copy(d->channel, d->buffer, bytes, false)) {
        ide_dma_end(d->channel, true);
        ide_abort(d);
        return;
    }
    d->at = 0;
    d->end = bytes;
    d->status = ST_BSY | ST_DRDY;
    trim_next(d, 0);
}

void ata_dma_go(struct ide_drive *d)
{
    uint64_t need = (uint64_t)d->left * SECTOR;

    if (ide_dma_bytes(d->channel, need) < need) {
        d->status = ST_DRDY | ST_DSC;
        d->dma = DMA_NONE;
        d->left = 0;
        ide_dma_short(d->channel);
        return;
    }
    if (d->dma == DMA_TRIM)
        trim_go(d);
    else
        dma_step(d);
}

static void dma_command(struct ide_drive *d, enum dma_kind kind, bool lba48)
{
    if (!set_range(d, lba48))
        return;
    d->status = ST_DRDY | ST_DSC | ST_DRQ;
    d->at = d->end = 0;
    ide_dma_wait(d, kind);
}

/* ---- the other commands -------------------------------------------------------------
 */

static void flush_done(struct ide_drive *d, int result)
{
    if (result)
        ide_abort(d);
    else
        ide_ok(d);
}

static void flush(struct ide_drive *d)
{
    d->status = ST_BSY | ST_DRDY | ST_DSC;
    ide_block(d, BLOCK_FLUSH, 0, 0, flush_done);
}

static void verify(struct ide_drive *d, bool lba48)
{
    if (!set_range(d, lba48))
        return;
    advance(d, d->left);
    store_sector(d, d->lba - 1);
    ide_ok(d);
}

static void set_transfer_mode(struct ide_drive *d)
{
    uint8_t mode = d->count & 7;

    switch (d->count >> 3) {
    case 0: /* PIO default */
    case 1: /* PIO with flow control */
        d->udma = d->mwdma = 0xff;
        break;
    case 4:
        if (mode > 2) {
            ide_abort(d);
            return;
        }
        d->mwdma = mode;
        d->udma = 0xff;
        break;
    case 8:
        if (mode > 5) {
            ide_abort(d);
            return;
        }
        d->udma = mode;
        d->mwdma = 0xff;
        break;
    default:
        ide_abort(d);
        return;
    }
    ide_ok(d);
}

/* 8.46 SET FEATURES */
static void set_features(struct ide_drive *d)
{
    switch (d->feature) {
    case 0x02:
        d->write_cache = true;
        ide_ok(d);
        break;
    case 0x82:
        d->write_cache = false;
        flush(d);
        break;
    case 0x03:
        set_transfer_mode(d);
        break;
    case 0x55:
        d->read_ahead = false;
        ide_ok(d);
        break;
    case 0xaa:
        d->read_ahead = true;
        ide_ok(d);
        break;
    case 0x05: /* power management, acoustics, reverting: no effect */
    case 0x85:
    case 0x42:
    case 0xc2:
    case 0x66:
    case 0xcc:
        ide_ok(d);
        break;
    default:
        ide_abort(d);
        break;
    }
}

static void set_multiple(struct ide_drive *d)
{
    if (d->count > MULTIPLE_MOST || (d->count & (d->count - 1))) {
        ide_abort(d);
        return;
    }
    d->multiple = d->count;
    ide_ok(d);
}

static void set_geometry(struct ide_drive *d)
{
    if (!d->count) {
        ide_abort(d);
        return;
    }
    d->heads = (d->device & 0xfu) + 1;
    d->sectors = d->count;
    ide_ok(d);
}

static void native_max(struct ide_drive *d, bool lba48)
{
    uint64_t last = disk_sectors(d) - 1;

    d->lba48 = lba48;
    if (!lba48 && last > 0x0fffffff)
        last = 0x0fffffff;
    d->device |= DEV_LBA;
    store_sector(d, last);
    ide_ok(d);
}

static uint8_t checksum(const uint8_t *sector)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < SECTOR - 1; i++)
        sum = (uint8_t)(sum + sector[i]);
    return (uint8_t)-sum;
}

/* Attributes that tools show; a virtual disk never wears. */
static void smart_data(struct ide_drive *d, bool thresholds)
{
    static const struct {
        uint8_t id, flags, value, worst, threshold;
    } attributes[] = {
        {0x01, 0x03, 100, 100, 6},  {0x03, 0x03, 100, 100, 0}, {0x04, 0x02, 100, 100, 20},
        {0x05, 0x03, 100, 100, 36}, {0x09, 0x03, 100, 100, 0}, {0x0c, 0x03, 100, 100, 0},
        {0xbe, 0x03, 69, 69, 50},
    };
    uint8_t *at = d->buffer + 2;

    memset(d->buffer, 0, SECTOR);
    d->buffer[0] = 1; /* revision */
    for (unsigned i = 0; i < ARRAY_LEN(attributes); i++, at += 12) {
        at[0] = attributes[i].id;
        if (thresholds) {
            at[1] = attributes[i].threshold;
            continue;
        }
        at[1] = attributes[i].flags;
        at[3] = attributes[i].value;
        at[4] = attributes[i].worst;
    }
    if (!thresholds) {
        d->buffer[362] = 0x02; /* off-line collection was never started */
        d->buffer[368] = 0x03; /* saves before power mode changes */
        d->buffer[372] = 2;    /* minutes for a short self-test */
        d->buffer[373] = 54;
    }
    d->buffer[SECTOR - 1] = checksum(d->buffer);
    ide_pio(d, SECTOR, PIO_DONE);
    ide_interrupt(d);
}

/* 8.55 SMART */
static void smart(struct ide_drive *d)
{
    if (d->lba_mid != SMART_ENABLED_MID || d->lba_high != SMART_ENABLED_HIGH ||
        (!d->smart && d->feature != 0xd8)) {
        ide_abort(d);
        return;
    }
    switch (d->feature) {
    case 0xd0:
        smart_data(d, false);
        break;
    case 0xd1:
        smart_data(d, true);
        break;
    case 0xd2: /* attribute autosave */
    case 0xd3:
    case 0xd4: /* self-tests end at once, without error */
        ide_ok(d);
        break;
    case 0xd5: /* an empty log */
        memset(d->buffer, 0, SECTOR);
        d->buffer[0] = 1;
        d->buffer[SECTOR - 1] = checksum(d->buffer);
        ide_pio(d, SECTOR, PIO_DONE);
        ide_interrupt(d);
        break;
    case 0xd8:
        d->smart = true;
        ide_ok(d);
        break;
    case 0xd9:
        d->smart = false;
        ide_ok(d);
        break;
    case 0xda: /* no threshold exceeded */
        ide_ok(d);
        break;
    default:
        ide_abort(d);
        break;
    }
}

static void identify(struct ide_drive *d)
{
    ata_identify(d);
    ide_pio(d, SECTOR, PIO_DONE);
    ide_interrupt(d);
}

static void data_set_management(struct ide_drive *d)
{
    if (d->feature != 1) {
        ide_abort(d);
        return;
    }
    /* 16 bits; more than we offer comes from software that wrote the register only once.
     */
    d->left = (uint32_t)d->hob_count << 8 | d->count;
    if (d->left > IDE_BUFFER / SECTOR)
        d->left = d->count;
    if (!d->left) {
        ide_abort(d);
        return;
    }
    d->status = ST_DRDY | ST_DSC | ST_DRQ;
    ide_dma_wait(d, DMA_TRIM);
}

static void power_mode(struct ide_drive *d)
{
    d->count = 0xff; /* active or idle */
    ide_ok(d);
}

/* What a command does beyond its own data; variants differ in addressing only. */
static bool transfer_command(struct ide_drive *d, uint8_t command)
{
    switch (command) {
    case 0x20: /* READ SECTORS, with and without retries */
    case 0x21:
        pio_read(d, false);
        return true;
    case 0x24: /* READ SECTORS EXT */
        pio_read(d, true);
        return true;
    case 0x30: /* WRITE SECTORS */
    case 0x31:
        pio_write(d, false);
        return true;
    case 0x34: /* WRITE SECTORS EXT */
        pio_write(d, true);
        return true;
    case 0xc8: /* READ DMA */
    case 0xc9:
        dma_command(d, DMA_READ, false);
        return true;
    case 0x25: /* READ DMA EXT */
        dma_command(d, DMA_READ, true);
        return true;
    case 0xca: /* WRITE DMA */
    case 0xcb:
        dma_command(d, DMA_WRITE, false);
        return true;
    case 0x35: /* WRITE DMA EXT */
        dma_command(d, DMA_WRITE, true);
        return true;
    default:
        return false;
    }
}

static bool multiple_command(struct ide_drive *d, uint8_t command)
{
    bool read = command == 0xc4 || command == 0x29;
    bool lba48 = command == 0x29 || command == 0x39;

    if (command != 0xc4 && command != 0xc5 && command != 0x29 && command != 0x39)
        return false;
    if (!d->multiple)
        ide_abort(d);
    else if (read)
        pio_read(d, lba48);
    else
        pio_write(d, lba48);
    return true;
}

bool ata_command(struct ide_drive *d, uint8_t command)
{
    if (transfer_command(d, command) || multiple_command(d, command))
        return true;
    if ((command & 0xf0) == 0x10 || (command & 0xf0) == 0x70) {
        ide_ok(d); /* RECALIBRATE, SEEK */
        return true;
    }
    switch (command) {
    case 0x06:
        data_set_management(d);
        return true;
    case 0x27:
        native_max(d, true);
        return true;
    case 0xf8:
        native_max(d, false);
        return true;
    case 0x40: /* READ VERIFY */
    case 0x41:
        verify(d, false);
        return true;
    case 0x42:
        verify(d, true);
        return true;
    case 0x91: /* INITIALIZE DEVICE PARAMETERS */
        set_geometry(d);
        return true;
    case 0xb0:
        smart(d);
        return true;
    case 0xc6:
        set_multiple(d);
        return true;
    case 0xe5: /* CHECK POWER MODE */
    case 0x98:
        power_mode(d);
        return true;
    case 0xe0: /* STANDBY and IDLE, immediate and not; SLEEP */
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe6:
    case 0x94:
    case 0x95:
    case 0x96:
    case 0x97:
    case 0x99:
        ide_ok(d);
        return true;
    case 0xe7: /* FLUSH CACHE, and EXT */
    case 0xea:
        flush(d);
        return true;
    case 0xec:
        identify(d);
        return true;
    case 0xef:
        set_features(d);
        return true;
    default:
        return false;
    }
}
