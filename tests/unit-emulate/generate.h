/* Random instructions, and what Zydis says about them.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_EMULATE_GENERATE_H
#define TESTS_UNIT_EMULATE_GENERATE_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t s;
};

uint64_t rng_next(struct rng *r);
/* 0 to n - 1 */
unsigned int rng_below(struct rng *r, unsigned int n);
/* true in `percent` of 100 */
bool rng_chance(struct rng *r, unsigned int percent);

struct candidate {
    uint8_t bytes[16];
    unsigned int len;
    bool valid; /* Zydis knows it */
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
};

/* Make a random instruction for code of `bits` (16, 32, 64). */
void candidate_make(struct rng *r, unsigned int bits, struct candidate *c);
/* Decode bytes[] again after a change. */
void candidate_decode(unsigned int bits, struct candidate *c);

/* Whether it can run in the sandbox with a result that only depends on its inputs. */
bool candidate_runs(const struct candidate *c);
/* Whether the emulator must know it. */
bool candidate_required(const struct candidate *c);
/* Status flags that the manuals leave undefined for this instance. */
uint64_t candidate_undefined(const struct candidate *c, uint64_t rcx);
/* Whether it reads or writes vector or x87 state. */
bool candidate_vector(const struct candidate *c);

#endif
