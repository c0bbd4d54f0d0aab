/*
 * As libxl's device model: announced in xenstore, where libxl waits for it, and the back
 * end of the guest's paravirtual disks (xen_qdisk.c).  QEMU would also serve the
 * paravirtual keyboard; here it is closed, so that the guest does not wait for it.
 *
 * Source: docs/misc/xenstore-paths of Xen, and what libxl 4.17 writes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen_libxl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "xen_qdisk.h"

#define STATE_CLOSED "6" /* XenbusStateClosed of xen/io/xenbus.h */

struct libxl {
    struct xs_handle *store;
    unsigned domid;
    struct qdisks *qdisks;
};

static int store_write(struct libxl *l, const char *path, const char *value,
                       struct error *error)
{
    if (xs_write(l->store, XBT_NULL, path, value, (unsigned)strlen(value)))
        return 0;
    return error_set(error, -errno, "cannot write %s in xenstore: %s", path,
                     strerror(errno));
}

static int close_keyboards(struct libxl *l, struct error *error)
{
    char path[80], state[160];
    unsigned count = 0;
    int err = 0;

    snprintf(path, sizeof(path), "/local/domain/0/backend/vkbd/%u", l->domid);
    char **list = xs_directory(l->store, XBT_NULL, path, &count);
    for (unsigned i = 0; list && i < count && !err; i++) {
        snprintf(state, sizeof(state), "%s/%.40s/state", path, list[i]);
        err = store_write(l, state, STATE_CLOSED, error);
    }
    free(list);
    return err;
}

struct libxl *libxl_open(int domid, struct error *error)
{
    struct libxl *l = must_alloc(sizeof(*l));

    l->domid = (unsigned)domid;
    l->store = xs_open(0);
    if (!l->store)
        error_set(error, -errno, "cannot reach xenstore: %s", strerror(errno));
    else if (!close_keyboards(l, error))
        return l;
    libxl_close(l);
    return NULL;
}

int libxl_serve_disks(struct libxl *l, struct machine *m, struct error *error)
{
    l->qdisks = qdisks_start(m, l->store, l->domid, error);
    return l->qdisks ? 0 : -EIO;
}

int libxl_leave_xenstore(struct libxl *l, struct error *error)
{
    int err = qdisks_refuse(l->store, l->domid, error);

    xs_close(l->store);
    l->store = NULL;
    return err;
}

int libxl_start_opener(struct libxl *l, struct machine *m, struct error *error)
{
    m->opener = opener_start(qdisk_lookup, &l->domid, error);
    return m->opener ? 0 : -EIO;
}

void libxl_stop(struct libxl *l)
{
    if (l)
        qdisks_stop(l->qdisks);
    if (l)
        l->qdisks = NULL;
}

int libxl_tell_running(struct libxl *l, struct error *error)
{
    char path[80];

    if (!l->store)
        return 0;
    snprintf(path, sizeof(path), "/local/domain/0/device-model/%u/state", l->domid);
    return store_write(l, path, "running", error);
}

void libxl_close(struct libxl *l)
{
    if (l && l->store)
        xs_close(l->store);
    free(l);
}
