/* Interface of the x86 instruction emulator: one call executes one guest instruction.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The emulator is pure: all state lives in struct emul_ctxt, all effects outside of the
 * general registers go through struct emul_ops.  It does segmentation itself (AMD APM vol
 * 2 ch 4, Intel SDM vol 3 ch 3) and hands linear addresses to the callbacks, which do
 * paging.
 *
 * A callback returns an enum emul_result.  Any value but EMUL_OKAY ends the instruction
 * and is handed to the caller; before EMUL_EXCEPTION it calls emul_raise() or
 * emul_page_fault(). Registers are written only after everything that can fail has
 * succeeded, so after EMUL_RETRY the instruction can be run again from the start.  A
 * repeated string instruction commits each finished iteration and leaves RIP on itself.
 *
 * Arithmetic on vector and x87 registers is the processor's: ops.native runs the
 * instruction itself, with its memory operand in a buffer.
 *
 * Left out: alignment checks (#AC), hardware breakpoints (DR7), branch single-stepping,
 * CET, EVEX and XOP encodings, 3DNow!, SSE4A, gathers and masked moves.
 */
#ifndef CORBEL_HVM_EMULATE_EMULATE_H
#define CORBEL_HVM_EMULATE_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/regs.h"

enum emul_result {
    EMUL_OKAY,         /* instruction (or part of a repeated one) is done */
    EMUL_EXCEPTION,    /* ctxt.event says what to inject; registers as before */
    EMUL_RETRY,        /* a request is under way: run the same instruction again later */
    EMUL_UNHANDLEABLE, /* a valid instruction that the emulator or a callback cannot do */
    EMUL_CMPXCHG_FAILED, /* from ops.cmpxchg only: memory did not hold the old value */
};

/* Segment registers, in the order of the VMCB's state save area. */
enum emul_seg_index {
    EMUL_ES,
    EMUL_CS,
    EMUL_SS,
    EMUL_DS,
    EMUL_FS,
    EMUL_GS,
    EMUL_GDTR,
    EMUL_LDTR,
    EMUL_IDTR,
    EMUL_TR,
    EMUL_SEG_COUNT,
};

/* A segment register in the VMCB's format: attr bits 0-3 type, 4 S, 5-6 DPL, 7 P, 8 AVL,
 * 9 L, 10 D/B, 11 G; limit in bytes.  P = 0 means unusable (null). */
struct emul_seg {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit;
    uint64_t base;
};

#define EMUL_ATTR_TYPE 0x00fu
#define EMUL_ATTR_S    0x010u
#define EMUL_ATTR_DPL  0x060u
#define EMUL_ATTR_P    0x080u
#define EMUL_ATTR_AVL  0x100u
#define EMUL_ATTR_L    0x200u
#define EMUL_ATTR_DB   0x400u
#define EMUL_ATTR_G    0x800u

/* Guest CPU features that change what an opcode does. */
#define EMUL_F_AMD        (1u << 0) /* behave as AMD where the vendors differ */
#define EMUL_F_SSE        (1u << 1) /* SSE, SSE2 and SSE3 */
#define EMUL_F_SSE41      (1u << 2)
#define EMUL_F_AVX        (1u << 3)
#define EMUL_F_AVX2       (1u << 4)
#define EMUL_F_MOVBE      (1u << 5)
#define EMUL_F_POPCNT     (1u << 6)
#define EMUL_F_LZCNT      (1u << 7)
#define EMUL_F_BMI1       (1u << 8)
#define EMUL_F_BMI2       (1u << 9)
#define EMUL_F_ADX        (1u << 10)
#define EMUL_F_CX16       (1u << 11)
#define EMUL_F_RDTSCP     (1u << 12)
#define EMUL_F_RDPID      (1u << 13)
#define EMUL_F_SYSCALL    (1u << 14)
#define EMUL_F_SEP        (1u << 15)
#define EMUL_F_CLFLUSHOPT (1u << 16)
#define EMUL_F_CLWB       (1u << 17)
#define EMUL_F_MONITOR    (1u << 18)
#define EMUL_F_SMAP       (1u << 19)
#define EMUL_F_CR8_LOCK   (1u << 20) /* LOCK MOV CR0 is MOV CR8 (AMD AltMovCr8) */
#define EMUL_F_MMX        (1u << 21)
#define EMUL_F_SVM        (1u << 22)
#define EMUL_F_CLZERO     (1u << 23)
#define EMUL_F_SSSE3      (1u << 24)
#define EMUL_F_SSE42      (1u << 25)
#define EMUL_F_AES        (1u << 26)
#define EMUL_F_PCLMUL     (1u << 27)
#define EMUL_F_FMA        (1u << 28)
#define EMUL_F_F16C       (1u << 29)
#define EMUL_F_SHA        (1u << 30)

/* How memory is accessed: argument of the memory callbacks. */
#define EMUL_ACC_READ   0u
#define EMUL_ACC_WRITE  1u /* write */
#define EMUL_ACC_RMW    2u /* read that a write will follow: must be writable */
#define EMUL_ACC_SYSTEM 4u /* implicit supervisor access (descriptor tables, TSS) */
#define EMUL_ACC_LOCK   8u /* part of a LOCKed instruction */

/* Type of event as SVM (EVENTINJ) and VMX (interruption information) number them. */
enum emul_event_type {
    EMUL_EVENT_HW_EXCEPTION = 3,
    EMUL_EVENT_SW_INTERRUPT = 4,      /* INT n */
    EMUL_EVENT_PRIV_SW_EXCEPTION = 5, /* ICEBP */
    EMUL_EVENT_SW_EXCEPTION = 6,      /* INT3, INTO */
};

struct emul_event {
    uint8_t vector;
    uint8_t type; /* enum emul_event_type */
    bool has_error;
    uint8_t insn_len; /* software events return behind the instruction: RIP + insn_len */
    uint32_t error;
    uint64_t cr2; /* of a page fault */
};

/* What else happened when the result is EMUL_OKAY. */
struct emul_retire {
    bool hlt;         /* wait for an interrupt */
    bool sti;         /* interrupts are held off for one instruction */
    bool mov_ss;      /* interrupts and debug traps are held off for one instruction */
    bool singlestep;  /* a #DB trap with DR6.BS is due */
    bool branch;      /* it goes on elsewhere than behind the instruction */
    bool unblock_nmi; /* IRET */
    bool partial;     /* a repeated string instruction has iterations left */
    bool task_trap;   /* a #DB trap with DR6.BT is due: the new task's T flag */
};

/* What ops.vec_read and ops.vec_write transfer. */
enum emul_vec_kind {
    EMUL_VEC_MMX, /* 8 bytes of mm0-7; a write also makes the x87 state an MMX state */
    EMUL_VEC_XMM, /* low 16 or 32 bytes of xmm/ymm0-15 */
};

/* What ops.fpu does; data points to the type in brackets. */
enum emul_fpu_op {
    EMUL_FPU_ENTER,     /* an x87 or MMX instruction starts: raise a pending #MF (none) */
    EMUL_FPU_FNINIT,    /* (none) */
    EMUL_FPU_FNCLEX,    /* (none) */
    EMUL_FPU_EMMS,      /* (none) */
    EMUL_FPU_GET_CW,    /* (uint16_t) */
    EMUL_FPU_SET_CW,    /* (uint16_t) */
    EMUL_FPU_GET_SW,    /* (uint16_t) */
    EMUL_FPU_GET_MXCSR, /* (uint32_t) */
    EMUL_FPU_SET_MXCSR, /* (uint32_t), reserved bits already refused */
};

enum emul_cache_op {
    EMUL_CACHE_WBINVD,
    EMUL_CACHE_INVD,
    EMUL_CACHE_FLUSH, /* CLFLUSH, CLFLUSHOPT, CLWB of one address */
};

/* One vector or x87 instruction for ops.native. Its memory operand, if it has one, is
 * (RDI), and mem[] is what RDI points to; its general register operands are RAX, RCX and
 * RDX. So it reads and writes nothing but these, the status flags and the guest's vector
 * and x87 registers. */
#define EMUL_NATIVE_MEM  128 /* bytes: FSAVE's image is the largest operand */
#define EMUL_NATIVE_NONE 0xffu
struct emul_native {
    uint8_t mem[EMUL_NATIVE_MEM];
    uint64_t rax, rcx, rdx, rflags; /* in and out; of rflags only the status flags */
    uint8_t insn[16];
    uint8_t len;
    bool keep;      /* false: a trial, after which the guest's registers are as before */
    bool pointers;  /* x87: the pointers to the last instruction become these three */
    uint8_t vector; /* out: the exception that it raised, or EMUL_NATIVE_NONE */
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr; /* out: as the instruction left it, also in a trial */
};

struct emul_ctxt;

/* All are required unless marked optional; an absent one makes the instructions that need
 * it EMUL_UNHANDLEABLE.  Memory accesses may cross a page boundary; a write must check
 * all pages before it changes any. */
struct emul_ops {
    /* Instruction bytes, never across a page boundary. */
    int (*fetch)(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes);
    int (*read)(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes,
                unsigned int access);
    int (*write)(struct emul_ctxt *c, uint64_t lin, const void *buf, unsigned int bytes,
                 unsigned int access);
    /* Atomic compare and exchange of 1, 2, 4, 8 or 16 bytes: on EMUL_CMPXCHG_FAILED
     * nothing was written.  Device memory may do a plain write. */
    int (*cmpxchg)(struct emul_ctxt *c, uint64_t lin, const void *old, const void *new,
                   unsigned int bytes, unsigned int access);

    int (*io_read)(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t *val);
    int (*io_write)(struct emul_ctxt *c, uint16_t port, unsigned int bytes, uint32_t val);

    /* Optional bulk forms of a repeated string instruction.  In: *reps iterations of
     * `bytes` each, first at the given address, next ones above it (below it with
     * `down`); no segment fault is due in them.  Out: *reps iterations were done, also
     * when the result is not EMUL_OKAY.  EMUL_UNHANDLEABLE with *reps = 0: do it one by
     * one. */
    int (*rep_ins)(struct emul_ctxt *c, uint16_t port, uint64_t dst, unsigned int bytes,
                   unsigned long *reps, bool down);
    int (*rep_outs)(struct emul_ctxt *c, uint16_t port, uint64_t src, unsigned int bytes,
                    unsigned long *reps, bool down);
    int (*rep_movs)(struct emul_ctxt *c, uint64_t src, uint64_t dst, unsigned int bytes,
                    unsigned long *reps, bool down);
    int (*rep_stos)(struct emul_ctxt *c, uint64_t val, uint64_t dst, unsigned int bytes,
                    unsigned long *reps, bool down);

    /* Fill or load one segment register.  seg_read is asked for those that the caller has
     * not marked in ctxt.seg_valid.  seg_write cannot fail; a new CS or SS may change CPL
     * (SS.DPL) and mode. */
    void (*seg_read)(struct emul_ctxt *c, unsigned int seg, struct emul_seg *val);
    void (*seg_write)(struct emul_ctxt *c, unsigned int seg, const struct emul_seg *val);

    int (*cr_read)(struct emul_ctxt *c, unsigned int cr, uint64_t *val);
    int (*cr_write)(struct emul_ctxt *c, unsigned int cr, uint64_t val);
    int (*dr_read)(struct emul_ctxt *c, unsigned int dr, uint64_t *val);
    int (*dr_write)(struct emul_ctxt *c, unsigned int dr, uint64_t val);
    int (*msr_read)(struct emul_ctxt *c, uint32_t msr, uint64_t *val);
    int (*msr_write)(struct emul_ctxt *c, uint32_t msr, uint64_t val);
    int (*xcr_read)(struct emul_ctxt *c, uint32_t xcr, uint64_t *val);
    int (*xcr_write)(struct emul_ctxt *c, uint32_t xcr, uint64_t val);
    /* r[] is EAX, EBX, ECX, EDX of the result. */
    int (*cpuid)(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t r[4]);
    int (*rdtsc)(struct emul_ctxt *c, uint64_t *val);
    int (*rdpmc)(struct emul_ctxt *c, uint32_t counter, uint64_t *val); /* optional */
    int (*invlpg)(struct emul_ctxt *c, uint64_t lin);
    int (*cache)(struct emul_ctxt *c, enum emul_cache_op op, uint64_t lin);

    int (*vec_read)(struct emul_ctxt *c, enum emul_vec_kind kind, unsigned int reg,
                    void *buf, unsigned int bytes);
    /* zero_upper: the rest of the register is cleared (VEX), otherwise kept. */
    int (*vec_write)(struct emul_ctxt *c, enum emul_vec_kind kind, unsigned int reg,
                     const void *buf, unsigned int bytes, bool zero_upper);
    int (*fpu)(struct emul_ctxt *c, enum emul_fpu_op op, void *data);

    /* Optional: run an instruction on the processor; EMUL_OKAY also if it raised an
     * exception. */
    int (*native)(struct emul_ctxt *c, struct emul_native *n);

    int (*hypercall)(struct emul_ctxt *c); /* optional: VMCALL, VMMCALL */
};

/* One decoded instruction.  Private to the emulator but for what is said otherwise. */
struct emul_opcode;
struct emul_insn {
    const struct emul_opcode *op;
    uint64_t ea;    /* offset of the memory operand in segment ea_seg, if `mem` */
    uint64_t imm;   /* immediate, sign-extended where the instruction does so */
    uint16_t imm2;  /* selector of a far pointer, second immediate of ENTER */
    uint8_t pos;    /* bytes decoded; after decoding, the instruction's length */
    uint8_t mode;   /* 2, 4 or 8: bytes of the default address size */
    uint8_t opsize; /* 1, 2, 4 or 8 bytes */
    uint8_t adsize; /* 2, 4 or 8 bytes */
    uint8_t opcode; /* last opcode byte */
    uint8_t map;    /* 0: one-byte, 1: 0F, 2: 0F38, 3: 0F3A */
    uint8_t modrm, mod, reg, rm;
    uint8_t ea_seg;  /* enum emul_seg_index; of string sources too */
    uint8_t rep;     /* 0, 0xf2 or 0xf3 */
    uint8_t rex;     /* REX byte in force, or what VEX says in its place */
    uint8_t pp;      /* SIMD prefix: 0 none, 1 66, 2 F3, 3 F2 */
    uint8_t vvvv;    /* VEX */
    uint8_t sp_base; /* memory operand is relative to (R)SP */
    bool mem, lock, opsz, vex, vex_l, rip_rel;
    bool real; /* real mode or virtual-8086 mode: no descriptor checks */
    bool seg_override;
    bool invalid; /* #UD once it is decoded to its end */
};

#define EMUL_INSN_MAX 15 /* bytes in the longest instruction */
#define EMUL_INSN_BUF 24 /* may be read eight bytes at a time */

/* One call's worth of state.  The caller fills the first part, emul_run() the rest. */
struct emul_ctxt {
    struct cpu_regs *regs;
    const struct emul_ops *ops;
    void *opaque; /* for the callbacks */
    uint64_t cr0, cr4, efer;
    uint32_t features;  /* EMUL_F_* */
    uint16_t seg_valid; /* bit per segment: seg[] holds it already */
    uint8_t cpl;
    uint8_t fetched; /* bytes of insn[] that hold the instruction already, or 0 */
    uint8_t insn[EMUL_INSN_BUF];
    struct emul_seg seg[EMUL_SEG_COUNT];

    struct emul_event event;
    struct emul_retire retire;
    bool task_switched; /* the registers, and an exception, are those of a new task */

    struct emul_insn i;
};

/* Execute the instruction at CS:RIP.  Returns an enum emul_result. */
int emul_run(struct emul_ctxt *c);

/* Only decode: c->i describes the instruction.  Called by emul_run(). */
int emul_decode(struct emul_ctxt *c);

/* Execute what emul_decode() found. */
int emul_execute(struct emul_ctxt *c);

/* Set the event that EMUL_EXCEPTION stands for; returns EMUL_EXCEPTION. */
int emul_raise(struct emul_ctxt *c, uint8_t vector);
int emul_raise_error(struct emul_ctxt *c, uint8_t vector, uint32_t error);
int emul_page_fault(struct emul_ctxt *c, uint64_t cr2, uint32_t error);

/* How a task switch was asked for (task.c). */
enum emul_task_reason {
    EMUL_TASK_CALL, /* CALL, or an event through a task gate: the old task is linked */
    EMUL_TASK_JMP,
    EMUL_TASK_IRET,
};

/* Switch to the task of TSS selector `sel`; c as for emul_run(), RIP where the old task
 * goes on. *error is the error code to push, NULL: none. Returns an enum emul_result. */
int emul_task_switch_event(struct emul_ctxt *c, uint16_t sel, const uint32_t *error);

/* Instructions whose length an exit handler asks for (insn_len.c). */
enum emul_known_insn {
    EMUL_INSN_CPUID,
    EMUL_INSN_RDMSR,
    EMUL_INSN_WRMSR,
    EMUL_INSN_VMMCALL,
    EMUL_INSN_VMCALL,
    EMUL_INSN_HLT,
    EMUL_INSN_RDTSC,
    EMUL_INSN_RDTSCP,
    EMUL_INSN_RDPMC,
    EMUL_INSN_INVD,
    EMUL_INSN_WBINVD,
    EMUL_INSN_PAUSE,
    EMUL_INSN_XSETBV,
    EMUL_INSN_CLTS,
    EMUL_INSN_MONITOR,
    EMUL_INSN_MWAIT,
    EMUL_INSN_INT3,
    EMUL_INSN_ICEBP,
    EMUL_INSN_IRET,
    EMUL_INSN_INTN,
    EMUL_INSN_RSM,
    EMUL_INSN_VMRUN,
    EMUL_INSN_VMLOAD,
    EMUL_INSN_VMSAVE,
    EMUL_INSN_STGI,
    EMUL_INSN_CLGI,
    EMUL_INSN_SKINIT,
    EMUL_INSN_INVLPGA,
    EMUL_INSN_INVLPG,
    EMUL_INSN_LMSW,
    EMUL_INSN_MOV_FROM_CR,
    EMUL_INSN_MOV_TO_CR,
    EMUL_INSN_MOV_FROM_DR,
    EMUL_INSN_MOV_TO_DR,
    EMUL_INSN_IN,
    EMUL_INSN_OUT,
    EMUL_INSN_INS,
    EMUL_INSN_OUTS,
    EMUL_INSN_KNOWN_COUNT,
};

/* Registers named by a MOV CR/DR, and by LMSW with a register operand. */
struct emul_insn_regs {
    uint8_t gpr;  /* 0-15, RAX to R15; undefined for a memory operand */
    uint8_t creg; /* number of the control or debug register */
    bool memory;  /* the operand is in memory (LMSW, INVLPG) */
};

/* Length in bytes of the instruction at p, if it is `which`; 0 if it is not, or if its n
 * bytes do not suffice.  bits is the default operand size of the code segment: 16,
 * 32, 64. regs may be NULL. */
unsigned int emul_insn_len(const uint8_t *p, unsigned int n, unsigned int bits,
                           enum emul_known_insn which, struct emul_insn_regs *regs);

#endif
