/*
 * The packet commands of a CD/DVD-ROM drive (MMC-3, T10/1363D; SPC-2).  One data track,
 * one session.  Audio, writing and encryption are not modelled.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "ide.h"

enum {
    KEY_NONE = 0,
    KEY_NOT_READY = 2,
    KEY_ILLEGAL_REQUEST = 5,
    KEY_UNIT_ATTENTION = 6,

    ASC_INVALID_COMMAND = 0x20,
    ASC_LBA_RANGE = 0x21,
    ASC_INVALID_FIELD = 0x24,
    ASC_MEDIUM_CHANGED = 0x28,
    ASC_NO_MEDIUM = 0x3a,
    ASC_LOAD_FAILED = 0x53,
    ASCQ_TRAY_CLOSED = 1,
    ASCQ_TRAY_OPEN = 2,
    ASCQ_REMOVAL_PREVENTED = 2,

    EVENT_NONE = 0,
    EVENT_EJECT = 1,
    EVENT_NEW_MEDIUM = 2,
    EVENT_REMOVED = 3,

    PROFILE_DVD_ROM = 0x10,
    PROFILE_CD_ROM = 0x08,
    CD_SECTORS_MOST = 80 * 60 * 75, /* more is a DVD */

    NEEDS_MEDIUM = 1,
    ALLOWED_IN_ATTENTION = 2, /* runs although a unit attention is due */
};

typedef enum cd_direction (*packet_handler)(struct ide_drive *d, uint32_t *bytes);

void atapi_sense(struct ide_drive *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->sense = key;
    d->asc = asc;
    d->ascq = ascq;
}

static enum cd_direction refuse(struct ide_drive *d, uint8_t key, uint8_t asc,
                                uint8_t ascq)
{
    atapi_sense(d, key, asc, ascq);
    return CD_FAILED;
}

static enum cd_direction bad_field(struct ide_drive *d)
{
    return refuse(d, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

static bool medium_ready(const struct ide_drive *d)
{
    return d->blk && block_has_medium(d->blk) && !d->tray_open;
}

uint32_t atapi_sectors(const struct ide_drive *d)
{
    uint64_t sectors = d->blk ? block_bytes(d->blk) / CD_SECTOR : 0;

    return sectors < UINT32_MAX ? (uint32_t)sectors : UINT32_MAX;
}

static bool is_dvd(const struct ide_drive *d)
{
    return atapi_sectors(d) > CD_SECTORS_MOST;
}

static enum cd_direction reply(uint32_t *bytes, uint32_t have, uint32_t asked)
{
    *bytes = have < asked ? have : asked;
    return CD_REPLY;
}

static uint8_t *clear(struct ide_drive *d, uint32_t bytes)
{
    memset(d->buffer, 0, bytes);
    return d->buffer;
}

/* ---- state of the drive -------------------------------------------------------------
 */

static enum cd_direction test_unit_ready(struct ide_drive *d, uint32_t *bytes)
{
    return CD_NONE;
}

static enum cd_direction request_sense(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t *b = clear(d, 18);

    b[0] = 0x70 | 0x80; /* current, valid */
    b[2] = d->sense;
    b[7] = 10;
    b[12] = d->asc;
    b[13] = d->ascq;
    atapi_sense(d, KEY_NONE, 0, 0);
    return reply(bytes, 18, d->packet[4]);
}

static enum cd_direction inquiry(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t *b = clear(d, 96);
    uint32_t asked = load_be16(d->packet + 3);

    if (d->packet[1] & 1) { /* vital product data */
        if (d->packet[2] == 0x00) {
            b[0] = 5;
            b[3] = 1;
            return reply(bytes, 5, asked);
        }
        return bad_field(d);
    }
    b[0] = 5;    /* CD-ROM */
    b[1] = 0x80; /* removable */
    b[2] = 0;
    b[3] = 0x21; /* ATAPI-2, response format 1 */
    b[4] = 31;
    memcpy(b + 8, "CORBEL  ", 8);
    memcpy(b + 16, "CORBEL DVD-ROM  ", 16);
    memset(b + 32, ' ', 4);
    memcpy(b + 32, d->firmware, strnlen(d->firmware, 4));
    return reply(bytes, 36, asked);
}

static enum cd_direction prevent_removal(struct ide_drive *d, uint32_t *bytes)
{
    d->tray_locked = d->packet[4] & 1;
    return CD_NONE;
}

static enum cd_direction start_stop(struct ide_drive *d, uint32_t *bytes)
{
    bool start = d->packet[4] & 1, load_eject = d->packet[4] & 2;

    if (d->packet[4] & 0xf0 || !load_eject)
        return CD_NONE; /* power conditions, spinning */
    if (d->tray_locked)
        return refuse(d, medium_ready(d) ? KEY_ILLEGAL_REQUEST : KEY_NOT_READY,
                      ASC_LOAD_FAILED, ASCQ_REMOVAL_PREVENTED);
    d->tray_open = !start;
    return CD_NONE;
}

static enum cd_direction mechanism_status(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t *b = clear(d, 8);

    b[1] = d->tray_open ? 0x10 : 0;
    b[5] = 1; /* one slot, no changer */
    return reply(bytes, 8, load_be16(d->packet + 8));
}

/* Polled form only (MMC-3, 6.6); class 4 is media. */
static enum cd_direction event_status(struct ide_drive *d, uint32_t *bytes)
{
    uint32_t asked = load_be16(d->packet + 7);
    uint8_t *b = clear(d, 8);

    if (!(d->packet[1] & 1))
        return bad_field(d);
    b[3] = 1 << 4; /* classes we have */
    if (!(d->packet[4] & 1 << 4)) {
        b[2] = 0x80; /* none of those asked for */
        store_be16(b, 2);
        return reply(bytes, 4, asked);
    }
    store_be16(b, 6);
    b[2] = 4;
    b[4] = d->event;
    b[5] = (uint8_t)((d->tray_open ? 1 : 0) | (medium_ready(d) ? 2 : 0));
    d->event = EVENT_NONE;
    return reply(bytes, 8, asked);
}

/* ---- what kind of drive and medium --------------------------------------------------
 */

static uint8_t *feature(uint8_t *b, unsigned code, bool persistent, bool current,
                        unsigned extra)
{
    store_be16(b, (uint16_t)code);
    b[2] = (uint8_t)(persistent << 1 | current);
    b[3] = (uint8_t)extra;
    return b + 4;
}

static enum cd_direction get_configuration(struct ide_drive *d, uint32_t *bytes)
{
    unsigned from = load_be16(d->packet + 2), kind = d->packet[1] & 3;
    uint32_t asked = load_be16(d->packet + 7);
    bool medium = medium_ready(d), dvd = medium && is_dvd(d);
    uint8_t *b = clear(d, 128), *at = b + 8;

    if (kind == 3)
        return bad_field(d);
    if (medium)
        store_be16(b + 6, dvd ? PROFILE_DVD_ROM : PROFILE_CD_ROM);
    if (from == 0) {
        at = feature(at, 0, true, true, 8); /* profile list */
        store_be16(at, PROFILE_DVD_ROM);
        at[2] = dvd;
        store_be16(at + 4, PROFILE_CD_ROM);
        at[6] = medium && !dvd;
        at += 8;
    }
    if (from <= 1 && (kind < 2 || from == 1)) {
        at = feature(at, 1, true, true, 8); /* core: ATAPI */
        at[-4 + 2] |= 2 << 2;
        store_be32(at, 2);
        at[4] = 1;
        at += 8;
    }
    if (from <= 3 && (kind < 2 || from == 3)) {
        at = feature(at, 3, true, true, 4); /* removable medium: tray, eject, lock */
        at[0] = 1 << 5 | 1 << 3 | 1 << 0;
        at += 4;
    }
    store_be32(b, (uint32_t)(at - b - 4));
    return reply(bytes, (uint32_t)(at - b), asked);
}

/* READ DVD STRUCTURE (MMC-3, 6.22): format 0, the physical layout, and the list of
 * formats. */
static enum cd_direction read_dvd_structure(struct ide_drive *d, uint32_t *bytes)
{
    uint32_t asked = load_be16(d->packet + 8), sectors = atapi_sectors(d);
    uint8_t *b = clear(d, 2052);

    if (d->packet[1] & 0xf || !is_dvd(d))
        return refuse(d, KEY_ILLEGAL_REQUEST, is_dvd(d) ? ASC_INVALID_FIELD : 0x30, 0);
    switch (d->packet[7]) {
    case 0x00:
        if (d->packet[6])
            return bad_field(d);
        b[4] = 1;    /* DVD-ROM, part version 1 */
        b[5] = 0x0f; /* 120 mm, rate not specified */
        b[6] = 1;    /* one layer, read only */
        store_be32(b + 8, 0x30000);
        store_be32(b + 12, 0x30000 + sectors - 1);
        store_be32(b + 16, 0);
        store_be16(b, 2050);
        return reply(bytes, 2052, asked);
    case 0x01: /* no copy protection */
        store_be16(b, 6);
        return reply(bytes, 8, asked);
    case 0xff:
        b[4] = 0x00;
        b[5] = 0x40; /* readable with this command */
        store_be16(b + 6, 2052);
        b[8] = 0x01;
        b[9] = 0x40;
        store_be16(b + 10, 8);
        store_be16(b, 10);
        return reply(bytes, 12, asked);
    default:
        return bad_field(d);
    }
}

/* ---- mode pages ---------------------------------------------------------------------
 */

static unsigned recovery_page(uint8_t *b)
{
    b[0] = 0x01;
    b[1] = 6;
    b[3] = 5; /* retries */
    return 8;
}

static unsigned audio_page(uint8_t *b)
{
    b[0] = 0x0e;
    b[1] = 14;
    b[2] = 4;
    b[8] = 1;
    b[9] = 0xff;
    b[10] = 2;
    b[11] = 0xff;
    return 16;
}

static unsigned capabilities_page(const struct ide_drive *d, uint8_t *b)
{
    b[0] = 0x2a;
    b[1] = 18;
    b[2] = 0x3b; /* reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R */
    b[4] = 0x70; /* mode 2 forms, multi-session */
    b[6] = (uint8_t)(1 << 5 | 1 << 3 | 1 << 0 | (d->tray_locked ? 1 << 1 : 0));
    store_be16(b + 8, 706); /* KB/s */
    b[11] = 2;
    store_be16(b + 12, 512);
    store_be16(b + 14, 706);
    return 20;
}

static uint8_t medium_type(const struct ide_drive *d)
{
    if (d->tray_open)
        return 0x71;
    return medium_ready(d) ? 0x01 : 0x70;
}

static enum cd_direction mode_sense(struct ide_drive *d, uint32_t *bytes)
{
    unsigned page = d->packet[2] & 0x3f, length = 8;
    bool all = page == 0x3f;
    uint8_t *b = clear(d, 128);

    if (d->packet[2] >> 6 == 3)
        return refuse(d, KEY_ILLEGAL_REQUEST, 0x39, 0); /* saved values */
    if (all || page == 0x01)
        length += recovery_page(b + length);
    if (all || page == 0x0e)
        length += audio_page(b + length);
    if (all || page == 0x2a)
        length += capabilities_page(d, b + length);
    if (length == 8)
        return bad_field(d);
    store_be16(b, (uint16_t)(length - 2));
    b[2] = medium_type(d);
    return reply(bytes, length, load_be16(d->packet + 7));
}

/* ---- the medium ---------------------------------------------------------------------
 */

static enum cd_direction read_capacity(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t *b = clear(d, 8);

    store_be32(b, atapi_sectors(d) - 1);
    store_be32(b + 4, CD_SECTOR);
    return reply(bytes, 8, 8);
}

static void put_address(uint8_t *at, uint32_t lba, bool msf)
{
    if (!msf) {
        store_be32(at, lba);
        return;
    }
    lba += 150; /* two seconds of pregap */
    at[0] = 0;
    at[1] = (uint8_t)(lba / 75 / 60);
    at[2] = (uint8_t)(lba / 75 % 60);
    at[3] = (uint8_t)(lba % 75);
}

static uint8_t *toc_entry(uint8_t *at, uint8_t track, uint32_t lba, bool msf)
{
    at[1] = 0x14; /* data track, position in Q */
    at[2] = track;
    put_address(at + 4, lba, msf);
    return at + 8;
}

/* Format 2: points A0, A1, A2 and the track, in sub-channel form (MMC-3, table 237). */
static uint8_t *full_toc(const struct ide_drive *d, uint8_t *at, bool msf)
{
    static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 0x01};

    for (unsigned i = 0; i < sizeof(points); i++, at += 11) {
        at[0] = 1; /* session */
        at[1] = 0x14;
        at[3] = points[i];
        if (points[i] == 0xa0 || points[i] == 0xa1)
            at[8] = 1; /* first and last track */
        else
            put_address(at + 7, points[i] == 0xa2 ? atapi_sectors(d) : 0, msf);
    }
    return at;
}

static enum cd_direction read_toc(struct ide_drive *d, uint32_t *bytes)
{
    uint32_t asked = load_be16(d->packet + 7);
    unsigned format = d->packet[2] & 0xf, track = d->packet[6];
    bool msf = d->packet[1] & 2;
    uint8_t *b = clear(d, 128), *at = b + 4;

    if (!format)
        format = d->packet[9] >> 6; /* where ATAPI once had it */
    b[2] = b[3] = 1;                /* first and last track or session */
    switch (format) {
    case 0:
        if (track > 1 && track != 0xaa)
            return bad_field(d);
        if (track <= 1)
            at = toc_entry(at, 1, 0, msf);
        at = toc_entry(at, 0xaa, atapi_sectors(d), msf); /* lead-out */
        break;
    case 1:
        at = toc_entry(at, 1, 0, msf);
        break;
    case 2:
        at = full_toc(d, at, true);
        break;
    default:
        return bad_field(d);
    }
    store_be16(b, (uint16_t)(at - b - 2));
    return reply(bytes, (uint32_t)(at - b), asked);
}

static enum cd_direction read_disc_information(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t *b = clear(d, 34);

    if (d->packet[1] & 7)
        return bad_field(d);
    store_be16(b, 32);
    b[2] = 0x0e; /* last session complete, disc finalized */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20; /* unrestricted use */
    return reply(bytes, 34, load_be16(d->packet + 7));
}

static enum cd_direction read_range(struct ide_drive *d, uint32_t lba, uint32_t count)
{
    uint32_t sectors = atapi_sectors(d);

    if (lba > sectors || count > sectors - lba)
        return refuse(d, KEY_ILLEGAL_REQUEST, ASC_LBA_RANGE, 0);
    d->lba = lba;
    d->left = count;
    return CD_READ;
}

static enum cd_direction read_10(struct ide_drive *d, uint32_t *bytes)
{
    return read_range(d, load_be32(d->packet + 2), load_be16(d->packet + 7));
}

static enum cd_direction read_12(struct ide_drive *d, uint32_t *bytes)
{
    uint32_t count = load_be32(d->packet + 6);

    if (count > UINT16_MAX) /* 128 MiB at once is nobody's wish */
        return bad_field(d);
    return read_range(d, load_be32(d->packet + 2), count);
}

/* READ CD: user data of mode 1 sectors only, which is what an image has. */
static enum cd_direction read_cd(struct ide_drive *d, uint32_t *bytes)
{
    uint32_t lba = load_be32(d->packet + 2);
    uint32_t count = (uint32_t)d->packet[6] << 16 | load_be16(d->packet + 7);

    switch (d->packet[9] & 0xf8) {
    case 0x00:
        return CD_NONE;
    case 0x10:
        return count > UINT16_MAX ? bad_field(d) : read_range(d, lba, count);
    default:
        return bad_field(d);
    }
}

static enum cd_direction seek_10(struct ide_drive *d, uint32_t *bytes)
{
    if (load_be32(d->packet + 2) >= atapi_sectors(d))
        return refuse(d, KEY_ILLEGAL_REQUEST, ASC_LBA_RANGE, 0);
    return CD_NONE;
}

static enum cd_direction read_subchannel(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t *b = clear(d, 4);

    b[1] = 0x13; /* audio: completed, which is to say never begun */
    return reply(bytes, 4, load_be16(d->packet + 7));
}

static enum cd_direction set_speed(struct ide_drive *d, uint32_t *bytes)
{
    return CD_NONE;
}

/* ---- dispatch -----------------------------------------------------------------------
 */

static const struct {
    uint8_t code, flags;
    packet_handler run;
} packets[] = {
    {0x00, NEEDS_MEDIUM, test_unit_ready},
    {0x03, ALLOWED_IN_ATTENTION, request_sense},
    {0x12, ALLOWED_IN_ATTENTION, inquiry},
    {0x1b, 0, start_stop},
    {0x1e, 0, prevent_removal},
    {0x25, NEEDS_MEDIUM, read_capacity},
    {0x28, NEEDS_MEDIUM, read_10},
    {0x2b, NEEDS_MEDIUM, seek_10},
    {0x42, NEEDS_MEDIUM, read_subchannel},
    {0x43, NEEDS_MEDIUM, read_toc},
    {0x46, ALLOWED_IN_ATTENTION, get_configuration},
    {0x4a, ALLOWED_IN_ATTENTION, event_status},
    {0x51, NEEDS_MEDIUM, read_disc_information},
    {0x5a, 0, mode_sense},
    {0xa8, NEEDS_MEDIUM, read_12},
    {0xad, NEEDS_MEDIUM, read_dvd_structure},
    {0xbb, 0, set_speed},
    {0xbd, 0, mechanism_status},
    {0xbe, NEEDS_MEDIUM, read_cd},
};

enum cd_direction atapi_execute(struct ide_drive *d, uint32_t *bytes)
{
    uint8_t code = d->packet[0];

    for (unsigned i = 0; i < ARRAY_LEN(packets); i++) {
        if (packets[i].code != code)
            continue;
        if (d->attention && !(packets[i].flags & ALLOWED_IN_ATTENTION)) {
            d->attention = false;
            return refuse(d, KEY_UNIT_ATTENTION, ASC_MEDIUM_CHANGED, 0);
        }
        if (packets[i].flags & NEEDS_MEDIUM && !medium_ready(d))
            return refuse(d, KEY_NOT_READY, ASC_NO_MEDIUM,
                          d->tray_open ? ASCQ_TRAY_OPEN : ASCQ_TRAY_CLOSED);
        if (code != 0x03)
            atapi_sense(d, KEY_NONE, 0, 0);
        return packets[i].run(d, bytes);
    }
    dev_log(&d->dev, LOG_DEBUG, "packet command %#x is not known", code);
    return refuse(d, KEY_ILLEGAL_REQUEST, ASC_INVALID_COMMAND, 0);
}

void atapi_medium_changed(struct ide_drive *d)
{
    bool there = d->blk && block_has_medium(d->blk);

    d->tray_open = false;
    d->attention = there;
    d->event = there ? EVENT_NEW_MEDIUM : EVENT_REMOVED;
}

void atapi_eject_request(struct ide_drive *d)
{
    d->event = EVENT_EJECT;
}
