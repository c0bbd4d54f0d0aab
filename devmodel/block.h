/*
 * Between block.c and the code that reads each kind of image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_BLOCK_H
#define DEVMODEL_BLOCK_H

#include "machine.h"

int block_file_open(struct block_backend *b, const char *file, struct error *error);
int block_null_open(struct block_backend *b, const char *file, struct error *error);
int block_nbd_open(struct block_backend *b, const char *uri, struct error *error);
/* Through a qemu-storage-daemon of our own, for formats other than raw. */
int block_daemon_open(struct block_backend *b, const char *file, const char *format,
                      struct error *error);

/*
 * blkdebug:CONFIG:FILE, the fault injection of QEMU's tests; only in the test program
 * (weak). block_debug_take: true when the request was held or failed.
 */
__attribute__((weak)) int block_debug_open(struct block_backend *b, const char *file,
                                           struct error *error);
__attribute__((weak)) bool block_debug_take(struct block_backend *b,
                                            struct block_request *request);
__attribute__((weak)) void block_debug_release(struct block_backend *b);
/* `qemu-io DRIVE "COMMAND"` of the text monitor: break EVENT TAG, resume TAG. */
__attribute__((weak)) int block_debug_command(struct block_backend *b,
                                              const char *command);

/* block_complete() from the main loop, not now. */
void block_complete_later(struct block_request *request, int result);

/*
 * Threads that do what blocks.  work() runs on one of them, done() on the main loop.
 */
struct job {
    void (*work)(struct job *job);
    void (*done)(struct job *job);
    struct job *next;
};

/* Both from the main-loop thread. */
void workers_submit(struct machine *m, struct job *job);
void workers_finished(struct machine *m,
                      struct job *job); /* only done(), from the loop */
/* Run done() of what has finished; with `wait`, of at least one job if any is under way.
 */
void workers_poll(struct machine *m, bool wait);
void workers_stop(struct machine *m);

#endif
