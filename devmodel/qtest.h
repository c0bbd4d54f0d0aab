/*
 * The qtest front end: devices driven over a socket, without a hypervisor and without a
 * CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_QTEST_H
#define DEVMODEL_QTEST_H

#include "machine.h"

#define PAM_AREAS 16

struct qtest {
    struct machine *machine;
    int64_t clock; /* ns; moves by clock_step and clock_set only */

    uint8_t *low, *high, *rom; /* qtest_ram.c */
    size_t rom_bytes;
    uint8_t
        pam[PAM_AREAS]; /* 16 KiB each from 0xC0000; bit 0 read RAM, bit 1 write RAM */

    int fd;
    uv_poll_t poll;
    char *line; /* what has come of the next command */
    size_t line_bytes, line_room;
    bool intercept;
    bool irq_level[ISA_IRQS];
};

/* qtest_ram.c */
int qtest_ram_init(struct qtest *q, const char *bios, struct error *error);
void qtest_ram_free(struct qtest *q, const struct board *board);
int qtest_ram_read(struct machine *m, uint64_t gpa, void *buffer, size_t bytes);
int qtest_ram_write(struct machine *m, uint64_t gpa, const void *buffer, size_t bytes);
void qtest_cpu_read(struct machine *m, uint64_t gpa, uint8_t *to, size_t bytes);
void qtest_cpu_write(struct machine *m, uint64_t gpa, const uint8_t *from, size_t bytes);
void qtest_set_pam(struct machine *m, uint32_t base, uint32_t bytes, bool read_ram,
                   bool write_ram);
int qtest_window_init(struct machine *m, struct ram_window *w);
void qtest_window_fini(struct machine *m, struct ram_window *w);
int qtest_window_map(struct machine *m, struct ram_window *w, uint64_t gpa);
void qtest_window_unmap(struct machine *m, struct ram_window *w);
void qtest_window_track(struct machine *m, struct ram_window *w, bool on);
int qtest_window_dirty(struct machine *m, struct ram_window *w, uint64_t offset,
                       uint64_t bytes, uint64_t *bitmap);

/* qtest.c: the protocol.  `address` is unix:PATH of a test program that listens. */
int qtest_connect(struct qtest *q, const char *address, struct error *error);
void qtest_disconnect(struct qtest *q);
/* One command without its newline; the answer is written to q->fd. */
void qtest_command(struct qtest *q, char *line);
extern const struct front_ops qtest_front;

#endif
