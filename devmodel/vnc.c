/*
 * The screen over the network: libvncserver (RFC 6143) in a thread of its own.
 *
 * libvncserver waits for slow viewers, so it must not run where the devices run.  The
 * two threads share little, all of it under one lock:
 *
 *   main thread                         server thread
 *   draws into the surface (30 ms       copies changed rectangles from the surface to
 *   timer, while somebody looks),       the frame buffer that libvncserver reads; this
 *   notes what changed                  is done only while it holds the lock
 *   takes events, feeds the devices     puts keys and movements into a ring, wakes main
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <pthread.h>
#include <rfb/rfb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine.h"
#include "vnc_address.h"
#include "vnc_keys.h"

#define FRAME_MS       33
#define SELECT_US      15000
#define EVENTS         256
#define RECTS          32
#define CLIENTS_MOST   16
#define CLIENT_WAIT_MS 5000
#define PASSWORD_BYTES 8 /* more do not count in VNC authentication */
#define BLANK_WIDTH    640
#define BLANK_HEIGHT   400

enum event_kind { EVENT_KEY, EVENT_POINTER, EVENT_RELEASE_ALL };

struct event {
    enum event_kind kind;
    bool down;
    uint32_t keysym;
    unsigned x, y, width, height, mask;
};

struct rect {
    unsigned x0, y0, x1, y1;
};

struct vnc_server {
    struct machine *machine;
    struct display *display;
    struct vnc_listener listener; /* its fd: server thread */
    unsigned open_handles;        /* libuv's; the last close frees us */

    /* main thread */
    uv_async_t wake_main;
    uv_timer_t frame_timer;
    struct display_viewer viewer;
    bool watching;
    bool keys_down[KEY_CNT];
    bool caps;
    unsigned pointer_x, pointer_y, pointer_mask;
    bool pointer_known;

    /* both */
    pthread_mutex_t lock;
    struct event events[EVENTS];
    unsigned event_first, event_count;
    const uint32_t *pixels; /* of the surface */
    unsigned width, height, stride;
    bool resized;
    struct rect rects[RECTS];
    unsigned rect_count;
    char password[PASSWORD_BYTES + 1];
    bool password_set;
    unsigned clients;
    bool open; /* the main loop runs, so everything is set up: let viewers in */
    bool stop;

    /* server thread */
    pthread_t thread;
    int wake_fd;
    rfbScreenInfoPtr screen;
};

/* ---- main thread: input -------------------------------------------------------------
 */

static void key(struct vnc_server *v, unsigned code, bool down)
{
    if (code == KEY_CAPSLOCK && down && !v->keys_down[code])
        v->caps = !v->caps;
    v->keys_down[code] = down;
    input_key(v->machine, code, down);
}

/*
 * Viewers say which symbol they mean; on a keyboard that is not a US one, or without any,
 * Shift may then be in the wrong state.  Put it right around the key.
 */
static void press_with_shift(struct vnc_server *v, struct vnc_key k)
{
    bool left = v->keys_down[KEY_LEFTSHIFT], right = v->keys_down[KEY_RIGHTSHIFT];
    bool want = k.shift == VNC_SHIFT_DOWN;

    if (k.shift == VNC_LETTER_DOWN || k.shift == VNC_LETTER_UP)
        want = (k.shift == VNC_LETTER_DOWN) != v->caps;
    /* With Ctrl, Alt or Meta it is the key that counts, not the symbol. */
    bool command = v->keys_down[KEY_LEFTCTRL] || v->keys_down[KEY_RIGHTCTRL] ||
                   v->keys_down[KEY_LEFTALT] || v->keys_down[KEY_LEFTMETA];
    if (k.shift == VNC_SHIFT_ANY || command || want == (left || right)) {
        key(v, k.code, true);
        return;
    }
    if (want) {
        input_key(v->machine, KEY_LEFTSHIFT, true);
        key(v, k.code, true);
        input_key(v->machine, KEY_LEFTSHIFT, false);
        return;
    }
    if (left)
        input_key(v->machine, KEY_LEFTSHIFT, false);
    if (right)
        input_key(v->machine, KEY_RIGHTSHIFT, false);
    key(v, k.code, true);
    if (left)
        input_key(v->machine, KEY_LEFTSHIFT, true);
    if (right)
        input_key(v->machine, KEY_RIGHTSHIFT, true);
}

static void key_event(struct vnc_server *v, const struct event *e)
{
    struct vnc_key k = vnc_key_of(e->keysym);

    if (!k.code)
        return;
    if (e->down)
        press_with_shift(v, k);
    else if (v->keys_down[k.code])
        key(v, k.code, false);
}

static unsigned scale(unsigned at, unsigned size)
{
    if (size < 2)
        return 0;
    return at >= size ? POINTER_MAX : (unsigned)((uint64_t)at * POINTER_MAX / (size - 1));
}

static void pointer_event(struct vnc_server *v, const struct event *e)
{
    unsigned buttons = (e->mask & 1 ? POINTER_LEFT : 0) |
                       (e->mask & 2 ? POINTER_MIDDLE : 0) |
                       (e->mask & 4 ? POINTER_RIGHT : 0);
    unsigned pressed = e->mask & ~v->pointer_mask;
    int wheel = (pressed & 8 ? 1 : 0) - (pressed & 16 ? 1 : 0);

    if (input_absolute_ready(v->machine)) {
        input_pointer_absolute(v->machine, scale(e->x, e->width), scale(e->y, e->height),
                               buttons, wheel);
    } else {
        int dx = v->pointer_known ? (int)e->x - (int)v->pointer_x : 0;
        int dy = v->pointer_known ? (int)e->y - (int)v->pointer_y : 0;
        input_pointer_relative(v->machine, dx, dy, buttons, wheel);
    }
    v->pointer_x = e->x;
    v->pointer_y = e->y;
    v->pointer_mask = e->mask;
    v->pointer_known = true;
}

/* A viewer left: what it held down is up. */
static void release_all(struct vnc_server *v)
{
    for (unsigned code = 0; code < ARRAY_LEN(v->keys_down); code++) {
        if (v->keys_down[code])
            key(v, code, false);
    }
    if (v->pointer_mask) {
        v->pointer_mask = 0;
        if (input_absolute_ready(v->machine))
            input_pointer_absolute(v->machine, scale(v->pointer_x, v->width),
                                   scale(v->pointer_y, v->height), 0, 0);
        else
            input_pointer_relative(v->machine, 0, 0, 0, 0);
    }
    v->pointer_known = false;
}

static bool take_event(struct vnc_server *v, struct event *e)
{
    pthread_mutex_lock(&v->lock);
    bool any = v->event_count;
    if (any) {
        *e = v->events[v->event_first];
        v->event_first = (v->event_first + 1) % EVENTS;
        v->event_count--;
    }
    pthread_mutex_unlock(&v->lock);
    return any;
}

/* ---- main thread: pictures ----------------------------------------------------------
 */

/* The viewer's callbacks run with the lock held by frame(), or without it when something
 * else (a screen dump) asked for the picture: the lock is recursive. */
static void surface_resized(void *opaque, const struct display_surface *s)
{
    struct vnc_server *v = opaque;

    pthread_mutex_lock(&v->lock);
    v->pixels = s->pixels;
    v->width = s->width;
    v->height = s->height;
    v->stride = s->stride;
    v->resized = true;
    v->rect_count = 0;
    pthread_mutex_unlock(&v->lock);
}

static void surface_changed(void *opaque, unsigned x, unsigned y, unsigned width,
                            unsigned height)
{
    struct vnc_server *v = opaque;
    struct rect r = {x, y, x + width, y + height};

    pthread_mutex_lock(&v->lock);
    if (v->rect_count == RECTS) {
        /* Too many: one box around all. */
        for (unsigned i = 0; i < RECTS; i++) {
            r.x0 = v->rects[i].x0 < r.x0 ? v->rects[i].x0 : r.x0;
            r.y0 = v->rects[i].y0 < r.y0 ? v->rects[i].y0 : r.y0;
            r.x1 = v->rects[i].x1 > r.x1 ? v->rects[i].x1 : r.x1;
            r.y1 = v->rects[i].y1 > r.y1 ? v->rects[i].y1 : r.y1;
        }
        v->rect_count = 0;
    }
    v->rects[v->rect_count++] = r;
    pthread_mutex_unlock(&v->lock);
}

static void frame(uv_timer_t *timer)
{
    struct vnc_server *v = timer->data;

    pthread_mutex_lock(&v->lock);
    display_update(v->display);
    pthread_mutex_unlock(&v->lock);
}

static void watch(struct vnc_server *v, bool on)
{
    if (on == v->watching)
        return;
    v->watching = on;
    if (!on) {
        uv_timer_stop(&v->frame_timer);
        display_remove_viewer(v->display, &v->viewer);
        return;
    }
    display_add_viewer(v->display, &v->viewer);
    const struct display_surface *s = display_surface(v->display);
    if (s)
        surface_resized(v, s);
    uv_timer_start(&v->frame_timer, frame, 0, FRAME_MS);
}

static void woken(uv_async_t *async)
{
    struct vnc_server *v = async->data;
    struct event e;

    pthread_mutex_lock(&v->lock);
    if (!v->open) {
        v->open = true;
        eventfd_write(v->wake_fd, 1);
    }
    pthread_mutex_unlock(&v->lock);
    while (take_event(v, &e)) {
        if (e.kind == EVENT_KEY)
            key_event(v, &e);
        else if (e.kind == EVENT_POINTER)
            pointer_event(v, &e);
        else
            release_all(v);
    }
    watch(v, vnc_clients(v));
}

/* ---- server thread ------------------------------------------------------------------
 */

static void post(struct vnc_server *v, const struct event *e)
{
    pthread_mutex_lock(&v->lock);
    struct event *last = v->event_count
                             ? &v->events[(v->event_first + v->event_count - 1) % EVENTS]
                             : NULL;
    if (last && e->kind == EVENT_POINTER && last->kind == EVENT_POINTER &&
        last->mask == e->mask) {
        *last = *e; /* only where it is now counts */
    } else if (v->event_count < EVENTS) {
        v->events[(v->event_first + v->event_count) % EVENTS] = *e;
        v->event_count++;
    }
    pthread_mutex_unlock(&v->lock);
    uv_async_send(&v->wake_main);
}

static struct vnc_server *server_of(rfbClientPtr client)
{
    return client->screen->screenData;
}

static void on_key(rfbBool down, rfbKeySym keysym, rfbClientPtr client)
{
    post(server_of(client),
         &(struct event){.kind = EVENT_KEY, .down = down, .keysym = keysym});
}

static void on_pointer(int mask, int x, int y, rfbClientPtr client)
{
    post(server_of(client), &(struct event){
                                .kind = EVENT_POINTER,
                                .x = x < 0 ? 0 : (unsigned)x,
                                .y = y < 0 ? 0 : (unsigned)y,
                                .width = (unsigned)client->screen->width,
                                .height = (unsigned)client->screen->height,
                                .mask = (unsigned)mask,
                            });
}

static void client_gone(rfbClientPtr client)
{
    struct vnc_server *v = server_of(client);

    pthread_mutex_lock(&v->lock);
    v->clients--;
    pthread_mutex_unlock(&v->lock);
    post(v, &(struct event){.kind = EVENT_RELEASE_ALL});
}

static enum rfbNewClientAction new_client(rfbClientPtr client)
{
    struct vnc_server *v = server_of(client);

    client->clientGoneHook = client_gone;
    pthread_mutex_lock(&v->lock);
    bool room = v->clients++ < CLIENTS_MOST;
    pthread_mutex_unlock(&v->lock);
    uv_async_send(&v->wake_main);
    return room ? RFB_CLIENT_ACCEPT : RFB_CLIENT_REFUSE;
}

static rfbBool check_password(rfbClientPtr client, const char *response, int bytes)
{
    struct vnc_server *v = server_of(client);
    uint8_t expected[CHALLENGESIZE], differs = 0;
    char password[PASSWORD_BYTES + 1];

    pthread_mutex_lock(&v->lock);
    memcpy(password, v->password, sizeof(password));
    pthread_mutex_unlock(&v->lock);
    memcpy(expected, client->authChallenge, sizeof(expected));
    rfbEncryptBytes(expected, password);
    for (int i = 0; i < CHALLENGESIZE && i < bytes; i++)
        differs |= expected[i] ^ (uint8_t)response[i];
    return bytes == CHALLENGESIZE && !differs;
}

/* libvncserver puts red into the low byte; surfaces have it in the third. */
static void set_pixel_format(rfbScreenInfoPtr screen)
{
    screen->serverFormat.redShift = 16;
    screen->serverFormat.greenShift = 8;
    screen->serverFormat.blueShift = 0;
}

static bool new_frame_buffer(struct vnc_server *v, unsigned width, unsigned height)
{
    char *buffer = calloc((size_t)width * height, 4), *old = v->screen->frameBuffer;
    rfbClientPtr client;

    if (!buffer)
        return false;
    rfbNewFramebuffer(v->screen, buffer, (int)width, (int)height, 8, 3, 4);
    set_pixel_format(v->screen);
    rfbClientIteratorPtr i = rfbGetClientIterator(v->screen);
    while ((client = rfbClientIteratorNext(i)))
        v->screen->setTranslateFunction(client);
    rfbReleaseClientIterator(i);
    free(old);
    return true;
}

/* With the lock held. */
static void copy_rect(struct vnc_server *v, const struct rect *r)
{
    for (unsigned y = r->y0; y < r->y1; y++) {
        const char *from = (const char *)v->pixels + (size_t)y * v->stride;
        char *to = v->screen->frameBuffer + (size_t)y * v->screen->paddedWidthInBytes;
        memcpy(to + r->x0 * 4, from + r->x0 * 4, (r->x1 - r->x0) * 4);
    }
}

static void take_picture(struct vnc_server *v)
{
    struct rect rects[RECTS];
    unsigned count = 0;

    pthread_mutex_lock(&v->lock);
    if (v->pixels && v->resized && new_frame_buffer(v, v->width, v->height)) {
        v->resized = false;
        v->rects[0] = (struct rect){0, 0, v->width, v->height};
        v->rect_count = 1;
    }
    if (!v->resized) {
        count = v->rect_count;
        memcpy(rects, v->rects, count * sizeof(rects[0]));
        v->rect_count = 0;
        for (unsigned i = 0; i < count; i++)
            copy_rect(v, &rects[i]);
    }
    pthread_mutex_unlock(&v->lock);
    for (unsigned i = 0; i < count; i++)
        rfbMarkRectAsModified(v->screen, (int)rects[i].x0, (int)rects[i].y0,
                              (int)rects[i].x1, (int)rects[i].y1);
}

/*
 * rfbNewFramebuffer() tells the new size to those who have said by then that they follow
 * it. A viewer that has only just come says it later, and would keep the size that it
 * began with.
 */
static void tell_size(struct vnc_server *v)
{
    void *size =
        (void *)((uintptr_t)v->screen->width << 16 | (uint16_t)v->screen->height);
    rfbClientIteratorPtr i = rfbGetClientIterator(v->screen);
    rfbClientPtr client;

    while ((client = rfbClientIteratorNext(i))) {
        if (client->clientData == size)
            continue;
        if (client->state == RFB_NORMAL && !client->useNewFBSize)
            continue;
        if (client->state == RFB_NORMAL) {
            LOCK(client->updateMutex);
            client->newFBSizePending = TRUE;
            UNLOCK(client->updateMutex);
        }
        client->clientData = size;
    }
    rfbReleaseClientIterator(i);
}

static void accept_clients(struct vnc_server *v)
{
    for (;;) {
        int fd = accept4(v->listener.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return;
        /* libvncserver waits with select(). */
        if (fd >= FD_SETSIZE)
            close(fd);
        else
            rfbNewClient(v->screen, fd);
    }
}

static bool stopping(struct vnc_server *v, bool *open)
{
    pthread_mutex_lock(&v->lock);
    bool stop = v->stop;
    *open = v->open;
    v->screen->authPasswdData = v->password_set ? v : NULL;
    pthread_mutex_unlock(&v->lock);
    return stop;
}

static void *serve(void *opaque)
{
    struct vnc_server *v = opaque;
    eventfd_t woken_times;
    bool open;

    while (!stopping(v, &open)) {
        struct pollfd fds[2] = {{.fd = v->wake_fd, .events = POLLIN},
                                {.fd = open ? v->listener.fd : -1, .events = POLLIN}};
        /* Nobody there: sleep until somebody comes. */
        poll(fds, 2, v->screen->clientHead ? 0 : -1);
        if (fds[0].revents)
            eventfd_read(v->wake_fd, &woken_times);
        if (fds[1].revents)
            accept_clients(v);
        take_picture(v);
        if (v->screen->clientHead)
            rfbProcessEvents(v->screen, SELECT_US);
        tell_size(v);
    }
    rfbShutdownServer(v->screen, TRUE);
    return NULL;
}

/* ---- start and stop -----------------------------------------------------------------
 */

static void quiet(const char *format, ...)
{
}

static int make_screen(struct vnc_server *v, struct error *error)
{
    rfbLog = rfbErr = quiet;
    v->screen = rfbGetScreen(NULL, NULL, BLANK_WIDTH, BLANK_HEIGHT, 8, 3, 4);
    if (!v->screen)
        return error_set(error, -ENOMEM, "--vnc: no memory");
    v->screen->frameBuffer = calloc(BLANK_WIDTH * BLANK_HEIGHT, 4);
    if (!v->screen->frameBuffer)
        return error_set(error, -ENOMEM, "--vnc: no memory");
    set_pixel_format(v->screen);
    v->screen->screenData = v;
    v->screen->desktopName = v->machine->name;
    v->screen->alwaysShared = TRUE;
    v->screen->cursor = NULL;                  /* the guest draws its own */
    v->screen->port = v->screen->ipv6port = 0; /* we accept the connections */
    v->screen->httpDir = NULL;
    v->screen->maxClientWait = CLIENT_WAIT_MS;
    v->screen->kbdAddEvent = on_key;
    v->screen->ptrAddEvent = on_pointer;
    v->screen->newClientHook = new_client;
    v->screen->passwordCheck = check_password;
    rfbInitServer(v->screen);
    return 0;
}

static void handle_closed(uv_handle_t *handle)
{
    struct vnc_server *v = handle->data;

    if (--v->open_handles == 0)
        free(v);
}

static void free_server(struct vnc_server *v)
{
    if (v->wake_fd >= 0)
        close(v->wake_fd);
    vnc_listener_close(&v->listener);
    if (v->screen) {
        free(v->screen->frameBuffer);
        rfbScreenCleanup(v->screen);
    }
    pthread_mutex_destroy(&v->lock);
    if (!v->open_handles) {
        free(v);
        return;
    }
    uv_close((uv_handle_t *)&v->wake_main, handle_closed);
    uv_close((uv_handle_t *)&v->frame_timer, handle_closed);
}

static int start_thread(struct vnc_server *v, struct error *error)
{
    sigset_t all, old;

    v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->wake_fd < 0)
        return error_set(error, -errno, "--vnc: eventfd: %s", strerror(errno));
    /* Signals are the main loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int bad = pthread_create(&v->thread, NULL, serve, v);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return bad ? error_set(error, -bad, "--vnc: thread: %s", strerror(bad)) : 0;
}

static void init_lock(struct vnc_server *v)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&v->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

struct vnc_server *vnc_start(struct machine *machine, const char *address,
                             struct error *error)
{
    struct vnc_server *v = must_alloc(sizeof(*v));
    int err;

    v->machine = machine;
    v->display = machine_display(machine);
    v->listener.fd = v->wake_fd = -1;
    v->viewer.resized = surface_resized;
    v->viewer.changed = surface_changed;
    v->viewer.opaque = v;
    init_lock(v);
    if (!v->display)
        err = error_set(error, -ENODEV, "--vnc: this machine has no screen");
    else
        err = vnc_listen(&v->listener, address, CLIENTS_MOST, error);
    /* No viewer knows the first password: the real one comes by control. */
    if (!err && v->listener.password)
        v->password_set = true;
    if (!err)
        err = make_screen(v, error);
    if (!err) {
        uv_async_init(machine_loop(machine), &v->wake_main, woken);
        uv_timer_init(machine_loop(machine), &v->frame_timer);
        v->wake_main.data = v->frame_timer.data = v;
        v->open_handles = 2;
        err = start_thread(v, error);
        uv_async_send(&v->wake_main);
    }
    if (err) {
        free_server(v);
        return NULL;
    }
    return v;
}

int vnc_set_password(struct vnc_server *v, const char *password)
{
    if (password && !*password)
        return -EINVAL;
    pthread_mutex_lock(&v->lock);
    memset(v->password, 0, sizeof(v->password));
    v->password_set = password;
    if (password)
        strncpy(v->password, password, PASSWORD_BYTES);
    pthread_mutex_unlock(&v->lock);
    /* A sleeping server thread must see it before the next viewer comes. */
    eventfd_write(v->wake_fd, 1);
    return 0;
}

unsigned vnc_clients(const struct vnc_server *server)
{
    struct vnc_server *v = (struct vnc_server *)server;

    pthread_mutex_lock(&v->lock);
    unsigned clients = v->clients;
    pthread_mutex_unlock(&v->lock);
    return clients;
}

const char *vnc_address(const struct vnc_server *v)
{
    return v->listener.address;
}

void vnc_stop(struct vnc_server *v)
{
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_mutex_unlock(&v->lock);
    eventfd_write(v->wake_fd, 1);
    pthread_join(v->thread, NULL);
    watch(v, false);
    free_server(v);
}
