/*
 * The firmware's debug port (0x402, as SeaBIOS and OVMF know it from QEMU and Bochs):
 * reads give 0xe9, what is written goes to a file, or line by line to the log at debug
 * level.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../devmodel/device.h"

enum { PRESENT = 0xe9 };

struct debugcon {
    struct device dev;
    struct io_region port;
    uint32_t iobase;
    const char *path;
    struct char_backend *chardev;
    FILE *file;
    char line[200];
    unsigned length;
};

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    return PRESENT;
}

static void debugcon_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugcon *s = opaque;
    uint8_t byte = (uint8_t)value;

    if (s->chardev) {
        char_write(s->chardev, &byte, 1);
    } else if (s->file) {
        putc(byte, s->file);
        if (byte == '\n')
            fflush(s->file);
    } else {
        if (byte != '\n')
            s->line[s->length++] = (char)byte;
        if (byte == '\n' || s->length == sizeof(s->line) - 1) {
            s->line[s->length] = 0;
            s->length = 0;
            dev_log(&s->dev, LOG_DEBUG, "%s", s->line);
        }
    }
}

static const struct io_ops debugcon_io = {
    .read = debugcon_read,
    .write = debugcon_write,
    .max_size = 1,
};

static int debugcon_create(struct device *dev, struct error *error)
{
    struct debugcon *s = (struct debugcon *)dev;

    if (s->path && !(s->file = fopen(s->path, "we")))
        return error_set(error, -errno, "cannot write '%s': %s", s->path,
                         strerror(errno));
    io_region_init(&s->port, dev, "debugcon", IO_PORT, 1, &debugcon_io, s);
    int err = io_region_map(&s->port, s->iobase);
    if (err && s->file)
        fclose(s->file);
    return err;
}

static void debugcon_destroy(struct device *dev)
{
    struct debugcon *s = (struct debugcon *)dev;

    io_region_unmap(&s->port);
    if (s->file)
        fclose(s->file);
}

static const struct option_desc debugcon_options[] = {
    OPTION("iobase", U32, struct debugcon, iobase, "0x402", "port"),
    OPTION("file", STRING, struct debugcon, path, NULL, "where the text goes"),
    OPTION("chardev", CHAR, struct debugcon, chardev, NULL, "where the text goes"),
    {0},
};

static const struct device_ops debugcon_ops = {
    .name = "debugcon",
    .alias = "isa-debugcon",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct debugcon),
    .version = 1,
    .options = debugcon_options,
    .create = debugcon_create,
    .destroy = debugcon_destroy,
};
REGISTER_DEVICE(debugcon_ops);
