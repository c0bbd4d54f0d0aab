/*
 * Between the IDE controller (piix_ide.c), the drives' common part (ide_drive.c), disks
 * (ata.c) and CD-ROMs (atapi.c).
 *
 * Register and bit names are those of ATA/ATAPI-6 (T13/1410D) and of the "Programming
 * Interface for Bus Master IDE Controller" 1.0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_BLOCK_IDE_H
#define IOEMU_BLOCK_IDE_H

#include "../../devmodel/device.h"

enum {
    /* Status register */
    ST_ERR = 1 << 0,
    ST_DRQ = 1 << 3,
    ST_DSC = 1 << 4,
    ST_DF = 1 << 5,
    ST_DRDY = 1 << 6,
    ST_BSY = 1 << 7,

    /* Error register */
    ER_ABRT = 1 << 2,
    ER_IDNF = 1 << 4,
    ER_UNC = 1 << 6,

    /* Device register */
    DEV_SLAVE = 1 << 4,
    DEV_LBA = 1 << 6,
    DEV_OBSOLETE = 0xa0,

    /* Device control register */
    CTL_NIEN = 1 << 1,
    CTL_SRST = 1 << 2,
    CTL_HOB = 1 << 7,

    /* Interrupt reason (sector count register) of PACKET commands */
    IR_CD = 1 << 0,
    IR_IO = 1 << 1,

    /* Bus master */
    BM_START = 1 << 0,
    BM_TO_MEMORY = 1 << 3,
    BM_ACTIVE = 1 << 0,
    BM_ERROR = 1 << 1,
    BM_INTERRUPT = 1 << 2,

    SECTOR = 512,
    CD_SECTOR = 2048,
    IDE_BUFFER = 128 << 10,
    MULTIPLE_MOST = 16,
};

struct ide_channel;

/* What happens when the data port has moved the bytes of the current burst. */
enum pio_next {
    PIO_NONE,
    PIO_DONE,         /* nothing: the command is complete */
    PIO_READ_MORE,    /* disk: next block of sectors */
    PIO_WRITE_BLOCK,  /* disk: write what came */
    PIO_PACKET,       /* CD: the command packet is complete */
    PIO_CD_MORE,      /* CD: next burst, or the end */
    PIO_CD_PARAMETERS /* CD: MODE SELECT's parameter list came */
};

/* A command that waits for, or uses, the bus master. */
enum dma_kind { DMA_NONE, DMA_READ, DMA_WRITE, DMA_TRIM, DMA_CD_READ, DMA_CD_REPLY };

struct ide_drive {
    struct device dev; /* must be first */
    struct ide_channel *channel;
    struct block_backend *blk; /* options */
    const char *serial, *firmware, *model;
    bool cdrom;

    /* registers; hob: the previously written values (48-bit commands) */
    uint8_t feature, count, lba_low, lba_mid, lba_high, device, status, error;
    uint8_t hob_feature, hob_count, hob_low, hob_mid, hob_high;

    /* data port */
    uint8_t *buffer; /* IDE_BUFFER bytes */
    uint32_t at, end;
    uint32_t next; /* enum pio_next */

    /* command under way */
    uint8_t command;
    bool lba48;
    uint64_t lba;   /* next sector (512 or 2048 bytes) */
    uint32_t left;  /* sectors not yet transferred */
    uint32_t block; /* sectors in the buffer */
    uint32_t dma;   /* enum dma_kind */
    uint32_t reply; /* CD: bytes of DMA_CD_REPLY */
    struct block_request request;
    struct iovec iov;
    bool busy;    /* request is in flight */
    bool discard; /* its completion is not wanted any more */
    void (*completed)(struct ide_drive *d, int result);

    /* settings */
    uint32_t heads, sectors; /* current CHS translation */
    uint32_t multiple;
    uint8_t udma, mwdma; /* selected mode, 0xff: none */
    bool write_cache, read_ahead, smart;

    /* CD-ROM (atapi.c) */
    uint8_t packet[12];
    bool packet_dma;
    uint32_t cd_left; /* bytes of the reply not yet offered */
    uint32_t cd_from; /* where in the buffer they start */
    uint32_t cd_have; /* bytes valid in the buffer */
    uint8_t sense, asc, ascq;
    bool tray_open, tray_locked;
    bool attention; /* medium changed: unit attention is due */
    uint8_t event;  /* for GET EVENT STATUS NOTIFICATION */
};

struct ide_channel {
    struct device *controller;
    unsigned number;
    struct ide_drive *drive[2];
    unsigned selected;
    uint8_t control;
    bool interrupt; /* INTRQ, before nIEN */
    struct irq_line irq;
    struct io_region command_block, control_block;

    uint8_t bm_command, bm_status;
    uint32_t bm_table;
    /* position in the physical region descriptors */
    uint32_t prd_next, prd_address, prd_left;
    uint32_t prd_count; /* descriptors read since the start */
    bool prd_last;
};

/* piix_ide.c */
int ide_attach(struct device *controller, struct ide_drive *d);
void ide_hide(struct ide_drive *d); /* an empty place in the channel, for the guest */
void ide_detach(struct ide_drive *d);
void ide_interrupt(struct ide_drive *d); /* raise INTRQ */
/* The drive's command waits for the bus master; ide_dma_go() is called when it runs. */
void ide_dma_wait(struct ide_drive *d, enum dma_kind kind);
/* Start again at the first descriptor: bytes it describes, counted up to `enough`. */
uint64_t ide_dma_bytes(struct ide_channel *c, uint64_t enough);
/* Move bytes between the buffer and the regions, from where the last call ended. */
int ide_dma_copy(struct ide_channel *c, void *buffer, uint32_t bytes, bool to_memory);
/* The transfer is over: ACTIVE stays if there are regions left. */
void ide_dma_end(struct ide_channel *c, bool error);
/* The regions are too small: ACTIVE goes, and nothing else happens. */
void ide_dma_short(struct ide_channel *c);

/* ide_drive.c */
void ide_drive_reset(struct ide_drive *d); /* registers and signature */
void ide_command(struct ide_drive *d, uint8_t command);
void ide_dma_go(struct ide_drive *d);
void ide_pio_end(struct ide_drive *d); /* the data port has moved everything */
void ide_abort(struct ide_drive *d);   /* ERR, ABRT and an interrupt */
void ide_ok(struct ide_drive *d);      /* DRDY and an interrupt */
void ide_pio(struct ide_drive *d, uint32_t bytes, enum pio_next next);
/* Medium access into or out of the buffer; `completed` is called from the main loop. */
void ide_block(struct ide_drive *d, enum block_op op, uint64_t offset, uint32_t bytes,
               void (*completed)(struct ide_drive *d, int result));
/* The same, `where` bytes into the buffer. */
void ide_block_at(struct ide_drive *d, uint32_t where, enum block_op op, uint64_t offset,
                  uint32_t bytes, void (*completed)(struct ide_drive *d, int result));
void ide_cancel(struct ide_drive *d); /* wait for what is in flight, drop its effects */
void ide_set_signature(struct ide_drive *d);
void ide_string(uint8_t *words, const char *text, size_t bytes); /* ATA's byte order */
const char *ide_serial(struct ide_drive *d, char text[21]);

/* ata.c */
bool ata_command(struct ide_drive *d, uint8_t command); /* false: not known */
void ata_pio_end(struct ide_drive *d, enum pio_next next);
void ata_dma_go(struct ide_drive *d);
uint32_t ata_cylinders(const struct ide_drive *d);

/* ide_identify.c */
void ata_identify(struct ide_drive *d);
void atapi_identify(struct ide_drive *d);

/* atapi.c */
bool atapi_command(struct ide_drive *d, uint8_t command);
void atapi_pio_end(struct ide_drive *d, enum pio_next next);
void atapi_dma_go(struct ide_drive *d);
void atapi_medium_changed(struct ide_drive *d);
void atapi_eject_request(struct ide_drive *d);
void atapi_reset(struct ide_drive *d);

/* atapi_commands.c */
enum cd_direction { CD_NONE, CD_REPLY, CD_READ, CD_FAILED, CD_BUSY };
/* Run the packet.  CD_REPLY: `*bytes` of answer are in the buffer. */
enum cd_direction atapi_execute(struct ide_drive *d, uint32_t *bytes);
void atapi_sense(struct ide_drive *d, uint8_t key, uint8_t asc, uint8_t ascq);
uint32_t atapi_sectors(const struct ide_drive *d);

#endif
