/*
 * IDENTIFY DEVICE and IDENTIFY PACKET DEVICE data (ATA/ATAPI-6, 8.15 and 8.16).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "ide.h"

enum { WORDS = 256 };

static void put(struct ide_drive *d, unsigned word, uint32_t value)
{
    store_le16(d->buffer + 2 * word, (uint16_t)value);
}

static void put32(struct ide_drive *d, unsigned word, uint32_t value)
{
    store_le32(d->buffer + 2 * word, value);
}

static void put_names(struct ide_drive *d, const char *model)
{
    char serial[21];

    ide_string(d->buffer + 2 * 10, ide_serial(d, serial), 20);
    ide_string(d->buffer + 2 * 23, d->firmware, 8);
    ide_string(d->buffer + 2 * 27, d->model ? d->model : model, 40);
}

/* Supported modes in the low byte, the selected one in the high byte. */
static uint32_t modes(unsigned supported, uint8_t selected)
{
    uint32_t word = (1u << (supported + 1)) - 1;

    return selected <= supported ? word | 1u << (8 + selected) : word;
}

static void put_transfer_modes(struct ide_drive *d)
{
    put(d, 53, 7); /* words 54-58, 64-70 and 88 are valid */
    put(d, 62, 0);
    put(d, 63, modes(2, d->mwdma));
    put(d, 64, 3); /* PIO 3 and 4 */
    put(d, 65, 120);
    put(d, 66, 120);
    put(d, 67, 120);
    put(d, 68, 120);
    put(d, 88, modes(5, d->udma));
    put(d, 93, 1 | 1 << 14 | 0x2000); /* 80-wire cable; reset result of device 0 */
}

static void put_geometry(struct ide_drive *d, uint64_t sectors)
{
    uint32_t cylinders = ata_cylinders(d);
    uint64_t chs = (uint64_t)cylinders * d->heads * d->sectors;
    uint64_t lba28 = sectors < 0x0fffffff ? sectors : 0x0fffffff;

    put(d, 1, cylinders);
    put(d, 3, d->heads);
    put(d, 4, SECTOR * d->sectors);
    put(d, 5, SECTOR);
    put(d, 6, d->sectors);
    put(d, 54, cylinders);
    put(d, 55, d->heads);
    put(d, 56, d->sectors);
    put32(d, 57, (uint32_t)chs);
    put32(d, 60, (uint32_t)lba28);
    put32(d, 100, (uint32_t)sectors);
    put32(d, 102, (uint32_t)(sectors >> 32));
}

/* Words 82 to 87: what is supported, and what is on. */
static void put_features(struct ide_drive *d)
{
    /* NOP, FLUSH, write cache, look-ahead, power management, SMART */
    put(d, 82, 1 << 14 | 1 << 6 | 1 << 5 | 1 << 3 | 1 << 0);
    /* FLUSH EXT, FLUSH, 48 bits */
    put(d, 83, 1 << 14 | 1 << 13 | 1 << 12 | 1 << 10);
    put(d, 84, 1 << 14);
    put(d, 85,
        1 << 14 | (d->read_ahead ? 1 << 6 : 0) | (d->write_cache ? 1 << 5 : 0) | 1 << 3 |
            (d->smart ? 1 << 0 : 0));
    put(d, 86, 1 << 13 | 1 << 12 | 1 << 10);
    put(d, 87, 1 << 14);
}

void ata_identify(struct ide_drive *d)
{
    uint64_t sectors = block_bytes(d->blk) / SECTOR;

    memset(d->buffer, 0, 2 * WORDS);
    put(d, 0, 0x0040); /* fixed disk */
    put_geometry(d, sectors);
    put(d, 20, 3); /* dual ported buffer of 512 sectors, as drives once said */
    put(d, 21, 512);
    put(d, 22, 4);
    put_names(d, "CORBEL HARDDISK");
    put(d, 47, 0x8000 | MULTIPLE_MOST);
    put(d, 48, 1);
    put(d, 49, 1 << 11 | 1 << 9 | 1 << 8); /* IORDY, LBA, DMA */
    put(d, 50, 1 << 14);
    put(d, 51, 0x200);
    put(d, 52, 0x200);
    put(d, 59, d->multiple ? 0x100 | d->multiple : 0);
    put_transfer_modes(d);
    put(d, 69, 1 << 14); /* trimmed sectors read the same afterwards */
    put(d, 80, 0xf0);    /* ATA-4 to ATA-7 */
    put(d, 81, 0x16);
    put_features(d);
    put(d, 105, IDE_BUFFER / SECTOR); /* most blocks of one TRIM */
    put(d, 106, 1 << 14);
    put(d, 169, 1); /* TRIM */
    put(d, 217, 1); /* does not rotate */
}

void atapi_identify(struct ide_drive *d)
{
    memset(d->buffer, 0, 2 * WORDS);
    put(d, 0,
        2 << 14 | 5 << 8 | 1 << 7 | 2 << 5); /* ATAPI, CD-ROM, removable, 50 us DRQ */
    put(d, 20, 3);
    put(d, 21, 512);
    put(d, 22, 4);
    put_names(d, "CORBEL DVD-ROM");
    put(d, 48, 1);
    put(d, 49, 1 << 11 | 1 << 9 | 1 << 8);
    put_transfer_modes(d);
    put(d, 71, 30); /* ns from packet to release */
    put(d, 72, 30);
    put(d, 80, 0x1e);
    put(d, 82, 1 << 9 | 1 << 4); /* DEVICE RESET, PACKET */
    put(d, 83, 1 << 14);
    put(d, 84, 1 << 14);
    put(d, 85, 1 << 9 | 1 << 4);
    put(d, 87, 1 << 14);
}
