/*
 * The commands of corbel(8).  Each gets its own name as argv[0] and returns the exit
 * status.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_COMMANDS_H
#define CORBEL_COMMANDS_H

#include "../lib/domain.h"
#include "guestdir.h"

/* Exit statuses. */
#define STATUS_FAILED 1
#define STATUS_USAGE  2
#define STATUS_ENDED  3 /* run, wait: the guest ended, but did not power itself off */

int command_create(int argc, char **argv);
int command_run(int argc, char **argv);
int command_list(int argc, char **argv);
int command_info(int argc, char **argv);
int command_top(int argc, char **argv);
int command_console(int argc, char **argv);
int command_vnc(int argc, char **argv);
int command_pause(int argc, char **argv);
int command_unpause(int argc, char **argv);
int command_shutdown(int argc, char **argv);
int command_wakeup(int argc, char **argv);
int command_reboot(int argc, char **argv);
int command_monitor(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_destroy(int argc, char **argv);
int command_wait(int argc, char **argv);
int command_dmesg(int argc, char **argv);
int command_debug_keys(int argc, char **argv);

/* Wait until a guest has ended, and say why; the exit status, or words in `f`. */
int wait_for_end(const char *name, struct failure *f);
/* Say what went wrong; returns STATUS_FAILED. */
int complain(const struct failure *f);
/* "usage: corbel ..."; returns STATUS_USAGE. */
int usage(const char *text);

/*
 * Join the terminal (or whatever stdin and stdout are) and a guest's console.  Ends when
 * the console does, returning 0, or when the user types Ctrl-], returning 1.  `also` >= 0
 * is a descriptor to watch; the loop goes on until the console has said everything.
 */
int console_connect(const char *guest, struct failure *f);
int console_loop(int console);

/* name=..., the number of domains' seconds and such, for list and top. */
struct domain_row {
    uint32_t domid;
    char name[GUEST_NAME_MAX + 1];
    uint64_t memory_mib;
    unsigned vcpus;
    char flags[8];
    uint64_t cpu_ns;
};
/* All domains with the names that are known; free() the result. */
int domain_rows(struct hypervisor *h, struct domain_row **rows, unsigned *count,
                struct failure *f);

#endif
