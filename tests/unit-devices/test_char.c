/*
 * What the other end of a serial line can be: a pty, a file, stdin and stdout, a socket
 * that waits for somebody or goes to somebody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DATA       0x3f8
#define LSR        0x3fd
#define LSR_DATA   1
#define WAIT_TURNS 2000

static char directory[32], path[64];

static int setup(void **state)
{
    strcpy(directory, "/tmp/corbel-char-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/end", directory);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    return rmdir(directory);
}

/* The guest says something, and it comes out at fd. */
static void says(struct bench *b, int fd, const char *text)
{
    size_t wanted = strlen(text), got = 0;
    char seen[64];

    for (const char *p = text; *p; p++)
        out8(b, DATA, (uint8_t)*p);
    for (unsigned i = 0; got < wanted && i < WAIT_TURNS; i++) {
        turn_wait(b);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 0) != 1)
            continue;
        ssize_t n = read(fd, seen + got, sizeof(seen) - got);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(got, wanted);
    assert_memory_equal(seen, text, wanted);
}

/* What is written to fd comes to the guest. */
static void hears(struct bench *b, int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    for (const char *p = text; *p; p++) {
        turn_until(b, in8(b, LSR) & LSR_DATA);
        assert_int_equal(in8(b, DATA), *p);
    }
    assert_false(in8(b, LSR) & LSR_DATA);
}

static void test_pty(void **state)
{
    char option[96];

    snprintf(option, sizeof(option), "pty:%s", path);
    struct bench *b = bench_start("-serial", option);
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0 && isatty(fd));
    says(b, fd, "login:\r\n");
    hears(b, fd, "root\r");
    close(fd);
    bench_stop(b);
}

static void test_file(void **state)
{
    char option[96], seen[64];

    snprintf(option, sizeof(option), "file:%s", path);
    struct bench *b = bench_start("-serial", option);
    for (const char *p = "a log"; *p; p++)
        out8(b, DATA, (uint8_t)*p);
    turn(b);
    bench_stop(b);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, seen, sizeof(seen)), 5);
    assert_memory_equal(seen, "a log", 5);
    close(fd);
    bench_refused("No such file", "-serial", "file:/nowhere/at/all");
}

static void test_stdio(void **state)
{
    int to[2], from[2], in = dup(STDIN_FILENO), out = dup(STDOUT_FILENO);

    assert_int_equal(pipe(to) | pipe(from), 0);
    fflush(stdout);
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    struct bench *b = bench_start("-serial", "stdio");
    says(b, from[0], "to stdout");
    hears(b, to[1], "from stdin");
    bench_stop(b);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    int all[] = {to[0], to[1], from[0], from[1], in, out};
    for (unsigned i = 0; i < 6; i++)
        close(all[i]);
}

static int unix_socket(struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(address->sun_path, path);
    assert_true(fd >= 0);
    return fd;
}

static void test_socket(void **state)
{
    struct sockaddr_un address;
    char option[96];
    int listener = unix_socket(&address);

    snprintf(option, sizeof(option), "unix:%s", path);
    bench_refused("cannot connect", "-serial", option);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    struct bench *b = bench_start("-serial", option);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    says(b, fd, "who is there?");
    hears(b, fd, "me");
    close(fd);
    out8(b, DATA, 'x'); /* nobody listens any more */
    turn(b);
    bench_stop(b);
    close(listener);
}

static void test_listening_socket(void **state)
{
    struct sockaddr_un address;
    char option[128];

    snprintf(option, sizeof(option), "socket,id=c,path=%s,server=on,wait=off", path);
    struct bench *b = bench_start("-chardev", option, "-serial", "chardev:c");
    for (unsigned visitor = 0; visitor < 2; visitor++) {
        int fd = unix_socket(&address);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        hears(b, fd, "hello");
        says(b, fd, "good day");
        close(fd);
        turn_wait(b);
    }
    bench_stop(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stdio, setup, teardown),
        cmocka_unit_test_setup_teardown(test_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listening_socket, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN); /* as the device model does at its start */
    return cmocka_run_group_tests_name("char", tests, NULL, NULL);
}
