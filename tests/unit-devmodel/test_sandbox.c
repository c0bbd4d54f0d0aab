/*
 * The sandbox: what a device model can and cannot do behind it. Each check runs in a
 * child of its own, whose exit status tells.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devmodel/sandbox.h"

#define NOT_ENTERED 99

/* What `check` returns in a child behind the sandbox: 0 is as it should be. */
static int inside(const struct config *c, int (*check)(void))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct error error;

        _exit(sandbox_enter(c, 0, &error) ? NOT_ENTERED : check());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run_program(void)
{
    char name[] = "true", *const argv[] = {name, NULL};

    execv("/bin/true", argv);
    return errno == EPERM ? 0 : 1;
}

static int make_process(void)
{
    return syscall(SYS_fork) < 0 && errno == EPERM ? 0 : 1;
}

static int make_executable(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return 1;
    if (mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EPERM)
        return 2;
    p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED && errno == EPERM ? 0 : 3;
}

static int touch_others(void)
{
    if (kill(getppid(), 0) == 0 || errno != EPERM)
        return 1;
    if (syscall(SYS_tgkill, getppid(), getppid(), 0) == 0 || errno != EPERM)
        return 2;
    if (ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 || errno != EPERM)
        return 3;
    return setuid(0) < 0 && errno == EPERM ? 0 : 4;
}

static int raw_socket(void)
{
    if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM)
        return 1;
    return socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM ? 0 : 2;
}

static void *set_flag(void *flag)
{
    *(int *)flag = 1;
    return NULL;
}

/* What a machine at work does: threads, files, sockets, memory. */
static int work(void)
{
    pthread_t thread;
    int flag = 0, fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char byte = 1;

    if (fd < 0 || read(fd, &byte, 1) != 1 || byte)
        return 1;
    if (pthread_create(&thread, NULL, set_flag, &flag) || pthread_join(thread, NULL) ||
        !flag)
        return 2;
    if (socket(AF_INET, SOCK_STREAM, 0) < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0)
        return 3;
    void *p = malloc(1 << 20);
    if (!p)
        return 4;
    memset(p, 1, 1 << 20);
    free(p);
    return 0;
}

static void test_forbidden(void **state)
{
    const struct config c = {.domid = 1};

    assert_int_equal(inside(&c, run_program), 0);
    assert_int_equal(inside(&c, make_process), 0);
    assert_int_equal(inside(&c, make_executable), 0);
    assert_int_equal(inside(&c, touch_others), 0);
    assert_int_equal(inside(&c, raw_socket), 0);
}

static void test_allowed(void **state)
{
    const struct config c = {.domid = 1};

    assert_int_equal(inside(&c, work), 0);
}

static void test_off(void **state)
{
    const struct config c = {.domid = 1, .sandbox_off = true};

    assert_int_equal(inside(&c, make_process), 1);
}

static int is_nobody(void)
{
    if (getuid() == 0 || geteuid() == 0 || getgid() == 0)
        return 1;
    return open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 ? 0 : 2;
}

static void test_user(void **state)
{
    const struct config c = {.domid = 1, .run_as = "nobody"};
    const struct config nobody = {.domid = 1, .run_as = "no-such-user"};

    assert_int_equal(inside(&nobody, work), NOT_ENTERED);
    if (getuid() != 0)
        skip(); /* only root can become somebody else */
    assert_int_equal(inside(&c, is_nobody), 0);
    assert_int_equal(inside(&c, work), 0);
}

/* As libxl writes it for a user without a name; and the root is another. */
static int is_alone(void)
{
    if (getuid() != 12345 || getgid() != 678)
        return 1;
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == ENOENT ? 0 : 2;
}

static void test_chroot(void **state)
{
    char root[] = "/tmp/corbel-root-XXXXXX";
    const struct config c = {.domid = 1, .run_as = "12345:678", .chroot = root};
    const struct config half = {.domid = 1, .run_as = "12345:"};
    const struct config nowhere = {.domid = 1, .chroot = "/no/such/directory"};

    assert_int_equal(inside(&half, work), NOT_ENTERED);
    assert_int_equal(inside(&nowhere, work), NOT_ENTERED);
    if (getuid() != 0)
        skip(); /* only root can */
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    int result = inside(&c, is_alone);
    rmdir(root);
    assert_int_equal(result, 0);
}

/* The limit that libxl sets does not reach into an image; beyond it is an error. */
static void test_file_limit(void **state)
{
    char name[] = "/tmp/corbel-limit-XXXXXX";
    int status = 0, fd = mkstemp(name);
    pid_t child = fork();

    if (child == 0) {
        const struct config c = {.domid = 1};
        const struct rlimit limit = {4096, 1 << 20};
        struct error error;

        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) || pwrite(fd, "x", 1, 4096) == 1 ||
            sandbox_enter(&c, 65536, &error))
            _exit(NOT_ENTERED);
        _exit(pwrite(fd, "x", 1, 65535) == 1 && pwrite(fd, "x", 1, 65536) < 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fd);
    unlink(name);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A thread that was there before is behind the filter, too. */
static int other_thread_result = -1;
static int pipe_to_thread[2];

static void *late_thread(void *unused)
{
    char byte;

    if (read(pipe_to_thread[0], &byte, 1) == 1)
        other_thread_result = make_process();
    return NULL;
}

static void test_all_threads(void **state)
{
    int status = 0;
    pid_t child;

    assert_int_equal(pipe(pipe_to_thread), 0);
    child = fork();
    if (child == 0) {
        const struct config c = {.domid = 1};
        struct error error;
        pthread_t thread;

        if (pthread_create(&thread, NULL, late_thread, NULL) ||
            sandbox_enter(&c, 0, &error) || write(pipe_to_thread[1], "x", 1) != 1)
            _exit(NOT_ENTERED);
        pthread_join(thread, NULL);
        _exit(other_thread_result);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forbidden),   cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_off),         cmocka_unit_test(test_user),
        cmocka_unit_test(test_all_threads), cmocka_unit_test(test_chroot),
        cmocka_unit_test(test_file_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
