/* A process that runs single instructions on the real CPU for the emulator to be compared
 * with. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The child has nothing mapped but the sandbox and a signal page, may make no system
 * call, and never runs anything but the instruction under test: all through ptrace.
 */
#ifndef TESTS_UNIT_EMULATE_NATIVE_H
#define TESTS_UNIT_EMULATE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

enum {
    SANDBOX_BASE = 0x10000000,
    SANDBOX_PAGES = 16,
    SANDBOX_BYTES = SANDBOX_PAGES * 4096,
    SANDBOX_LDT = 16,
    XSTATE_MAX = 16384,
};

/* Protection of each sandbox page: PROT_*, 0 is not mapped. */
extern const uint8_t sandbox_prot[SANDBOX_PAGES];

/* Local descriptors: code and data of both sizes, odd limits and types. */
extern uint64_t sandbox_ldt[SANDBOX_LDT];

struct native {
    pid_t pid;
    uint8_t *mem;     /* our view of the sandbox */
    uint8_t *sig_mem; /* our view of the signal stack */
    unsigned int ymm_offset;
};

struct native_result {
    bool fault;
    bool breakpoint; /* stopped at an INT3 */
    uint8_t vector;
    uint32_t error;
    uint64_t cr2;
};

/* Create the child.  Returns 0, or -1 with errno when this machine does not permit it. */
int native_start(struct native *n);
void native_stop(struct native *n);

/* Execute: one instruction (`step`), or until an INT3.  *regs in and out.  xstate may be
 * NULL; it is an XSAVE image of *xstate_len bytes, in and out. */
int native_run(struct native *n, struct user_regs_struct *regs, bool step,
               uint8_t *xstate, size_t *xstate_len, struct native_result *r);

/* Registers and XSAVE image of the child as it is. */
int native_get_xstate(struct native *n, uint8_t *xstate, size_t *len);
int native_get_regs(struct native *n, struct user_regs_struct *regs);

#endif
