/* What the comparison with the real CPU shares: the machines and one trial's inputs.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_EMULATE_ORACLE_H
#define TESTS_UNIT_EMULATE_ORACLE_H

#include "generate.h"
#include "machine.h"
#include "native.h"

enum {
    STATUS = 0x8d5,
    FLAGS_COMPARED = STATUS | 0x400 | 0x4000 | 0x40000 | 0x200000, /* DF NT AC ID */
    TF = 0x100,
    ID = 0x200000,
    FAILURES_SHOWN = 8,
    CODE_BYTES = 0x2000, /* the sandbox's pages with code */
};

/* One comparison's inputs. */
struct trial {
    unsigned int bits;
    bool step; /* one step with TF, else until the INT3 behind it */
    struct candidate cand;
    uint64_t offset; /* of the instruction in the sandbox */
    struct cpu_regs in;
    uint16_t sel[EMUL_GS + 1];
    uint64_t fs_base, gs_base;
    bool vector;
};

extern struct native native;
extern struct machine machine;
extern uint8_t emulated_mem[SANDBOX_BYTES];
extern struct rng rng;

/* Make a random instruction and inputs that mostly let it do something. */
void random_trial(struct trial *t, unsigned int bits);
/* Base of the segment that a selector stands for. */
uint64_t selector_base(uint16_t sel);
/* Give the emulated machine a trial's inputs. */
void load_machine(const struct trial *t);
/* See trial.c. */
bool stack_in_sandbox(const struct trial *t);

#endif
