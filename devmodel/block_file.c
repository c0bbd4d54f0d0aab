/*
 * Raw images: a file or a block device.  A read that the page cache holds is done at once
 * (RWF_NOWAIT), everything else by the worker threads.  Also null-co://, a disk of
 * zeroes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "control.h"

#define SECTOR 512u

struct block_file {
    int fd;
    bool device;
};

struct file_job {
    struct job job;
    struct block_request *request;
    int result;
};

static struct block_file *to_file(const struct block_backend *b)
{
    return b->opaque;
}

/* What of the request lies behind the first `done` bytes. */
static int rest_of(const struct block_request *r, uint64_t done, struct iovec *rest)
{
    int count = 0;

    for (int i = 0; i < r->iovcnt && count < IOV_MAX; i++) {
        if (done >= r->iov[i].iov_len) {
            done -= r->iov[i].iov_len;
            continue;
        }
        rest[count].iov_base = (char *)r->iov[i].iov_base + done;
        rest[count++].iov_len = r->iov[i].iov_len - done;
        done = 0;
    }
    return count;
}

/* Zero what lies behind the end of a file whose size is not a multiple of 512. */
static void zero_tail(const struct block_request *r, uint64_t done)
{
    struct iovec *rest = must_alloc(IOV_MAX * sizeof(*rest));
    int count = rest_of(r, done, rest);

    for (int i = 0; i < count; i++)
        memset(rest[i].iov_base, 0, rest[i].iov_len);
    free(rest);
}

static int transfer(int fd, const struct block_request *r)
{
    struct iovec *rest = NULL;
    uint64_t done = 0;
    int err = 0;

    while (done < r->bytes) {
        const struct iovec *iov = r->iov;
        int count = r->iovcnt < IOV_MAX ? r->iovcnt : IOV_MAX;
        if (done) {
            if (!rest)
                rest = must_alloc(IOV_MAX * sizeof(*rest));
            count = rest_of(r, done, rest);
            iov = rest;
        }
        off_t at = (off_t)(r->offset + done);
        ssize_t n = r->op == BLOCK_READ ? preadv(fd, iov, count, at)
                                        : pwritev(fd, iov, count, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err = -errno;
            break;
        }
        if (n == 0) {
            if (r->op == BLOCK_READ)
                zero_tail(r, done);
            else
                err = -ENOSPC;
            break;
        }
        done += (uint64_t)n;
    }
    free(rest);
    return err;
}

static int zero_or_discard(const struct block_file *f, const struct block_request *r)
{
    uint64_t range[2] = {r->offset, r->bytes};
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    if (!r->bytes)
        return 0;
    if (f->device) {
        unsigned long how = r->op == BLOCK_DISCARD ? BLKDISCARD : BLKZEROOUT;
        if (ioctl(f->fd, how, range) == 0)
            return 0;
    } else if (fallocate(f->fd, mode, (off_t)r->offset, (off_t)r->bytes) == 0) {
        return 0;
    }
    if (r->op == BLOCK_DISCARD)
        return 0; /* only a hint */
    if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOTTY)
        return -errno;
    static const uint8_t zeroes[65536];
    for (uint64_t done = 0; done < r->bytes;) {
        uint64_t piece = r->bytes - done;
        if (piece > sizeof(zeroes))
            piece = sizeof(zeroes);
        ssize_t n = pwrite(f->fd, zeroes, piece, (off_t)(r->offset + done));
        if (n <= 0)
            return n ? -errno : -ENOSPC;
        done += (uint64_t)n;
    }
    return 0;
}

static void file_work(struct job *job)
{
    struct file_job *j = (struct file_job *)job;
    const struct block_request *r = j->request;
    const struct block_file *f = to_file(r->backend);

    switch (r->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        j->result = transfer(f->fd, r);
        break;
    case BLOCK_FLUSH:
        j->result = fdatasync(f->fd) ? -errno : 0;
        break;
    case BLOCK_DISCARD:
    case BLOCK_WRITE_ZEROES:
        j->result = zero_or_discard(f, r);
        break;
    }
}

static void file_done(struct job *job)
{
    struct file_job *j = (struct file_job *)job;
    struct block_request *r = j->request;
    int result = j->result;

    if (result)
        dev_log(NULL, LOG_WARNING, "%s: I/O error at byte %llu: %s", r->backend->id,
                (unsigned long long)r->offset, strerror(-result));
    free(j);
    block_complete(r, result);
}

static bool read_from_cache(int fd, const struct block_request *r)
{
    if (r->op != BLOCK_READ || r->iovcnt > IOV_MAX)
        return false;
    ssize_t n = preadv2(fd, r->iov, r->iovcnt, (off_t)r->offset, RWF_NOWAIT);
    return n >= 0 && (uint64_t)n == r->bytes;
}

static void file_submit(struct block_backend *b, struct block_request *request)
{
    struct file_job *j = must_alloc(sizeof(*j));

    j->request = request;
    j->job.work = file_work;
    j->job.done = file_done;
    if (read_from_cache(to_file(b)->fd, request))
        workers_finished(b->machine, &j->job);
    else
        workers_submit(b->machine, &j->job);
}

static void file_close(struct block_backend *b)
{
    struct block_file *f = to_file(b);

    close(f->fd);
    free(f);
}

static int file_resize(struct block_backend *b, uint64_t bytes)
{
    struct block_file *f = to_file(b);

    if (f->device)
        return -ENOTSUP;
    return ftruncate(f->fd, (off_t)bytes) ? -errno : 0;
}

static const struct block_backend_ops file_ops = {
    .name = "file",
    .resize = file_resize,
    .submit = file_submit,
    .close = file_close,
};

static int size_of(int fd, const struct stat *st, uint64_t *bytes)
{
    if (S_ISBLK(st->st_mode))
        return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
    *bytes = (uint64_t)st->st_size;
    return 0;
}

/* Writes go to an unlinked copy that shares nothing with the image. */
static int make_snapshot(int fd, uint64_t bytes)
{
    const char *dir = getenv("TMPDIR");
    char name[PATH_MAX];

    snprintf(name, sizeof(name), "%s/corbel-snapshot-XXXXXX", dir ? dir : "/var/tmp");
    int copy = mkostemp(name, O_CLOEXEC);
    if (copy < 0)
        return -errno;
    unlink(name);
    off_t from = 0, to = 0;
    while ((uint64_t)from < bytes) {
        ssize_t n = copy_file_range(fd, &from, copy, &to, bytes - (uint64_t)from, 0);
        if (n <= 0) {
            int err = n ? -errno : -EIO;
            close(copy);
            return err;
        }
    }
    return copy;
}

static int open_image(struct block_backend *b, const char *file, struct stat *st,
                      struct error *error)
{
    int how = b->read_only || b->snapshot ? O_RDONLY : O_RDWR;
    /* Also one that came through the control socket. Never hang on a FIFO. */
    int fd = control_open(b->machine, file, how | O_NONBLOCK);

    if (fd < 0)
        return error_set(error, -errno, "cannot open image '%s': %s", file,
                         strerror(errno));
    int err = fstat(fd, st) ? -errno : 0;
    if (!err && !S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        err = -EINVAL;
    if (err) {
        error_set(error, err, "image '%s' is neither a file nor a block device", file);
        close(fd);
        return err;
    }
    return fd;
}

int block_file_open(struct block_backend *b, const char *file, struct error *error)
{
    struct stat st;
    int fd = open_image(b, file, &st, error);

    if (fd < 0)
        return fd;
    int err = size_of(fd, &st, &b->bytes);
    if (err) {
        error_set(error, err, "cannot tell the size of '%s': %s", file, strerror(-err));
        goto fail;
    }
    if (b->snapshot) {
        int copy = make_snapshot(fd, b->bytes);
        if (copy < 0) {
            err =
                error_set(error, copy, "no snapshot of '%s': %s", file, strerror(-copy));
            goto fail;
        }
        close(fd);
        fd = copy;
    }
    /* Two guests on one disk destroy it; read-only users share. */
    if (!b->snapshot && flock(fd, (b->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) &&
        !b->machine->migrating) { /* its other half holds it, and has stopped */
        err = error_set(error, -EBUSY, "image '%s' is in use by another machine", file);
        goto fail;
    }
    b->bytes = (b->bytes + SECTOR - 1) & ~(uint64_t)(SECTOR - 1);
    struct block_file *f = must_alloc(sizeof(*f));
    f->fd = fd;
    f->device = S_ISBLK(st.st_mode);
    b->opaque = f;
    b->ops = &file_ops;
    return 0;
fail:
    close(fd);
    return err;
}

/* ---- null ---------------------------------------------------------------------------
 */

static void null_submit(struct block_backend *b, struct block_request *r)
{
    if (r->op == BLOCK_READ)
        zero_tail(r, 0);
    block_complete_later(r, 0);
}

static void null_close(struct block_backend *b)
{
}

static int null_resize(struct block_backend *b, uint64_t bytes)
{
    return 0;
}

static const struct block_backend_ops null_ops = {
    .name = "null",
    .resize = null_resize,
    .submit = null_submit,
    .close = null_close,
};

int block_null_open(struct block_backend *b, const char *file, struct error *error)
{
    if (!b->bytes)
        b->bytes = 1ULL << 30;
    b->ops = &null_ops;
    return 0;
}
