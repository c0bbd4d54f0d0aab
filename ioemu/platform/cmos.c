/*
 * CMOS RAM behind ports 0x70/0x71.  The clock itself (indices 0x00 to 0x0D of an
 * MC146818) is the hypervisor's, which passes on the other indices; where there is no
 * hypervisor the clock registers here show the host's time and cannot be set.
 *
 * The contents are what firmware of a PC leaves there: sizes of memory, number of CPUs,
 * boot order, century.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <time.h>

#include "../../devmodel/device.h"

enum {
    BASE = 0x70,
    RAM_BYTES = 128,
    CLOCK_BYTES = 14,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_D = 0x0d,
    REG_B_24H = 1 << 1,
    REG_D_VALID = 1 << 7,

    /* Why the processor begins at its reset vector, for the firmware. */
    SHUTDOWN_STATUS = 0x0f,
    SHUTDOWN_S3 = 0xfe, /* it was asleep: SeaBIOS then goes to the waking vector */
    EQUIPMENT = 0x14,
    BASE_MEMORY = 0x15, /* KiB, 2 bytes */
    EXTENDED = 0x17,    /* KiB above 1 MiB, 2 bytes */
    EXTENDED_2 = 0x30,  /* the same */
    CENTURY = 0x32,
    ABOVE_16M = 0x34, /* 64 KiB units, 2 bytes */
    BOOT_FLAGS = 0x38,
    BOOT_ORDER = 0x3d,
    ABOVE_4G = 0x5b, /* 64 KiB units, 3 bytes */
    OTHER_CPUS = 0x5f,
};

struct cmos {
    struct device dev;
    struct io_region ports;
    uint8_t index;
    uint8_t ram[RAM_BYTES];
};

static uint8_t bcd(int value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static uint8_t clock_register(const struct cmos *s)
{
    time_t now = time(NULL);
    struct tm t;

    gmtime_r(&now, &t);
    switch (s->index) {
    case 0:
        return bcd(t.tm_sec);
    case 2:
        return bcd(t.tm_min);
    case 4:
        return bcd(t.tm_hour);
    case 6:
        return bcd(t.tm_wday + 1);
    case 7:
        return bcd(t.tm_mday);
    case 8:
        return bcd(t.tm_mon + 1);
    case 9:
        return bcd(t.tm_year % 100);
    default:
        return s->ram[s->index];
    }
}

static uint64_t cmos_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct cmos *s = opaque;

    if (!offset)
        return 0xff;
    return s->index < REG_A ? clock_register(s) : s->ram[s->index];
}

static void cmos_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct cmos *s = opaque;

    if (!offset)
        s->index = value & (RAM_BYTES - 1); /* bit 7 masks NMI */
    else if (s->index >= CLOCK_BYTES)
        s->ram[s->index] = (uint8_t)value;
}

static const struct io_ops cmos_io = {
    .read = cmos_read,
    .write = cmos_write,
    .max_size = 1,
};

static uint32_t limited(uint64_t value, uint32_t most)
{
    return value < most ? (uint32_t)value : most;
}

/* Boot devices as SeaBIOS reads them from a CMOS: 2 disk, 3 CD-ROM, 4 network. */
static uint8_t boot_nibble(const char *order, size_t n)
{
    if (!order || strlen(order) <= n)
        return 0;
    return order[n] == 'c' ? 2 : order[n] == 'd' ? 3 : order[n] == 'n' ? 4 : 1;
}

static void fill(struct cmos *s)
{
    const struct board *b = machine_board(&s->dev);
    time_t now = time(NULL);
    struct tm t;
    uint8_t *ram = s->ram;

    gmtime_r(&now, &t);
    memset(ram, 0, RAM_BYTES);
    ram[REG_A] = 0x26;
    ram[REG_B] = REG_B_24H;
    ram[REG_D] = REG_D_VALID;
    ram[EQUIPMENT] = 0x06; /* FPU, PS/2 mouse */
    store_le16(ram + BASE_MEMORY, 640);
    uint64_t above_1m = b->ram_below_4g > (1 << 20) ? (b->ram_below_4g >> 10) - 1024 : 0;
    store_le16(ram + EXTENDED, (uint16_t)limited(above_1m, 0xffff));
    store_le16(ram + EXTENDED_2, (uint16_t)limited(above_1m, 0xffff));
    uint64_t above_16m = b->ram_below_4g > (16 << 20) ? b->ram_below_4g - (16 << 20) : 0;
    store_le16(ram + ABOVE_16M, (uint16_t)limited(above_16m >> 16, 0xffff));
    uint32_t above_4g = limited(b->ram_above_4g >> 16, 0xffffff);
    store_le16(ram + ABOVE_4G, (uint16_t)above_4g);
    ram[ABOVE_4G + 2] = (uint8_t)(above_4g >> 16);
    ram[OTHER_CPUS] = (uint8_t)(b->cpus - 1);
    ram[CENTURY] = bcd((t.tm_year + 1900) / 100);
    ram[BOOT_FLAGS] = (uint8_t)(boot_nibble(b->boot_order, 2) << 4);
    ram[BOOT_ORDER] =
        (uint8_t)(boot_nibble(b->boot_order, 0) | boot_nibble(b->boot_order, 1) << 4);
}

static int cmos_create(struct device *dev, struct error *error)
{
    struct cmos *s = (struct cmos *)dev;

    fill(s);
    io_region_init(&s->ports, dev, "cmos", IO_PORT, 2, &cmos_io, s);
    return io_region_map(&s->ports, BASE);
}

static void cmos_sleep(struct device *dev)
{
    ((struct cmos *)dev)->ram[SHUTDOWN_STATUS] = SHUTDOWN_S3;
}

static int cmos_state(struct device *dev, struct state *state)
{
    struct cmos *s = (struct cmos *)dev;
    uint32_t index = s->index;

    state_range(state, "index", &index, 0, RAM_BYTES - 1);
    s->index = (uint8_t)index;
    return state_bytes(state, "ram", s->ram, sizeof(s->ram));
}

static int cmos_load(struct device *dev, struct state *state, uint32_t version)
{
    return cmos_state(dev, state);
}

static void cmos_destroy(struct device *dev)
{
    io_region_unmap(&((struct cmos *)dev)->ports);
}

/* No reset: the battery keeps it. */
static const struct device_ops cmos_ops = {
    .name = "cmos",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct cmos),
    .version = 1,
    .create = cmos_create,
    .save = cmos_state,
    .load = cmos_load,
    .sleep = cmos_sleep,
    .destroy = cmos_destroy,
};
REGISTER_DEVICE(cmos_ops);
