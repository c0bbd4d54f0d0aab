/*
 * The state stream: a header, then one record per device.
 *
 *   stream: "CORBELDM" u32 format
 *   record: u32 bytes, id[32], type[32], u32 version, fields
 *   field:  u8 length of name, name, u32 bytes, data
 * Numbers are little-endian.  A record with 0 bytes ends the stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define STREAM_MAGIC   "CORBELDM"
#define STREAM_FORMAT  1u
#define RECORD_LARGEST (64u << 20)
#define NAME_BYTES     32

struct state {
    bool loading;
    int err;
    uint8_t *data;
    size_t bytes, room, at;
    char why[200];
};

bool state_loading(const struct state *s)
{
    return s->loading;
}

int state_error(const struct state *s)
{
    return s->err;
}

int state_fail(struct state *s, const char *format, ...)
{
    va_list args;

    if (s->err)
        return s->err;
    va_start(args, format);
    vsnprintf(s->why, sizeof(s->why), format, args);
    va_end(args);
    s->err = -EINVAL;
    return s->err;
}

static void append(struct state *s, const void *data, size_t bytes)
{
    if (s->bytes + bytes > s->room) {
        s->room = (s->bytes + bytes) * 2;
        s->data = must_realloc(s->data, s->room);
    }
    if (bytes)
        memcpy(s->data + s->bytes, data, bytes);
    s->bytes += bytes;
}

int state_bytes(struct state *s, const char *name, void *data, size_t bytes)
{
    size_t length = strlen(name);
    uint8_t header[4];

    if (s->err)
        return s->err;
    if (!s->loading) {
        uint8_t short_length = (uint8_t)length;
        store_le32(header, (uint32_t)bytes);
        append(s, &short_length, 1);
        append(s, name, length);
        append(s, header, sizeof(header));
        append(s, data, bytes);
        return 0;
    }
    const uint8_t *at = s->data + s->at;
    size_t left = s->bytes - s->at;
    if (left < 1 + length + 4 || at[0] != length || memcmp(at + 1, name, length) != 0)
        return state_fail(s, "field '%s' is not where it should be", name);
    if (load_le32(at + 1 + length) != bytes || left - 5 - length < bytes)
        return state_fail(s, "field '%s' has %u bytes, not %zu", name,
                          load_le32(at + 1 + length), bytes);
    memcpy(data, at + 5 + length, bytes);
    s->at += 5 + length + bytes;
    return 0;
}

int state_u8(struct state *s, const char *name, uint8_t *value)
{
    return state_bytes(s, name, value, 1);
}

int state_u16(struct state *s, const char *name, uint16_t *value)
{
    uint8_t b[2];

    store_le16(b, *value);
    int err = state_bytes(s, name, b, sizeof(b));
    if (!err)
        *value = load_le16(b);
    return err;
}

int state_u32(struct state *s, const char *name, uint32_t *value)
{
    uint8_t b[4];

    store_le32(b, *value);
    int err = state_bytes(s, name, b, sizeof(b));
    if (!err)
        *value = load_le32(b);
    return err;
}

int state_u64(struct state *s, const char *name, uint64_t *value)
{
    uint8_t b[8];

    store_le64(b, *value);
    int err = state_bytes(s, name, b, sizeof(b));
    if (!err)
        *value = load_le64(b);
    return err;
}

int state_i64(struct state *s, const char *name, int64_t *value)
{
    uint64_t u = (uint64_t)*value;
    int err = state_u64(s, name, &u);

    if (!err)
        *value = (int64_t)u;
    return err;
}

int state_bool(struct state *s, const char *name, bool *value)
{
    uint8_t b = *value;
    int err = state_u8(s, name, &b);

    if (!err && b > 1)
        return state_fail(s, "field '%s' is %u, not 0 or 1", name, b);
    if (!err)
        *value = b;
    return err;
}

int state_range(struct state *s, const char *name, uint32_t *value, uint32_t low,
                uint32_t high)
{
    uint32_t v = *value;
    int err = state_u32(s, name, &v);

    if (!err && s->loading && (v < low || v > high))
        return state_fail(s, "field '%s' is %u, not %u to %u", name, v, low, high);
    if (!err)
        *value = v;
    return err;
}

int state_vtimer(struct state *s, const char *name, struct vtimer *t)
{
    int64_t deadline = vtimer_armed(t) ? t->deadline : -1;
    int err = state_i64(s, name, &deadline);

    if (err || !s->loading)
        return err;
    if (deadline < 0)
        vtimer_cancel(t);
    else
        vtimer_set(t, deadline);
    return 0;
}

/* ---- the stream ---------------------------------------------------------------------
 */

static int write_all(int fd, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    while (bytes) {
        ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int read_all(int fd, void *data, size_t bytes)
{
    uint8_t *at = data;

    while (bytes) {
        ssize_t n = read(fd, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -ENODATA;
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int save_device(struct device *dev, int fd, struct error *error)
{
    struct state s = {0};
    char names[2 * NAME_BYTES] = {0};
    uint8_t number[4] = {0};

    append(&s, number, 4); /* the length, filled in below */
    memcpy(names, dev->id, strnlen(dev->id, NAME_BYTES - 1));
    memcpy(names + NAME_BYTES, dev->ops->name, strnlen(dev->ops->name, NAME_BYTES - 1));
    append(&s, names, sizeof(names));
    store_le32(number, dev->ops->version);
    append(&s, number, 4);
    int err = dev->ops->save(dev, &s);
    if (!err)
        err = s.err;
    store_le32(s.data, (uint32_t)s.bytes);
    if (err)
        error_set(error, err, "cannot save %s: %s", dev->id, s.why);
    else if ((err = write_all(fd, s.data, s.bytes)))
        error_set(error, err, "cannot write the state: %s", strerror(-err));
    free(s.data);
    return err;
}

static int save_from(struct device *dev, int fd, struct error *error)
{
    /* Oldest first: a drive needs its controller. */
    if (!dev)
        return 0;
    int err = save_from(dev->next, fd, error);
    if (!err && dev->ops->save)
        err = save_device(dev, fd, error);
    return err;
}

int machine_save(struct machine *m, int fd, struct error *error)
{
    uint8_t header[12] = STREAM_MAGIC, end[4] = {0};

    store_le32(header + 8, STREAM_FORMAT);
    int err = write_all(fd, header, sizeof(header));
    if (err)
        return error_set(error, err, "cannot write the state: %s", strerror(-err));
    err = save_from(m->devices, fd, error);
    if (!err && (err = write_all(fd, end, sizeof(end))))
        error_set(error, err, "cannot write the state: %s", strerror(-err));
    return err;
}

static int load_record(struct machine *m, struct state *s, struct error *error)
{
    char id[NAME_BYTES], type[NAME_BYTES];

    if (s->bytes < 2 * NAME_BYTES + 4)
        return error_set(error, -EINVAL, "a state record is too short");
    memcpy(id, s->data, NAME_BYTES);
    memcpy(type, s->data + NAME_BYTES, NAME_BYTES);
    id[NAME_BYTES - 1] = type[NAME_BYTES - 1] = 0;
    uint32_t version = load_le32(s->data + 2 * NAME_BYTES);
    s->at = 2 * NAME_BYTES + 4;
    struct device *dev = device_by_id(m, id);
    if (!dev || strncmp(dev->ops->name, type, NAME_BYTES - 1) != 0 || !dev->ops->load)
        return error_set(error, -ENODEV,
                         "the state has a %s called %s, this machine has not", type, id);
    if (version > dev->ops->version)
        return error_set(error, -EPROTO, "%s: state version %u is newer than ours, %u",
                         id, version, dev->ops->version);
    int err = dev->ops->load(dev, s, version);
    if (!err)
        err = s->err;
    if (!err && s->at != s->bytes)
        err = state_fail(s, "%zu bytes too many", s->bytes - s->at);
    return err ? error_set(error, err, "%s: bad state: %s", id, s->why) : 0;
}

int machine_load(struct machine *m, int fd, struct error *error)
{
    uint8_t header[12], number[4];
    int err = read_all(fd, header, sizeof(header));

    if (err)
        return error_set(error, err, "cannot read the state: %s", strerror(-err));
    if (memcmp(header, STREAM_MAGIC, 8) != 0 || load_le32(header + 8) != STREAM_FORMAT)
        return error_set(error, -EINVAL, "this is not a state of a device model");
    for (;;) {
        struct state s = {.loading = true};
        err = read_all(fd, number, sizeof(number));
        if (err)
            return error_set(error, err, "cannot read the state: %s", strerror(-err));
        uint32_t bytes = load_le32(number);
        if (!bytes)
            return 0;
        if (bytes < 4 || bytes > RECORD_LARGEST)
            return error_set(error, -EINVAL, "a state record of %u bytes", bytes);
        s.bytes = bytes - 4;
        s.data = must_alloc(s.bytes);
        err = read_all(fd, s.data, s.bytes);
        if (err)
            error_set(error, err, "cannot read the state: %s", strerror(-err));
        else
            err = load_record(m, &s, error);
        free(s.data);
        if (err)
            return err;
    }
}
