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
