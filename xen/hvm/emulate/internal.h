/* What the emulator's own files share; nobody else includes this.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_HVM_EMULATE_INTERNAL_H
#define CORBEL_HVM_EMULATE_INTERNAL_H

#include "hvm/emulate/emulate.h"

/* RFLAGS_*: groups of those in cpu/regs.h */
#define RFLAGS_STATUS                                                                    \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
/* what IRET and POPF can load at all */
#define RFLAGS_LOADABLE                                                                  \
    (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT |       \
     RFLAGS_AC | RFLAGS_ID)

enum {
    CR0_PE = 1u << 0,
    CR0_MP = 1u << 1,
    CR0_EM = 1u << 2,
    CR0_TS = 1u << 3,
    CR0_PG = 1u << 31,
    CR4_VME = 1u << 0,
    CR4_PVI = 1u << 1,
    CR4_TSD = 1u << 2,
    CR4_PCE = 1u << 8,
    CR4_OSFXSR = 1u << 9,
    CR4_OSXMMEXCPT = 1u << 10,
    CR4_UMIP = 1u << 11,
    CR4_FSGSBASE = 1u << 16,
    CR4_OSXSAVE = 1u << 18,
    EFER_SCE = 1u << 0,
    EFER_LME = 1u << 8,
    EFER_LMA = 1u << 10,
    EFER_SVME = 1u << 12,
};

enum {
    X_DE = 0,
    X_DB = 1,
    X_BP = 3,
    X_OF = 4,
    X_BR = 5,
    X_UD = 6,
    X_NM = 7,
    X_TS = 10,
    X_NP = 11,
    X_SS = 12,
    X_GP = 13,
    X_PF = 14,
    X_MF = 16,
    X_XM = 19,
};

enum {
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082,
    MSR_CSTAR = 0xc0000083,
    MSR_FMASK = 0xc0000084,
    MSR_KERNEL_GS_BASE = 0xc0000102,
    MSR_TSC_AUX = 0xc0000103,
};

typedef int emul_fn(struct emul_ctxt *c);

/* Flags of an opcode table entry. */
enum {
    OP_MODRM = 1u << 0,
    OP_BYTE = 1u << 1,     /* byte operands */
    OP_D64 = 1u << 2,      /* 64-bit mode: 64-bit operands, 66 makes them 16-bit */
    OP_F64 = 1u << 3,      /* near branch: the same on AMD; always 64-bit on Intel */
    OP_NO64 = 1u << 4,     /* invalid in 64-bit mode */
    OP_LOCK = 1u << 5,     /* LOCK allowed with a memory operand */
    OP_PROT = 1u << 6,     /* invalid in real and virtual-8086 mode */
    OP_MEM = 1u << 7,      /* invalid with a register operand */
    OP_REG = 1u << 8,      /* ModRM.mod is ignored: always a register */
    OP_CPL0 = 1u << 9,     /* privileged */
    OP_VEX = 1u << 10,     /* may be VEX encoded */
    OP_VEXONLY = 1u << 11, /* must be */
    OP_TESTIMM = 1u << 12, /* group 3: /0 and /1 have an immediate */
    OP_PREFIX = 1u << 13,  /* fn is NULL: prefix or escape byte */
    OP_UD = 1u << 14,      /* fn is NULL: invalid opcode, not one we do not know */
    OP_ONLY64 = 1u << 15,  /* invalid outside of 64-bit mode */
    OP_IMM8 = 1u << 16,    /* sign-extended byte */
    OP_IMM8U = 2u << 16,   /* byte */
    OP_IMM16 = 3u << 16,   /* word */
    OP_IMMZ = 4u << 16,    /* operand size, at most 4 bytes, sign-extended */
    OP_IMMV = 5u << 16,    /* operand size */
    OP_MOFFS = 6u << 16,   /* address size: c->i.ea */
    OP_FARPTR = 7u << 16,  /* offset and selector */
    OP_IMM16_8 = 8u << 16, /* ENTER */
    OP_IMM_MASK = 15u << 16,
    OP_LOCKANY = 1u << 20, /* the handler judges LOCK */
};

struct emul_opcode {
    emul_fn *fn;
    uint32_t flags;
};

extern const struct emul_opcode emul_map0[256];      /* one-byte opcodes */
extern const struct emul_opcode emul_map1[256];      /* 0F */
const struct emul_opcode *emul_map2(uint8_t opcode); /* 0F 38 */
const struct emul_opcode *emul_map3(uint8_t opcode); /* 0F 3A */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* --- registers ---------------------------------------------------------------------- */

enum { R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI };

extern const uint8_t emul_gpr_offset[16];

static inline uint64_t *gpr(struct emul_ctxt *c, unsigned int n)
{
    return (uint64_t *)((char *)c->regs + emul_gpr_offset[n]);
}

static inline uint64_t size_mask(unsigned int bytes)
{
    return ~0ull >> (64 - 8 * bytes);
}

static inline uint64_t sign_extend(uint64_t v, unsigned int bytes)
{
    unsigned int shift = 64 - 8 * bytes;

    return (uint64_t)((int64_t)(v << shift) >> shift);
}

static inline bool is_canonical(uint64_t a)
{
    return sign_extend(a << 16 >> 16, 6) == a;
}

/* Value with the low `bytes` replaced as a register write does it: a 4-byte write clears
 * the upper half, smaller ones keep it. */
static inline uint64_t merge(uint64_t old, uint64_t v, unsigned int bytes)
{
    if (bytes == 8)
        return v;
    if (bytes == 4)
        return (uint32_t)v;
    return (old & ~size_mask(bytes)) | (v & size_mask(bytes));
}

uint64_t reg_get(struct emul_ctxt *c, unsigned int n, unsigned int bytes);
void reg_set(struct emul_ctxt *c, unsigned int n, unsigned int bytes, uint64_t v);

static inline bool mode64(const struct emul_ctxt *c)
{
    return c->i.mode == 8;
}

static inline unsigned int iopl(const struct emul_ctxt *c)
{
    return (c->regs->rflags & RFLAGS_IOPL) >> 12;
}

/* Segment register, fetched when first needed. */
struct emul_seg *emul_seg_slow(struct emul_ctxt *c, unsigned int n);

static inline struct emul_seg *seg_get(struct emul_ctxt *c, unsigned int n)
{
    if (likely(c->seg_valid & (1u << n)))
        return &c->seg[n];
    return emul_seg_slow(c, n);
}

void seg_set(struct emul_ctxt *c, unsigned int n, const struct emul_seg *s);

static inline int gp0(struct emul_ctxt *c)
{
    return emul_raise_error(c, X_GP, 0);
}

static inline int ud(struct emul_ctxt *c)
{
    return emul_raise(c, X_UD);
}

/* --- memory (operand.c) ------------------------------------------------------------- */

/* Segment check and linear address of `bytes` at seg:off; off is cut to `adsize` bytes.
 */
int emul_linear(struct emul_ctxt *c, unsigned int seg, uint64_t off, unsigned int bytes,
                unsigned int access, unsigned int adsize, uint64_t *lin);
/* The same for the ModRM memory operand. */
int ea_linear(struct emul_ctxt *c, unsigned int bytes, unsigned int access,
              uint64_t *lin);

/* Address within a descriptor table or the TSS: 32 bits wide unless in long mode. */
static inline uint64_t system_linear(const struct emul_ctxt *c, uint64_t lin)
{
    return c->efer & EFER_LMA ? lin : (uint32_t)lin;
}

/* Little-endian integers of up to 8 bytes. */
int mem_read(struct emul_ctxt *c, uint64_t lin, unsigned int bytes, unsigned int access,
             uint64_t *val);
int mem_write(struct emul_ctxt *c, uint64_t lin, unsigned int bytes, unsigned int access,
              uint64_t val);
/* Memory operand of the instruction, at `disp` bytes behind its start. */
int ea_read(struct emul_ctxt *c, unsigned int disp, unsigned int bytes, uint64_t *val);
int ea_write(struct emul_ctxt *c, unsigned int disp, unsigned int bytes, uint64_t val);

/* ModRM operand, register or memory. */
int rm_read(struct emul_ctxt *c, unsigned int bytes, uint64_t *val);
int rm_write(struct emul_ctxt *c, unsigned int bytes, uint64_t val);
/* The same for an operand that is read, then written: begin reads it with write intent,
 * end writes it (atomically with LOCK). */
int rmw_begin(struct emul_ctxt *c, unsigned int bytes, uint64_t *lin, uint64_t *val);
int rmw_end(struct emul_ctxt *c, unsigned int bytes, uint64_t lin, uint64_t old,
            uint64_t val);

/* Stack: *sp is a running copy of RSP; commit it with sp_commit() when all is done. */
unsigned int stack_adsize(struct emul_ctxt *c);
int stack_push(struct emul_ctxt *c, uint64_t *sp, unsigned int bytes, uint64_t val);
int stack_pop(struct emul_ctxt *c, uint64_t *sp, unsigned int bytes, uint64_t *val);
uint64_t sp_add(struct emul_ctxt *c, uint64_t sp, uint64_t delta);
static inline void sp_commit(struct emul_ctxt *c, uint64_t sp)
{
    c->regs->rsp = sp;
}

/* --- flags and arithmetic (alu.c, shift.c) --------------------------------------------
 */

enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

/* Result of an operation on `bytes`; *flags gets its status flags. */
uint64_t alu_compute(unsigned int op, uint64_t dst, uint64_t src, unsigned int bytes,
                     uint64_t *flags);
/* SF, ZF and PF of a result. */
uint64_t flags_szp(uint64_t val, unsigned int bytes);

static inline void set_flags(struct emul_ctxt *c, uint64_t mask, uint64_t val)
{
    c->regs->rflags = (c->regs->rflags & ~mask) | (val & mask);
}

/* Whether condition code cc (low 4 bits of Jcc, SETcc, CMOVcc) holds. */
bool condition(const struct emul_ctxt *c, unsigned int cc);

/* --- control transfers -----------------------------------------------------------------
 */

/* While a handler runs, regs->rip is the offset of the next instruction. */

/* Cut a near branch target to the operand size and check it against the limit. */
int branch_check(struct emul_ctxt *c, unsigned int bytes, uint64_t *target);

/* Descriptor checks of loading a selector; seg_load.c. */
struct desc {
    struct emul_seg seg;
    uint64_t lin; /* where it was read from */
    uint64_t low; /* its first 8 bytes, as read */
    bool null;
    bool system;
};

/* Read the descriptor of sel, exception `vec` with the selector if it is out of its
 * table. system_wide: in long mode a system descriptor is 16 bytes. */
int desc_read(struct emul_ctxt *c, uint16_t sel, uint8_t vec, struct desc *d);
/* Set its accessed bit in memory, if it is clear. */
int desc_mark_accessed(struct emul_ctxt *c, struct desc *d);
/* Checks for a data, stack or (any vec) segment register; d->seg is what to load. */
int seg_load_check(struct emul_ctxt *c, unsigned int n, uint16_t sel, unsigned int cpl,
                   uint8_t vec, struct desc *d);
/* Real and virtual-8086 mode: what a selector load makes of the register. */
void seg_load_real(struct emul_ctxt *c, unsigned int n, uint16_t sel, struct emul_seg *s);
/* MOV/POP/LDS to a segment register, but for the last step, seg_set(). */
int seg_load(struct emul_ctxt *c, unsigned int n, uint16_t sel, struct emul_seg *s);

static inline unsigned int attr_dpl(uint16_t attr)
{
    return (attr & EMUL_ATTR_DPL) >> 5;
}

/* Parts that several opcodes share. */
int incdec_rm(struct emul_ctxt *c, bool dec);
int push_rm(struct emul_ctxt *c);
int do_lldt_ltr(struct emul_ctxt *c, bool tr);
int do_verr_verw(struct emul_ctxt *c, bool write);

/* Gate checks of a software interrupt; sets the event. */
int software_event(struct emul_ctxt *c, uint8_t vector, unsigned int type);

/* I/O permission (IOPL and TSS bitmap). */
int io_check(struct emul_ctxt *c, uint16_t port, unsigned int bytes);

/* --- vector state
 * ------------------------------------------------------------------------ */

/* Register that VEX.vvvv names. */
static inline unsigned int vex_reg(const struct emul_ctxt *c)
{
    return c->i.vvvv & (mode64(c) ? 15 : 7);
}

/* Whether the state that an instruction needs is on: else #UD or #NM. */
int vec_check(struct emul_ctxt *c, enum emul_vec_kind kind);

/* The memory operand, n bytes; `aligned`: #GP(0) if it is not at a multiple of n. */
int mem_vec(struct emul_ctxt *c, bool write, void *buf, unsigned int n, bool aligned);

/* What an instruction of op_vec_native() is: VF_*, see vector_table.c. 0: invalid. */
uint32_t vec_form(unsigned int map, unsigned int opcode, unsigned int pp);

enum {
    /* the memory operand: nothing there, a whole vector, a part of one, a number of bytes
     */
    VF_REG = 1, /* only registers */
    VF_FULL,
    VF_HALF,
    VF_QUARTER,
    VF_EIGHTH,
    VF_1,
    VF_2,
    VF_4,
    VF_8,
    VF_16,
    VF_BY_W, /* 4 bytes, 8 with REX.W or VEX.W */
    VF_SIZE = 15,
    VF_ALIGNED = 1 << 4, /* to its size, unless VEX encoded */
    VF_STORE = 1 << 5,   /* the ModRM operand is the destination */
    VF_GPR_REG = 1 << 6, /* ModRM.reg is a general register, the destination */
    VF_GPR_RM = 1 << 7,  /* so is ModRM.rm, if it is a register */
    VF_MMX = 1 << 8,     /* on MMX registers */
    VF_VEX = 1 << 9,     /* only VEX encoded */
    VF_LEGACY = 1 << 10, /* never VEX encoded */
    VF_AVX2 = 1 << 11,   /* on 32 bytes it needs AVX2 */
    VF_FP = 1 << 12,     /* may raise #XM */
    VF_STRING = 1 << 13, /* SSE4.2's: lengths in RAX and RDX, index in RCX */
    VF_FEATURE = 14,     /* shift of the number of the feature's bit in EMUL_F_* */
};

/* Run *n on the processor and turn an exception of it into the guest's. */
int vec_run(struct emul_ctxt *c, struct emul_native *n);

/* --- handlers that the opcode tables name
 * ------------------------------------------------ */

emul_fn op_alu, op_alu_imm, op_test, op_test_acc, op_incdec_reg, op_grp3, op_grp4,
    op_imul2, op_imul3, op_xadd, op_cmpxchg, op_grp9, op_bcd_adjust, op_aam, op_aad;
emul_fn op_shift_imm, op_shift_1, op_shift_cl, op_shld, op_bt_reg, op_bt_imm, op_bsf,
    op_bsr, op_popcnt, op_map2_f0, op_map2_f1, op_andn, op_bmi_grp17, op_bmi_f5,
    op_bmi_f6, op_bmi_f7, op_rorx;
emul_fn op_mov_rm_r, op_mov_r_rm, op_mov_rm_imm, op_mov_r_imm, op_mov_moffs_load,
    op_mov_moffs_store, op_mov_rm_seg, op_mov_seg_rm, op_movzx, op_movsx, op_movsxd,
    op_lea, op_xchg, op_xchg_acc, op_cmov, op_setcc, op_bswap, op_movnti, op_xlat,
    op_lahf, op_sahf, op_flag, op_cbw, op_cwd, op_nop, op_nop_rm, op_salc, op_arpl,
    op_bound, op_lds, op_lss;
emul_fn op_push_reg, op_pop_reg, op_push_imm, op_push_seg, op_pop_seg, op_pusha, op_popa,
    op_pushf, op_popf, op_pop_rm, op_enter, op_leave;
emul_fn op_movs, op_cmps, op_stos, op_lods, op_scas, op_ins, op_outs, op_in_imm, op_in_dx,
    op_out_imm, op_out_dx;
emul_fn op_jcc, op_jmp_near, op_call_near, op_ret_near, op_loop, op_grp5, op_int3, op_int,
    op_into, op_icebp;
emul_fn op_jmp_far, op_call_far, op_ret_far, op_iret;
emul_fn op_hlt, op_cli, op_sti, op_cpuid, op_rdtsc, op_rdmsr, op_wrmsr, op_rdpmc, op_clts,
    op_mov_cr, op_mov_cr_from, op_mov_dr, op_mov_dr_from, op_grp6, op_grp7, op_lar,
    op_lsl, op_syscall, op_sysret, op_sysenter, op_sysexit, op_cache_inv, op_ud;
emul_fn op_vec_10, op_vec_11, op_vec_12, op_vec_13, op_vec_16, op_vec_17, op_vec_28,
    op_vec_29, op_vec_2b, op_vec_6e, op_vec_7e, op_vec_6f, op_vec_7f, op_vec_d6,
    op_vec_e7, op_vec_f0, op_vec_2a, op_vec_logic, op_vec_native, op_movmsk, op_emms,
    op_grp15, op_fpu, op_fwait;

/* A task switch in the middle of an instruction (task.c). */
int emul_task_switch(struct emul_ctxt *c, uint16_t sel, enum emul_task_reason why,
                     const uint32_t *error);

/* jmp/call far through a pointer in memory or an immediate (far.c). */
int far_transfer(struct emul_ctxt *c, uint16_t sel, uint64_t off, bool call);

#endif
