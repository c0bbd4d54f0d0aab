/*
 * Network back ends, with the test in place of a card: user mode (DHCP, ARP, forwarded
 * ports, back pressure), socket, tap where there is one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include "devmodel/net_offload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t guest_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

struct card {
    struct bench *b;
    struct net_backend *n;
    bool full;
    unsigned frames;
    uint8_t last[2048];
    size_t last_bytes;
};

static bool can_receive(void *opaque)
{
    return !((struct card *)opaque)->full;
}

static void receive(void *opaque, const uint8_t *frame, size_t bytes)
{
    struct card *c = opaque;

    assert_true(bytes <= sizeof(c->last));
    memcpy(c->last, frame, bytes);
    c->last_bytes = bytes;
    c->frames++;
}

static const struct net_front_ops front = {.can_receive = can_receive,
                                           .receive = receive};

static struct card *plug(const char *netdev)
{
    struct card *c = calloc(1, sizeof(*c));

    c->b = bench_start("-netdev", netdev);
    c->n = net_by_id(c->b->m, "n");
    assert_int_equal(net_attach(c->n, &front, c), 0);
    return c;
}

static void unplug(struct card *c)
{
    net_detach(c->n);
    bench_stop(c->b);
    free(c);
}

static void transmit(struct card *c, uint8_t *frame, size_t bytes)
{
    /* In two pieces, as cards do. */
    const struct iovec iov[2] = {{frame, 14}, {frame + 14, bytes - 14}};

    net_send(c->n, iov, 2);
}

/* A UDP datagram to everybody. */
static size_t make_udp(uint8_t *frame, uint16_t from, uint16_t to, const uint8_t *data,
                       size_t bytes)
{
    memset(frame, 0, 42);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, guest_mac, 6);
    store_be16(frame + 12, 0x0800);
    frame[14] = 0x45;
    store_be16(frame + 16, (uint16_t)(28 + bytes));
    frame[22] = 64;
    frame[23] = 17;
    memset(frame + 30, 0xff, 4);
    store_be16(frame + 24, checksum_fold(checksum_add(0, frame + 14, 20)));
    store_be16(frame + 34, from);
    store_be16(frame + 36, to);
    store_be16(frame + 38, (uint16_t)(8 + bytes));
    memcpy(frame + 42, data, bytes);
    return 42 + bytes;
}

static void discover(struct card *c)
{
    uint8_t dhcp[300] = {1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef}, frame[400];
    static const uint8_t options[] = {0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255};

    memcpy(dhcp + 28, guest_mac, 6);
    memcpy(dhcp + 236, options, sizeof(options));
    transmit(c, frame, make_udp(frame, 68, 67, dhcp, sizeof(dhcp)));
}

static void test_dhcp(void **state)
{
    struct card *c = plug("user,id=n");

    discover(c);
    turn_until(c->b, c->frames == 1);
    assert_int_equal(c->last[42], 2);
    assert_int_equal(load_be32(c->last + 42 + 4), 0xdeadbeef);
    assert_int_equal(load_be32(c->last + 42 + 16), 0x0a00020f); /* 10.0.2.15 */
    unplug(c);
    c = plug("user,id=n,net=192.168.76.0/24,dhcpstart=192.168.76.9");
    discover(c);
    turn_until(c->b, c->frames == 1);
    assert_int_equal(load_be32(c->last + 42 + 16), 0xc0a84c09);
    unplug(c);
}

static size_t make_arp(uint8_t *frame, unsigned operation, uint32_t from, uint32_t to)
{
    static const uint8_t start[8] = {0, 1, 8, 0, 6, 4, 0, 0};

    memset(frame, 0, 60);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, guest_mac, 6);
    store_be16(frame + 12, 0x0806);
    memcpy(frame + 14, start, sizeof(start));
    store_be16(frame + 20, (uint16_t)operation);
    memcpy(frame + 22, guest_mac, 6);
    store_be32(frame + 28, from);
    store_be32(frame + 38, to);
    return 60;
}

static void test_back_pressure(void **state)
{
    struct card *c = plug("user,id=n");
    uint8_t frame[60];

    c->full = true;
    for (unsigned i = 0; i < 5; i++)
        transmit(c, frame, make_arp(frame, 1, 0x0a00020f, 0x0a000202));
    turn(c->b);
    assert_int_equal(c->frames, 0);
    c->full = false;
    net_accept_input(c->n);
    assert_int_equal(c->frames, 5);
    assert_int_equal(load_be16(c->last + 20), 2);
    unplug(c);
}

/* Somebody connects to the forwarded port: the guest sees a SYN for its own. */
static void test_forward(void **state)
{
    char option[96];
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t length = sizeof(at);
    uint8_t frame[60];

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(probe, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(probe, (struct sockaddr *)&at, &length), 0);
    close(probe);
    snprintf(option, sizeof(option),
             "user,id=n,hostfwd=tcp:127.0.0.1:%u-:22,hostfwd=udp::0-10.0.2.99:53",
             ntohs(at.sin_port));
    struct card *c = plug(option);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, (struct sockaddr *)&at, sizeof(at));
    /* First it asks who 10.0.2.15 is. */
    turn_until(c->b, c->frames && load_be16(c->last + 12) == 0x0806);
    assert_int_equal(load_be32(c->last + 38), 0x0a00020f);
    transmit(c, frame, make_arp(frame, 2, 0x0a00020f, 0x0a000202));
    turn_until(c->b, load_be16(c->last + 12) == 0x0800);
    assert_int_equal(c->last[23], 6);
    assert_int_equal(load_be16(c->last + 36), 22);
    assert_int_equal(c->last[47] & 0x3f, 0x02);
    close(fd);
    unplug(c);
}

static void test_bad_options(void **state)
{
    bench_refused("not ADDRESS/4..28", "-netdev", "user,id=n,net=10.0.2.0/40");
    bench_refused("not [tcp|udp]", "-netdev", "user,id=n,hostfwd=tcp:nonsense");
    bench_refused("not [tcp|udp]", "-netdev", "user,id=n,hostfwd=tcp::80-:80x");
    bench_refused("not an IPv4 address", "-netdev", "user,id=n,dns=x");
    bench_refused("one of fd=", "-netdev", "socket,id=n");
    bench_refused("fd=1000", "-netdev", "socket,id=n,fd=1000");
    bench_refused("no option 'shiny'", "-netdev", "user,id=n,shiny=yes");
}

static void test_socket(void **state)
{
    int fds[2];
    char option[64];
    uint8_t frame[100], wire[200];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    snprintf(option, sizeof(option), "socket,id=n,fd=%d", fds[0]);
    struct card *c = plug(option);
    for (unsigned i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)i;
    transmit(c, frame, sizeof(frame));
    assert_int_equal(read(fds[1], wire, sizeof(wire)), 104);
    assert_int_equal(load_be32(wire), 100);
    assert_memory_equal(wire + 4, frame, 100);
    /* Back in crumbs. */
    for (unsigned i = 0; i < 104; i += 13) {
        assert_int_equal(write(fds[1], wire + i, 13), 13);
        turn(c->b);
    }
    assert_int_equal(c->frames, 1);
    assert_int_equal(c->last_bytes, 100);
    assert_memory_equal(c->last, frame, 100);
    /* Nothing is lost while the card has no room. */
    c->full = true;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(write(fds[1], wire, 104), 104);
    turn(c->b);
    turn(c->b);
    c->full = false;
    net_accept_input(c->n);
    turn_until(c->b, c->frames == 4);
    /* An absurd length ends the connection, not the process. */
    memset(wire, 0xff, 4);
    assert_int_equal(write(fds[1], wire, 4), 4);
    turn(c->b);
    assert_int_equal(read(fds[1], wire, 1), 0);
    transmit(c, frame, sizeof(frame));
    close(fds[1]);
    unplug(c);
}

static void test_tap(void **state)
{
    if (access("/dev/net/tun", R_OK | W_OK) || geteuid() != 0)
        skip();
    struct card *c = plug("tap,id=n,ifname=corbeltest0,script=no");
    uint8_t frame[60];

    /* The interface is down: frames vanish, nothing else happens. */
    transmit(c, frame, make_arp(frame, 1, 0x0a00020f, 0x0a000202));
    turn(c->b);
    unplug(c);
}

static void test_hub(void **state)
{
    struct card *c = calloc(1, sizeof(*c)), *d = calloc(1, sizeof(*d));
    uint8_t frame[100] = {1, 2, 3};

    c->b = bench_start("-netdev", "hubport,id=n,hubid=3", "-netdev",
                       "hubport,id=o,hubid=3", "-netdev", "hubport,id=p,hubid=4");
    c->n = net_by_id(c->b->m, "n");
    assert_int_equal(net_attach(c->n, &front, c), 0);
    assert_int_equal(net_attach(net_by_id(c->b->m, "o"), &front, d), 0);
    transmit(c, frame, sizeof(frame));
    assert_int_equal(c->frames, 0);
    assert_int_equal(d->frames, 1);
    assert_memory_equal(d->last, frame, sizeof(frame));
    free(d);
    unplug(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dhcp),    cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_forward), cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_socket),  cmocka_unit_test(test_tap),
        cmocka_unit_test(test_hub),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
