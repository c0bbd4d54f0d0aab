/*
 * The process that opens images other than raw: what it serves, what it refuses after the
 * seal, and that its servers end.  With QEMU's own programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devmodel/block.h"
#include "devmodel/opener.h"

#define BYTES  65536u
#define SECTOR 512u

static char directory[] = "/tmp/corbel-opener-XXXXXX";
static char qcow2[64], text[64];

static int make_files(void **state)
{
    char command[400];

    if (!mkdtemp(directory))
        return -1;
    snprintf(qcow2, sizeof(qcow2), "%s/a,b.qcow2", directory);
    snprintf(text, sizeof(text), "%s/text", directory);
    snprintf(command, sizeof(command),
             "head -c %u /dev/zero | tr '\\0' x >%s && "
             "qemu-img convert -f raw -O qcow2 %s '%s'",
             BYTES, text, text, qcow2);
    return system(command);
}

static int remove_files(void **state)
{
    unlink(qcow2);
    unlink(text);
    return rmdir(directory);
}

/* What xenstore would say: device 1 has the image, 2 one of another format. */
static int look(void *opaque, const char *device, struct opener_image *image)
{
    if (strcmp(device, "1") != 0 && strcmp(device, "2") != 0)
        return -ENOENT;
    snprintf(image->file, sizeof(image->file), "%s", *device == '1' ? qcow2 : text);
    strcpy(image->format, "qcow2");
    image->read_only = true;
    return 0;
}

static struct opener_image image_of(const char *file, const char *format)
{
    struct opener_image image = {.read_only = true};

    snprintf(image.file, sizeof(image.file), "%s", file);
    snprintf(image.format, sizeof(image.format), "%s", format);
    return image;
}

static void test_refused(void **state)
{
    struct error error = {.text = ""};
    struct opener *o = opener_start(look, NULL, &error);
    struct opener_image image = image_of(text, "qcow2");
    unsigned id;

    assert_non_null(o);
    assert_true(opener_open(o, NULL, &image, &id, &error) < 0); /* it is no qcow2 */
    assert_non_null(strstr(error.text, text));
    image = image_of(qcow2, "vhd2");
    assert_int_equal(opener_open(o, NULL, &image, &id, &error), -EINVAL);
    image = image_of("/no/such/image", "qcow2");
    assert_int_equal(opener_open(o, NULL, &image, &id, &error), -ENOENT);
    memset(image.file, 'x', sizeof(image.file)); /* no end */
    assert_int_equal(opener_open(o, NULL, &image, &id, &error), -EINVAL);
    opener_close(o, 0); /* none of ours */
    opener_close(o, ~0u);
    opener_stop(o);
}

static void test_sealed(void **state)
{
    struct error error = {.text = ""};
    struct opener *o = opener_start(look, NULL, &error);
    struct opener_image image = image_of(qcow2, "qcow2");
    char greeting[8], byte;
    unsigned id = ~0u;

    assert_non_null(o);
    assert_int_equal(opener_seal(o, &error), 0);
    assert_int_equal(opener_open(o, NULL, &image, &id, &error), -EPERM);
    assert_int_equal(opener_open(o, "3", &image, &id, &error), -ENOENT);
    assert_true(opener_open(o, "2", &image, &id, &error) < 0);
    image = image_of("/etc/passwd", "raw"); /* what is asked for does not count */
    int fd = opener_open(o, "1", &image, &id, &error);
    assert_true(fd > 0);
    assert_int_equal(recv(fd, greeting, sizeof(greeting), MSG_WAITALL), sizeof(greeting));
    assert_memory_equal(greeting, "NBDMAGIC", sizeof(greeting));
    opener_close(o, id);
    while (recv(fd, &byte, 1, 0) > 0) /* its server has ended: so does this */
        ;
    close(fd);
    opener_stop(o);
}

static void finished(struct block_request *request, int result)
{
    *(int *)request->opaque = result;
}

static int transfer(struct block_backend *b, enum block_op op, uint64_t at, void *data)
{
    struct iovec iov = {data, SECTOR};
    int result = 1;
    struct block_request r = {.op = op,
                              .offset = at,
                              .bytes = op == BLOCK_FLUSH ? 0 : SECTOR,
                              .iov = &iov,
                              .iovcnt = op == BLOCK_FLUSH ? 0 : 1,
                              .done = finished,
                              .opaque = &result};

    block_submit(b, &r);
    block_drain(b);
    return result;
}

/* As a drive of a machine: read, written, and there again in the next machine. */
static void test_drive(void **state)
{
    struct bench b;
    char word[128], data[SECTOR];

    snprintf(word, sizeof(word), "if=none,id=d,format=qcow2,file=%s/a,,b.qcow2",
             directory);
    for (int round = 0; round < 2; round++) {
        bench_start(&b, "-drive", word, NULL);
        struct block_backend *drive = block_by_id(b.m, "d");
        assert_non_null(drive);
        assert_int_equal(block_bytes(drive), BYTES);
        assert_int_equal(transfer(drive, BLOCK_READ, SECTOR, data), 0);
        assert_int_equal(data[0], round ? 'y' : 'x');
        memset(data, 'y', sizeof(data));
        assert_int_equal(transfer(drive, BLOCK_WRITE, SECTOR, data), 0);
        assert_int_equal(transfer(drive, BLOCK_READ, 2 * SECTOR, data), 0);
        assert_int_equal(data[0], 'x');
        block_flush_all(b.m);
        bench_stop(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_drive),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
