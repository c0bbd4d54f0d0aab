/* ops.native for the comparison with the real CPU: a second process runs what the
 * emulator has made of an instruction. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_EMULATE_RUNNER_H
#define TESTS_UNIT_EMULATE_RUNNER_H

#include "machine.h"
#include "native.h"

/* machine_ops, with `native`. */
extern struct emul_ops runner_ops;

/* Start the process; -1 as native_start(). */
int runner_start(void);
void runner_stop(void);

/* The machine's vector and x87 registers to and from an XSAVE image; a process's first
 * image is the pattern for the rest of it. */
void xstate_load(const struct machine *m, uint8_t *x);
void xstate_store(struct machine *m, const uint8_t *x);
extern uint8_t xstate_pattern[XSTATE_MAX];
extern size_t xstate_len;
extern unsigned int xstate_ymm_offset;

#endif
