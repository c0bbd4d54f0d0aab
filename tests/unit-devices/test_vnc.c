/*
 * The screen server, with libvncserver's own client as the viewer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <rfb/rfbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOT 2
#define FB   0xe0000000u

static const char *password_to_give;

struct world {
    struct bench *b;
    struct vnc_server *server;
    char path[64];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct error error = {.text = ""};
    char address[80];

    w->b = bench_start("-device", "VGA,addr=2", "-device", "i8042");
    config_write(w->b, SLOT, 0x10, 4, FB);
    config_enable(w->b, SLOT);
    snprintf(w->path, sizeof(w->path), "/tmp/corbel-test-vnc.%d", getpid());
    snprintf(address, sizeof(address), "unix:%s", w->path);
    w->server = vnc_start(w->b->m, address, &error);
    if (!w->server)
        fail_msg("%s", error.text);
    turn(w->b);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    vnc_stop(w->server);
    bench_stop(w->b);
    free(w);
    return 0;
}

static void vbe_mode(struct bench *b, unsigned width, unsigned height)
{
    const uint16_t values[][2] = {
        {4, 0}, {1, (uint16_t)width}, {2, (uint16_t)height}, {3, 32}, {4, 0x41}};

    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        out16(b, 0x1ce, values[i][0]);
        out16(b, 0x1cf, values[i][1]);
    }
    in8(b, 0x3da);
    out8(b, 0x3c0, 0x20);
}

static char *give_password(rfbClient *c)
{
    return strdup(password_to_give ? password_to_give : "");
}

static rfbBool allocate(rfbClient *c)
{
    free(c->frameBuffer);
    c->frameBuffer = calloc((size_t)c->width * (size_t)c->height, 4);
    return c->frameBuffer != NULL;
}

static void no_log(const char *format, ...)
{
}

static rfbClient *view(struct world *w)
{
    rfbClient *c = rfbGetClient(8, 3, 4);

    rfbClientLog = rfbClientErr = no_log;
    c->MallocFrameBuffer = allocate;
    c->GetPassword = give_password;
    c->canHandleNewFBSize = TRUE;
    free(c->serverHost);
    c->serverHost = strdup(w->path);
    c->serverPort = 0;
    c->appData.encodingsString = "raw";
    c->format.redShift = 16;
    c->format.greenShift = 8;
    c->format.blueShift = 0;
    return rfbInitClient(c, NULL, NULL) ? c : NULL; /* frees it on failure */
}

static void unview(rfbClient *c)
{
    free(c->frameBuffer);
    c->frameBuffer = NULL;
    rfbClientCleanup(c);
}

/* Both sides get on with it; false: the server hung up. */
static bool work(struct world *w, rfbClient *c)
{
    turn(w->b);
    int n = WaitForMessage(c, 2000);
    return n == 0 || (n > 0 && HandleRFBServerMessage(c));
}

#define work_until(w, c, condition)                                                      \
    do {                                                                                 \
        for (unsigned n = 0; n < 3000 && !(condition); n++)                              \
            assert_true(work(w, c));                                                     \
        assert_true(condition);                                                          \
    } while (0)

static uint32_t seen(rfbClient *c, unsigned x, unsigned y)
{
    return ((uint32_t *)(void *)c->frameBuffer)[y * (unsigned)c->width + x] & 0xffffff;
}

static void test_picture_and_resize(void **state)
{
    struct world *w = *state;

    vbe_mode(w->b, 640, 480);
    cpu_write(w->b, FB + (100 * 640 + 50) * 4, 4, 0x123456);
    rfbClient *c = view(w);
    assert_non_null(c);
    work_until(w, c, c->width == 640 && c->height == 480);
    work_until(w, c, seen(c, 50, 100) == 0x123456);
    assert_int_equal(seen(c, 51, 100), 0);
    assert_int_equal(vnc_clients(w->server), 1);
    cpu_write(w->b, FB + (479 * 640 + 639) * 4, 4, 0xff8001);
    work_until(w, c, seen(c, 639, 479) == 0xff8001);
    vbe_mode(w->b, 1024, 768);
    cpu_write(w->b, FB + (767 * 1024 + 1000) * 4, 4, 0x00ff00);
    work_until(w, c, c->width == 1024 && c->height == 768);
    work_until(w, c, seen(c, 1000, 767) == 0x00ff00);
    unview(c);
    turn_until(w->b, vnc_clients(w->server) == 0);
}

static void take(int fd, uint8_t *to, size_t bytes)
{
    while (bytes) {
        ssize_t got = read(fd, to, bytes);
        assert_true(got > 0);
        to += got;
        bytes -= (size_t)got;
    }
}

/* RFC 6143, 7.1 to 7.3, up to what the server says of its screen. */
static int shake_hands(struct world *w, uint8_t init[24])
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    uint8_t text[256];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(at.sun_path, w->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    take(fd, text, 12);
    assert_int_equal(write(fd, "RFB 003.008\n", 12), 12);
    take(fd, text, 1);
    take(fd, text + 1, text[0]);
    assert_int_equal(write(fd, "\1", 1), 1); /* no password */
    take(fd, text, 4);
    assert_int_equal(write(fd, "\1", 1), 1); /* shared */
    take(fd, init, 24);
    take(fd, text, init[23]);
    return fd;
}

/* The picture's size changes before the viewer has said that it can follow it. */
static void test_late_size(void **state)
{
    struct world *w = *state;
    /* SetEncodings: raw and DesktopSize; FramebufferUpdateRequest of 640 x 480. */
    static const char request[] = "\2\0\0\2\0\0\0\0\xff\xff\xff\x21"
                                  "\3\0\0\0\0\0\x02\x80\x01\xe0";
    uint8_t init[24], answer[16];

    vbe_mode(w->b, 640, 480);
    rfbClient *other = view(w); /* so that the picture is kept up to date */
    assert_non_null(other);
    work_until(w, other, other->width == 640 && other->height == 480);
    /* It does not read during the handshake and would be thrown out, were there more. */
    for (unsigned quiet = 0; quiet < 50;) {
        turn(w->b);
        int n = WaitForMessage(other, 2000);
        assert_true(n == 0 || (n > 0 && HandleRFBServerMessage(other)));
        quiet = n ? 0 : quiet + 1;
    }
    int fd = shake_hands(w, init);
    assert_memory_equal(init, "\x02\x80\x01\xe0", 4);
    vbe_mode(w->b, 1024, 768);
    work_until(w, other, other->width == 1024 && other->height == 768);
    assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
    take(fd, answer, sizeof(answer));
    assert_memory_equal(answer, "\0", 1);
    assert_memory_equal(answer + 2, "\0\1\0\0\0\0\4\0\3\0\xff\xff\xff\x21", 14);
    close(fd);
    unview(other);
    turn_until(w->b, vnc_clients(w->server) == 0);
}

static const char *drain(struct bench *b)
{
    static char text[256];
    unsigned n = 0;

    text[0] = 0;
    while (in8(b, 0x64) & 1 && n < 240)
        n += (unsigned)snprintf(text + n, sizeof(text) - n, "%s%02x", n ? " " : "",
                                in8(b, 0x60));
    return text;
}

/* What the guest reads from the controller, as it comes. */
static void expect_keys(struct world *w, rfbClient *c, const char *codes)
{
    char text[512] = "";

    for (unsigned i = 0; i < 2000 && strlen(text) < strlen(codes); i++) {
        if (c)
            assert_true(work(w, c)); /* a viewer that does not read is thrown out */
        else
            turn_wait(w->b);
        const char *more = drain(w->b);
        if (*text && *more)
            strcat(text, " ");
        strcat(text, more);
    }
    assert_string_equal(text, codes);
}

static void type(rfbClient *c, uint32_t keysym)
{
    SendKeyEvent(c, keysym, TRUE);
    SendKeyEvent(c, keysym, FALSE);
}

static void test_keys(void **state)
{
    struct world *w = *state;
    rfbClient *c = view(w);

    assert_non_null(c);
    out8(w->b, 0x64, 0x60);
    out8(w->b, 0x60, 0x41);
    type(c, 'a');
    expect_keys(w, c, "1e 9e");
    type(c, XK_F12);
    expect_keys(w, c, "58 d8");
    type(c, XK_Left);
    expect_keys(w, c, "e0 4b e0 cb");
    /* A symbol that needs Shift, from a viewer that did not press it. */
    type(c, 'A');
    expect_keys(w, c, "2a 1e aa 9e");
    type(c, '!');
    expect_keys(w, c, "2a 02 aa 82");
    /* And one where the viewer did; a German '/' is Shift with 7. */
    SendKeyEvent(c, XK_Shift_L, TRUE);
    type(c, 'A');
    type(c, '/');
    SendKeyEvent(c, XK_Shift_L, FALSE);
    expect_keys(w, c, "2a 1e 9e aa 35 2a b5 aa");
    SendKeyEvent(c, XK_Control_L, TRUE);
    SendKeyEvent(c, XK_Alt_L, TRUE);
    SendKeyEvent(c, XK_Delete, TRUE);
    expect_keys(w, c, "1d 38 e0 53");
    /* Gone while keys are down: they are released. */
    unview(c);
    expect_keys(w, NULL, "9d b8 e0 d3");
}

static void test_pointer(void **state)
{
    struct world *w = *state;
    rfbClient *c = view(w);

    assert_non_null(c);
    out8(w->b, 0x64, 0xd4);
    out8(w->b, 0x60, 0xf4);
    drain(w->b);
    SendPointerEvent(c, 100, 100, 0);
    for (unsigned i = 0; i < 50; i++)
        assert_true(work(w, c));
    SendPointerEvent(c, 110, 95, 1);
    expect_keys(w, c, "09 0a 05");
    SendPointerEvent(c, 110, 95, 4);
    expect_keys(w, c, "0a 00 00");
    unview(c);
    expect_keys(w, NULL, "08 00 00");
}

static void test_password(void **state)
{
    struct world *w = *state;

    assert_int_equal(vnc_set_password(w->server, ""), -EINVAL);
    assert_int_equal(vnc_set_password(w->server, "sesame"), 0);
    usleep(20000);
    password_to_give = "wrong";
    assert_null(view(w));
    turn_until(w->b, vnc_clients(w->server) == 0);
    password_to_give = "sesame";
    rfbClient *c = view(w);
    assert_non_null(c);
    unview(c);
    assert_int_equal(vnc_set_password(w->server, NULL), 0);
    usleep(20000);
    password_to_give = NULL;
    c = view(w);
    assert_non_null(c);
    unview(c);
}

static void test_addresses(void **state)
{
    struct world *w = *state;
    struct error error;

    assert_null(vnc_start(w->b->m, "nonsense", &error));
    assert_non_null(strstr(error.text, "HOST:PORT"));
    assert_null(vnc_start(w->b->m, "127.0.0.1:99999", &error));
    assert_null(vnc_start(w->b->m, "192.0.2.1:5999", &error));
    assert_non_null(strstr(error.text, "cannot listen"));
    struct vnc_server *v = vnc_start(w->b->m, ":97", &error);
    assert_non_null(v);
    assert_string_equal(vnc_address(v), "127.0.0.1:5997");
    assert_null(vnc_start(w->b->m, "127.0.0.1:5997", &error));
    vnc_stop(v);
    turn(w->b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_picture_and_resize, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pointer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
    };
    return cmocka_run_group_tests_name("vnc", tests, NULL, NULL);
}
