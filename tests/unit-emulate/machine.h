/* The machine that tests let the emulator work on: memory with page protections,
 * descriptor tables, registers behind every callback, and knobs that make callbacks fail.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_EMULATE_MACHINE_H
#define TESTS_UNIT_EMULATE_MACHINE_H

#include "hvm/emulate/emulate.h"

enum { MACHINE_MSRS = 16, MACHINE_LOG = 64 };

/* Linear addresses that only system accesses reach: descriptor tables and the TSS. */
#define MACHINE_GDT 0xffff900000000000ull
#define MACHINE_LDT 0xffff900000010000ull
#define MACHINE_IDT 0xffff900000020000ull
#define MACHINE_TSS 0xffff900000030000ull

enum machine_event {
    EV_NONE,
    EV_READ,
    EV_WRITE,
    EV_IO_READ,
    EV_IO_WRITE,
    EV_REP,
    EV_CMPXCHG
};

struct machine {
    struct emul_ctxt c;
    struct cpu_regs regs;

    /* [base, base + pages * 4096) with a PROT_* byte per page */
    uint8_t *mem;
    uint64_t base;
    unsigned int pages;
    const uint8_t *prot;

    uint64_t gdt[32], ldt[32], idt[512];
    uint8_t tss[512];

    struct emul_seg seg[EMUL_SEG_COUNT];
    uint64_t cr[16], dr[8], xcr0, tsc;
    uint32_t msr[MACHINE_MSRS];
    uint64_t msr_value[MACHINE_MSRS];
    uint8_t ymm[16][32];
    uint64_t mm[8];
    uint16_t mm_exponent[8]; /* with mm[]: the x87 registers from TOP on */
    uint16_t fcw, fsw;
    uint8_t ftw;
    uint32_t mxcsr;
    bool fpu_pending; /* an x87 exception waits: #MF */

    uint32_t io_value; /* what reads return, plus one at each read */
    unsigned int
        retry_at;         /* the n-th memory or port access returns EMUL_RETRY; 0: none */
    unsigned int fail_at; /* the n-th returns EMUL_UNHANDLEABLE */
    unsigned int lose;    /* so many LOCKed compare-and-exchanges find other memory */
    unsigned int
        rep_max;     /* bulk callbacks do at most this many iterations; 0: no limit */
    bool rep_refuse; /* bulk callbacks are EMUL_UNHANDLEABLE */

    /* what happened, oldest first */
    struct {
        enum machine_event event;
        uint64_t where, value;
        unsigned int bytes;
    } log[MACHINE_LOG];
    unsigned int logged, accesses;
    uint64_t invlpg;
    unsigned int invlpgs, hypercalls, wbinvds, invds, flushes;
};

extern const struct emul_ops machine_ops, machine_ops_bulk;

/* Reset to flat 64-bit (bits = 64), 32- or 16-bit protected mode at CPL 0, or real mode
 * (bits = 0); the memory fields stay. */
void machine_reset(struct machine *m, unsigned int bits);

/* Load a segment register's hidden part from the machine's tables; a null selector too.
 */
void machine_load_selector(struct machine *m, unsigned int seg, uint16_t sel);

/* Give the emulator the machine's state, run one instruction. */
int machine_run(struct machine *m);

uint64_t machine_desc(uint32_t base, uint32_t limit, uint16_t attr);

#endif
