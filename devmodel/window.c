/*
 * Device memory that the guest reaches directly; the front end does the mapping.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "machine.h"

#define PAGE           4096
#define WINDOW_LARGEST (1ULL << 30)

int ram_window_init(struct ram_window *w, struct device *dev, const char *name,
                    uint64_t size)
{
    struct machine *m = dev->machine;

    memset(w, 0, sizeof(*w));
    if (!size || size % PAGE || size > WINDOW_LARGEST)
        return -EINVAL;
    w->dev = dev;
    w->name = name;
    w->size = size;
    int err = m->front->window_init(m, w);
    if (err) {
        w->dev = NULL;
        return err;
    }
    w->next = m->windows;
    m->windows = w;
    return 0;
}

void ram_window_fini(struct ram_window *w)
{
    if (!w->dev)
        return;
    struct machine *m = w->dev->machine;
    ram_window_unmap(w);
    for (struct ram_window **at = &m->windows; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    m->front->window_fini(m, w);
    memset(w, 0, sizeof(*w));
}

int ram_window_map(struct ram_window *w, uint64_t gpa)
{
    struct machine *m = w->dev->machine;

    if (w->mapped && w->gpa == gpa)
        return 0;
    if (gpa % PAGE || gpa + w->size < gpa)
        return -EINVAL;
    for (struct ram_window *o = m->windows; o; o = o->next) {
        if (o != w && o->mapped && gpa < o->gpa + o->size && o->gpa < gpa + w->size)
            return -EEXIST;
    }
    int err = m->front->window_map(m, w, gpa);
    if (err)
        return err;
    w->gpa = gpa;
    w->mapped = true;
    return 0;
}

void ram_window_unmap(struct ram_window *w)
{
    if (!w->dev || !w->mapped)
        return;
    w->dev->machine->front->window_unmap(w->dev->machine, w);
    w->mapped = false;
}

void ram_window_track(struct ram_window *w, bool on)
{
    w->track = on;
    w->dev->machine->front->window_track(w->dev->machine, w, on);
}

int ram_window_dirty(struct ram_window *w, uint64_t offset, uint64_t bytes,
                     uint64_t *bitmap)
{
    if (offset % PAGE || bytes % PAGE || offset > w->size || bytes > w->size - offset)
        return -EINVAL;
    if (!w->track) {
        memset(bitmap, 0xff, (bytes / PAGE + 63) / 64 * 8);
        return 0;
    }
    return w->dev->machine->front->window_dirty(w->dev->machine, w, offset, bytes,
                                                bitmap);
}
