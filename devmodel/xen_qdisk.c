/*
 * The xenstore side of qdisk: for each directory backend/qdisk/DOMID/DEVICE the states of
 * both ends (xen/io/xenbus.h), what the drive offers, and the image behind it.
 *
 *   toolstack              this process                     guest's front end
 *   state=Initialising     opens the image, offers, InitWait
 *                                                           ring-ref, ..., Initialised
 *                          maps the ring, Connected         Connected
 *   online=0, Closing
 *                          sees it (or the guest) close     Closing, Closed
 *                          lets go of the ring, Closed
 *   removes the directory  forgets the drive
 *
 * What the guest writes is read once, as numbers in a range.  An image that comes while
 * the guest runs is opened from inside the sandbox; for formats other than raw the opener
 * outside of it reads in xenstore which one that is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen_qdisk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>

#include "block.h"
#include "xen_blkif.h"

#define PATH            256u
#define QDISKS          "/local/domain/0/backend/qdisk/%u"
#define DEVICES_MOST    64u
#define EVENTS_AT_ONCE  32u
#define CHANGES_AT_ONCE 64u /* in xenstore: the guest may write faster than we look */
#define WATCH_BACKENDS  "qdisks" /* tokens; of a front end it is its path */

struct qdisk {
    struct qdisks *all;
    char device[24]; /* name of the directory: a number */
    char back[PATH + 32], front[PATH];
    enum xenbus_state state;
    struct block_backend *drive;
    bool own_drive; /* opened for this, not an emulated drive's */
    bool read_only;
    bool changed;       /* its front end wrote something since the last look */
    struct blkif *ring; /* while connected */
    struct qdisk *next;
};

struct qdisks {
    struct machine *machine;
    struct xs_handle *store;
    unsigned domid;
    char path[PATH]; /* of all */
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    uv_poll_t store_poll, event_poll;
    bool polling;
    struct qdisk *first;
    unsigned count;
};

/* ---- xenstore -----------------------------------------------------------------------
 */

/* The value is the caller's to free; NULL: none. */
static char *store_read(struct qdisks *q, const char *directory, const char *name)
{
    char path[PATH + 64];
    unsigned bytes;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return xs_read(q->store, XBT_NULL, path, &bytes);
}

static bool store_number(struct qdisks *q, const char *directory, const char *name,
                         uint64_t most, uint64_t *value)
{
    char *text = store_read(q, directory, name);
    bool good = text && !parse_u64(text, value) && *value <= most;

    free(text);
    return good;
}

static bool store_text_is(struct qdisks *q, const char *directory, const char *name,
                          const char *expected)
{
    char *text = store_read(q, directory, name);
    bool same = text && strcmp(text, expected) == 0;

    free(text);
    return same;
}

static void store_write(struct qdisks *q, const char *directory, const char *name,
                        uint64_t value)
{
    char path[PATH + 64], text[24];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    if (!xs_write(q->store, XBT_NULL, path, text, (unsigned)n))
        dev_log(NULL, LOG_WARNING, "cannot write %s: %s", path, strerror(errno));
}

static enum xenbus_state state_of(struct qdisks *q, const char *directory)
{
    uint64_t state;

    return store_number(q, directory, "state", XenbusStateReconfigured, &state)
               ? (enum xenbus_state)state
               : XenbusStateUnknown;
}

static void set_state(struct qdisk *d, enum xenbus_state state)
{
    if (d->state != state)
        store_write(d->all, d->back, "state", state);
    d->state = state;
}

/* ---- images -------------------------------------------------------------------------
 */

/* FORMAT:FILE as libxl writes it; `aio` and no format at all are raw. */
static const char *split_params(char *params, const char **format)
{
    char *colon = strchr(params, ':'), *slash = strchr(params, '/');

    *format = "raw";
    if (!colon || (slash && slash < colon))
        return params;
    *colon = 0;
    if (strcmp(params, "aio") != 0)
        *format = params;
    return colon + 1;
}

static struct block_backend *emulated_drive(struct machine *m, const char *file)
{
    for (struct block_backend *b = m->blocks; b; b = b->next) {
        if (b->file && !b->cdrom && strcmp(b->file, file) == 0)
            return b;
    }
    return NULL;
}

static int open_drive(struct qdisk *d, const char *file, const char *format,
                      struct error *error)
{
    struct options o = {.text = must_strdup("qdisk")};
    char id[40];

    snprintf(id, sizeof(id), "qdisk-%s", d->device);
    options_add(&o, "id", id);
    options_add(&o, "qdisk", d->device);
    options_add(&o, "format", format);
    options_add(&o, "readonly", d->read_only ? "on" : "off");
    options_add(&o, "file", file);
    int err = block_add(d->all->machine, &o, error);
    options_free(&o);
    if (err)
        return err;
    d->drive = block_by_id(d->all->machine, id);
    d->own_drive = true;
    return 0;
}

/* The image behind the device; of an emulated drive, that drive: one writer only. */
static int find_drive(struct qdisk *d, struct error *error)
{
    char *params = store_read(d->all, d->back, "params");
    const char *format;

    if (!params)
        return error_set(error, -ENOENT, "disk %s: xenstore has no params", d->device);
    const char *file = split_params(params, &format);
    d->read_only = !store_text_is(d->all, d->back, "mode", "w");
    d->drive = emulated_drive(d->all->machine, file);
    int err = d->drive ? 0 : open_drive(d, file, format, error);
    free(params);
    return err;
}

int qdisk_lookup(void *opaque, const char *device, struct opener_image *image)
{
    struct qdisks q = {.domid = *(const unsigned *)opaque};
    const char *format, *file;
    char path[PATH];
    int err = -ENOENT;

    if (strspn(device, "0123456789") != strlen(device) || !(q.store = xs_open(0)))
        return -EINVAL;
    snprintf(path, sizeof(path), QDISKS "/%s", q.domid, device);
    char *params = store_read(&q, path, "params");
    image->read_only = !store_text_is(&q, path, "mode", "w");
    if (params) {
        file = split_params(params, &format);
        int n = snprintf(image->file, sizeof(image->file), "%s", file);
        int k = snprintf(image->format, sizeof(image->format), "%s", format);
        err = n < (int)sizeof(image->file) && k < (int)sizeof(image->format)
                  ? 0
                  : -ENAMETOOLONG;
    }
    free(params);
    xs_close(q.store);
    return err;
}

/* ---- states -------------------------------------------------------------------------
 */

static void offer(struct qdisk *d)
{
    struct qdisks *q = d->all;
    bool discard = !d->read_only && !store_text_is(q, d->back, "discard-enable", "0");

    store_write(q, d->back, "feature-flush-cache", 1);
    store_write(q, d->back, "feature-discard", discard);
    store_write(q, d->back, "feature-max-indirect-segments", BLKIF_SEGMENTS_MOST);
    store_write(q, d->back, "max-ring-page-order", BLKIF_RING_ORDER);
    store_write(q, d->back, "feature-persistent", 0);
    set_state(d, XenbusStateInitWait);
}

/* What the front end has written, into `c`; false: something is missing or absurd. */
static bool read_front(struct qdisk *d, struct blkif_config *c)
{
    struct qdisks *q = d->all;
    uint64_t value, order = 0;
    char *protocol = store_read(q, d->front, "protocol");

    c->x86_32 = protocol && strcmp(protocol, XEN_IO_PROTO_ABI_X86_32) == 0;
    bool known = !protocol || c->x86_32 || strcmp(protocol, XEN_IO_PROTO_ABI_X86_64) == 0;
    free(protocol);
    if (!known || !store_number(q, d->front, "event-channel", UINT32_MAX, &value))
        return false;
    c->remote_port = (uint32_t)value;
    bool several = store_number(q, d->front, "ring-page-order", BLKIF_RING_ORDER, &order);
    c->ring_pages = 1u << order;
    for (unsigned i = 0; i < c->ring_pages; i++) {
        char name[16] = "ring-ref";
        if (several)
            snprintf(name, sizeof(name), "ring-ref%u", i);
        bool there = store_number(q, d->front, name, UINT32_MAX, &value);
        if (!there && several && !order) /* one page, under its old name */
            there = store_number(q, d->front, "ring-ref", UINT32_MAX, &value);
        if (!there)
            return false;
        c->ring_ref[i] = (uint32_t)value;
    }
    return true;
}

static void connect_ring(struct qdisk *d)
{
    struct qdisks *q = d->all;
    struct blkif_config c = {
        .machine = q->machine,
        .gnttab = q->gnttab,
        .evtchn = q->evtchn,
        .domid = q->domid,
        .drive = d->drive,
        .read_only = d->read_only || block_read_only(d->drive),
    };
    struct error error = {.text = "what the guest wrote makes no sense"};

    if (!read_front(d, &c) || !(d->ring = blkif_connect(&c, &error))) {
        dev_log(NULL, LOG_WARNING, "disk %s of the guest: %s", d->device, error.text);
        set_state(d, XenbusStateClosed);
        return;
    }
    store_write(q, d->back, "sectors", block_bytes(d->drive) / BLKIF_SECTOR);
    store_write(q, d->back, "sector-size", BLKIF_SECTOR);
    store_write(q, d->back, "info", c.read_only ? 4 : 0); /* VDISK_READONLY */
    set_state(d, XenbusStateConnected);
    blkif_event(d->ring);
}

static void let_go(struct qdisk *d)
{
    if (d->ring)
        blkif_disconnect(d->ring);
    d->ring = NULL;
}

static bool is_closed(enum xenbus_state state)
{
    return state == XenbusStateClosed || state == XenbusStateUnknown ||
           state == XenbusStateInitialising;
}

/* Either end has changed. */
static void look_at(struct qdisk *d)
{
    struct qdisks *q = d->all;
    enum xenbus_state front = state_of(q, d->front), back = state_of(q, d->back);
    bool leaving = store_text_is(q, d->back, "online", "0");

    if (back == XenbusStateClosing && d->state != XenbusStateClosed) /* the toolstack */
        d->state = XenbusStateClosing;
    switch (d->state) {
    case XenbusStateInitWait:
        if (front == XenbusStateInitialised || front == XenbusStateConnected)
            connect_ring(d);
        else if (leaving && is_closed(front))
            set_state(d, XenbusStateClosed);
        break;
    case XenbusStateConnected:
        if (front == XenbusStateClosing) {
            let_go(d);
            set_state(d, XenbusStateClosing);
        } else if (is_closed(front)) {
            let_go(d);
            set_state(d, XenbusStateClosed);
        }
        break;
    case XenbusStateClosing:
        if (is_closed(front)) {
            let_go(d);
            set_state(d, XenbusStateClosed);
        }
        break;
    case XenbusStateClosed: /* a driver that was loaded again, or kexec */
        if (!leaving && front == XenbusStateInitialising)
            offer(d);
        break;
    default:
        break;
    }
}

/* ---- devices that come and go -------------------------------------------------------
 */

static struct qdisk *by_device(struct qdisks *q, const char *device)
{
    struct qdisk *d = q->first;

    while (d && strcmp(d->device, device) != 0)
        d = d->next;
    return d;
}

static void forget(struct qdisk *d)
{
    struct qdisks *q = d->all;

    for (struct qdisk **at = &q->first; *at; at = &(*at)->next) {
        if (*at == d) {
            *at = d->next;
            q->count--;
            break;
        }
    }
    let_go(d);
    if (*d->front)
        xs_unwatch(q->store, d->front, d->front);
    if (d->own_drive)
        block_remove(d->drive);
    free(d);
}

/* CD-ROMs stay with the emulated drive: guests do not take them from here. */
static bool is_cdrom(struct qdisks *q, const char *back)
{
    return store_text_is(q, back, "device-type", "cdrom");
}

static int add(struct qdisks *q, const char *device, struct error *error)
{
    struct qdisk *d = must_alloc(sizeof(*d));
    int err = 0;

    d->all = q;
    snprintf(d->device, sizeof(d->device), "%s", device);
    snprintf(d->back, sizeof(d->back), "%s/%s", q->path, device);
    char *front = store_read(q, d->back, "frontend");
    if (is_cdrom(q, d->back) || !front || strlen(front) >= sizeof(d->front) ||
        state_of(q, d->back) != XenbusStateInitialising) {
        free(front); /* none of ours, or not written to its end yet */
        free(d);
        return 0;
    }
    if (q->count == DEVICES_MOST)
        err = error_set(error, -ENOSPC, "disk %s: more than %u", device, DEVICES_MOST);
    else
        err = find_drive(d, error);
    if (err) {
        set_state(d, XenbusStateClosed); /* and is not tried again */
        free(front);
        free(d);
        return err;
    }
    strcpy(d->front, front);
    free(front);
    d->next = q->first;
    q->first = d;
    q->count++;
    offer(d);
    if (!xs_watch(q->store, d->front, d->front))
        return error_set(error, -errno, "cannot watch %s: %s", d->front, strerror(errno));
    return 0;
}

static bool is_listed(char **list, unsigned count, const char *device)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(list[i], device) == 0)
            return true;
    }
    return false;
}

/* Something below backend/qdisk/DOMID has changed. */
static int scan(struct qdisks *q, struct error *error)
{
    unsigned count = 0;
    int err = 0;
    char **list = xs_directory(q->store, XBT_NULL, q->path, &count);

    for (struct qdisk *d = q->first, *next; d; d = next) {
        next = d->next;
        if (!is_listed(list, list ? count : 0, d->device))
            forget(d);
    }
    for (unsigned i = 0; list && i < count && !err; i++) {
        struct qdisk *d = by_device(q, list[i]);
        if (d)
            look_at(d);
        else if (strlen(list[i]) < sizeof(d->device))
            err = add(q, list[i], error);
    }
    free(list);
    return err;
}

static void store_changed(uv_poll_t *handle, int status, int events)
{
    struct qdisks *q = handle->data;
    struct error error;
    bool backends = false;
    char **watch;

    /* What is left keeps the descriptor readable. Many changes need one look. */
    for (unsigned n = 0; n < CHANGES_AT_ONCE && (watch = xs_check_watch(q->store)); n++) {
        const char *token = watch[XS_WATCH_TOKEN];
        bool ours = strcmp(token, WATCH_BACKENDS) == 0;
        backends |= ours;
        for (struct qdisk *d = ours ? NULL : q->first; d; d = d->next)
            d->changed |= strcmp(token, d->front) == 0;
        free(watch);
    }
    for (struct qdisk *d = q->first; d; d = d->next) {
        if (d->changed) {
            d->changed = false;
            look_at(d);
        }
    }
    if (backends && scan(q, &error))
        dev_log(NULL, LOG_ERROR, "%s", error.text);
}

static void ring_event(uv_poll_t *handle, int status, int events)
{
    struct qdisks *q = handle->data;
    evtchn_port_t port[EVENTS_AT_ONCE];
    ssize_t n = read(xenevtchn_fd(q->evtchn), port, sizeof(port));

    for (ssize_t i = 0; i < n / (ssize_t)sizeof(port[0]); i++) {
        xenevtchn_unmask(q->evtchn, port[i]); /* first: what comes now is an event */
        for (struct qdisk *d = q->first; d; d = d->next) {
            if (d->ring && blkif_port(d->ring) == port[i])
                blkif_event(d->ring);
        }
    }
}

/* ---- start and end ------------------------------------------------------------------
 */

static int open_handles(struct qdisks *q, struct error *error)
{
    q->gnttab = xengnttab_open(NULL, 0);
    q->evtchn = xenevtchn_open(NULL, 0);
    if (!q->gnttab || !q->evtchn)
        return error_set(error, -errno,
                         "paravirtual disks: no grants or event channels (%s); are "
                         "xen-gntdev and xen-evtchn loaded?",
                         strerror(errno));
    if (xenevtchn_restrict(q->evtchn, (domid_t)q->domid))
        return error_set(error, -errno, "paravirtual disks: %s", strerror(errno));
    if (!xs_watch(q->store, q->path, WATCH_BACKENDS))
        return error_set(error, -errno, "cannot watch %s: %s", q->path, strerror(errno));
    return 0;
}

static void poll_handles(struct qdisks *q)
{
    uv_poll_init(&q->machine->loop, &q->store_poll, xs_fileno(q->store));
    uv_poll_init(&q->machine->loop, &q->event_poll, xenevtchn_fd(q->evtchn));
    q->store_poll.data = q->event_poll.data = q;
    uv_poll_start(&q->store_poll, UV_READABLE, store_changed);
    uv_poll_start(&q->event_poll, UV_READABLE, ring_event);
    q->polling = true;
}

int qdisks_refuse(struct xs_handle *store, unsigned domid, struct error *error)
{
    struct qdisks q = {.store = store, .domid = domid};
    unsigned count = 0;
    char path[PATH];
    int err = 0;

    snprintf(q.path, sizeof(q.path), QDISKS, domid);
    char **list = xs_directory(store, XBT_NULL, q.path, &count);
    for (unsigned i = 0; list && i < count && !err; i++) {
        snprintf(path, sizeof(path), "%.100s/%.24s", q.path, list[i]);
        if (!is_cdrom(&q, path))
            err = error_set(error, -ENOTSUP,
                            "disk %s: dm_restrict=1 leaves no qdisk, whose grants reach "
                            "beyond the domain; use backendtype=phy",
                            list[i]);
    }
    free(list);
    return err;
}

struct qdisks *qdisks_start(struct machine *m, struct xs_handle *store, unsigned domid,
                            struct error *error)
{
    struct qdisks *q = must_alloc(sizeof(*q));

    q->machine = m;
    q->store = store;
    q->domid = domid;
    snprintf(q->path, sizeof(q->path), QDISKS, domid);
    if (open_handles(q, error) || scan(q, error)) {
        qdisks_stop(q);
        return NULL;
    }
    poll_handles(q);
    return q;
}

void qdisks_stop(struct qdisks *q)
{
    if (!q)
        return;
    while (q->first)
        forget(q->first);
    if (q->polling) {
        uv_poll_stop(&q->store_poll);
        uv_poll_stop(&q->event_poll);
        uv_close((uv_handle_t *)&q->store_poll, NULL);
        uv_close((uv_handle_t *)&q->event_poll, NULL);
        uv_run(&q->machine->loop, UV_RUN_NOWAIT); /* the handles are in `q` */
    }
    if (q->gnttab)
        xengnttab_close(q->gnttab);
    if (q->evtchn)
        xenevtchn_close(q->evtchn);
    free(q);
}
