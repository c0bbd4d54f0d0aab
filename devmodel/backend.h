/*
 * The other side of device.h: what a back end (disk image, serial line, network, screen
 * server) provides and what it may ask of the machine.  Back ends live in devmodel/, use
 * the libuv loop freely and run on the main-loop thread; devices never see this header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_BACKEND_H
#define DEVMODEL_BACKEND_H

#include <uv.h>

#include "net_offload.h"

uv_loop_t *machine_loop(struct machine *machine);
bool machine_running(const struct machine *machine);

/*
 * Each kind of back end is one const ops struct and one registration line.  `size` is
 * that of the back end's struct, which starts with the common part below; the core
 * allocates it, parses the options and calls create(); it frees it after destroy().
 */

/* ---- network ------------------------------------------------------------------------
 */

struct net_backend_ops {
    const char *name; /* --netdev NAME,id=...: user, tap, socket, hubport */
    size_t size;
    const struct option_desc *options;
    int (*create)(struct net_backend *n, struct error *error);
    void (*send)(struct net_backend *n, const struct iovec *iov, int iovcnt);
    /* A frame that needs something; false: this back end cannot. May be NULL. */
    bool (*send_offload)(struct net_backend *n, const uint8_t *frame, size_t bytes,
                         const struct net_offload *o);
    void (*accept_input)(
        struct net_backend *n); /* the device has room again; may be NULL */
    void (*destroy)(struct net_backend *n);
};

struct net_backend {
    const struct net_backend_ops *ops;
    struct machine *machine;
    char id[32];
    bool link_down;
    const struct net_front_ops *front;
    void *front_opaque;
    bool cutting; /* net_receive_offload() has a frame of which not all was taken */
    struct segments segments;
    uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_dropped;
    struct net_backend *next;
};

#define REGISTER_NET_BACKEND(ops)                                                        \
    static const struct net_backend_ops *const register_##ops                            \
        __attribute__((used, section("corbel_netdevs"))) = &ops

/* A frame for the guest.  False: no device or no room now; keep it or drop it. */
bool net_receive(struct net_backend *n, const uint8_t *frame, size_t bytes);
/*
 * The same for a frame that needs something. What the device's driver does not take is
 * done here, in place, so the frame's bytes change; after false the same frame, unchanged
 * by the caller, must come next, or net_forget() be called.
 */
bool net_receive_offload(struct net_backend *n, uint8_t *frame, size_t bytes,
                         const struct net_offload *o);
void net_forget(struct net_backend *n);

/* ---- character ----------------------------------------------------------------------
 */

struct char_backend_ops {
    const char *name; /* --chardev NAME,id=...: null, stdio, file, pty, socket */
    size_t size;
    const struct option_desc *options;
    int (*create)(struct char_backend *c, struct error *error);
    size_t (*write)(struct char_backend *c, const uint8_t *data, size_t bytes);
    void (*accept_input)(struct char_backend *c);
    const char *(*where)(
        struct char_backend *c); /* e.g. the pty's name; for query-chardev */
    void (*destroy)(struct char_backend *c);
};

struct char_backend {
    const struct char_backend_ops *ops;
    struct machine *machine;
    char id[32];
    const struct char_front_ops *front;
    void *front_opaque;
    struct char_backend *next;
};

#define REGISTER_CHAR_BACKEND(ops)                                                       \
    static const struct char_backend_ops *const register_##ops                           \
        __attribute__((used, section("corbel_chardevs"))) = &ops

size_t char_can_receive(struct char_backend *c); /* 0 without a device */
void char_receive(struct char_backend *c, const uint8_t *data, size_t bytes);
void char_writable(struct char_backend *c);
void char_connected(struct char_backend *c, bool up);

/* ---- block --------------------------------------------------------------------------
 */

struct block_backend_ops {
    const char *name; /* file, null, nbd */
    /* Begin a request; call block_complete() later from the loop, never from here. */
    void (*submit)(struct block_backend *b, struct block_request *request);
    /* Wait for some request to complete, without the loop; NULL: the worker threads do.
     */
    void (*poll)(struct block_backend *b);
    int (*resize)(struct block_backend *b, uint64_t bytes); /* NULL: cannot */
    void (*close)(struct block_backend *b);
};

struct block_backend {
    const struct block_backend_ops *ops; /* NULL: no medium */
    struct machine *machine;
    char id[64];
    char *file; /* as configured */
    char *serial;
    char *device_name; /* of a qdisk in xenstore, which says what its image is */
    uint64_t bytes;
    bool read_only;
    bool cdrom;    /* media=cdrom */
    bool snapshot; /* writes are forgotten at the end */
    bool attached;
    bool stop_on_error; /* werror=stop: failed writes and flushes wait for `cont` */
    struct block_request *stalled;
    struct block_debug *debug; /* blkdebug: of the test program; else NULL */
    unsigned in_flight;
    const struct block_front_ops *front;
    void *front_opaque;
    void *opaque; /* the ops' own */
    uint64_t reads, writes, flushes, bytes_read, bytes_written, failures;
    struct block_backend *next;
};

void block_complete(struct block_request *request, int result);

/* ---- screen and input: what a VNC server, screendump or send-key use -----------------
 */

/* A viewer of one display. */
struct display_viewer {
    void (*resized)(void *opaque, const struct display_surface *surface);
    void (*changed)(void *opaque, unsigned x, unsigned y, unsigned width,
                    unsigned height);
    void *opaque;
    struct display_viewer *next;
};

struct display *machine_display(struct machine *machine); /* the first; NULL: none */
void display_add_viewer(struct display *d, struct display_viewer *viewer);
void display_remove_viewer(struct display *d, struct display_viewer *viewer);
/* Let the device draw what is new; viewers are told during the call. */
void display_update(struct display *d);

void input_key(struct machine *machine, unsigned linux_code, bool down);
void input_pointer_absolute(struct machine *machine, unsigned x, unsigned y,
                            unsigned buttons, int wheel);
void input_pointer_relative(struct machine *machine, int dx, int dy, unsigned buttons,
                            int wheel);
bool input_absolute_ready(
    struct machine *machine); /* a tablet is there and switched on */
/* Linux key code of a QMP key name (`ret`, `f1`, `ctrl`), or -1. */
int input_code_by_name(const char *qcode);

/* ---- screen server ------------------------------------------------------------------
 */

/*
 * Written in vnc.c.  `address` is HOST:PORT, HOST:DISPLAY with a leading colon form as in
 * QEMU
 * (":1" is port 5901 on 127.0.0.1), or unix:PATH.
 */
struct vnc_server;
struct vnc_server *vnc_start(struct machine *machine, const char *address,
                             struct error *error);
int vnc_set_password(struct vnc_server *v, const char *password); /* NULL: none needed */
unsigned vnc_clients(const struct vnc_server *v);
const char *vnc_address(const struct vnc_server *v); /* HOST:PORT really in use */
void vnc_stop(struct vnc_server *v);

#endif
