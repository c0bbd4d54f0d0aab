/*
 * Surfaces that devices draw into and that viewers (VNC, screendump) look at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define SIDE_LARGEST 16384u

struct display {
    struct machine *machine;
    const struct display_source_ops *ops;
    void *opaque;
    struct display_surface surface;
    struct display_viewer *viewers;
};

struct display *display_create(struct device *dev, const struct display_source_ops *ops,
                               void *opaque)
{
    struct display *d = must_alloc(sizeof(*d));

    d->machine = dev->machine;
    d->ops = ops;
    d->opaque = opaque;
    if (!dev->machine->display)
        dev->machine->display = d;
    return d;
}

void display_destroy(struct display *d)
{
    if (!d)
        return;
    if (d->machine->display == d)
        d->machine->display = NULL;
    free(d->surface.pixels);
    free(d);
}

struct display_surface *display_resize(struct display *d, unsigned width, unsigned height)
{
    struct display_surface *s = &d->surface;

    if (!width || !height || width > SIDE_LARGEST || height > SIDE_LARGEST)
        return NULL;
    if (s->pixels && s->width == width && s->height == height)
        return s;
    uint32_t *pixels = calloc((size_t)width * height, sizeof(*pixels));
    if (!pixels)
        return NULL;
    uint32_t *old = s->pixels;
    *s = (struct display_surface){
        .pixels = pixels,
        .width = width,
        .height = height,
        .stride = width * sizeof(*pixels),
    };
    for (struct display_viewer *v = d->viewers; v; v = v->next) {
        if (v->resized)
            v->resized(v->opaque, s);
    }
    free(old);
    return s;
}

struct display_surface *display_surface(struct display *d)
{
    return d->surface.pixels ? &d->surface : NULL;
}

void display_dirty(struct display *d, unsigned x, unsigned y, unsigned width,
                   unsigned height)
{
    const struct display_surface *s = &d->surface;

    if (x >= s->width || y >= s->height)
        return;
    if (width > s->width - x)
        width = s->width - x;
    if (height > s->height - y)
        height = s->height - y;
    for (struct display_viewer *v = d->viewers; v; v = v->next) {
        if (v->changed)
            v->changed(v->opaque, x, y, width, height);
    }
}

bool display_watched(const struct display *d)
{
    return d->viewers;
}

struct display *machine_display(struct machine *machine)
{
    return machine->display;
}

void display_add_viewer(struct display *d, struct display_viewer *viewer)
{
    viewer->next = d->viewers;
    d->viewers = viewer;
    if (d->ops->invalidate)
        d->ops->invalidate(d->opaque);
}

void display_remove_viewer(struct display *d, struct display_viewer *viewer)
{
    for (struct display_viewer **at = &d->viewers; *at; at = &(*at)->next) {
        if (*at == viewer) {
            *at = viewer->next;
            return;
        }
    }
}

void display_update(struct display *d)
{
    if (d->ops->update)
        d->ops->update(d->opaque);
}

int display_write_ppm(struct display *d, const char *file, struct error *error)
{
    if (d->ops->invalidate)
        d->ops->invalidate(d->opaque);
    display_update(d);
    const struct display_surface *s = display_surface(d);
    if (!s)
        return error_set(error, -ENODATA, "the screen has no picture yet");
    FILE *f = fopen(file, "we");
    if (!f)
        return error_set(error, -errno, "cannot write '%s': %s", file, strerror(errno));
    fprintf(f, "P6\n%u %u\n255\n", s->width, s->height);
    for (unsigned y = 0; y < s->height; y++) {
        const uint32_t *line =
            (const void *)((const char *)s->pixels + (size_t)y * s->stride);
        for (unsigned x = 0; x < s->width; x++) {
            const char rgb[3] = {(char)(line[x] >> 16), (char)(line[x] >> 8),
                                 (char)line[x]};
            fwrite(rgb, 1, sizeof(rgb), f);
        }
    }
    int bad = ferror(f);
    if (fclose(f) || bad)
        return error_set(error, -EIO, "cannot write '%s'", file);
    return 0;
}
