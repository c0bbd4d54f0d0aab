/* Arithmetic on MMX, SSE and AVX registers: the processor does it.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The emulator checks what depends on the guest (features, control registers, alignment)
 * and fetches the memory operand. Then it makes the same instruction once more, with the
 * operand in a buffer and RAX in the place of a general register, and has it run
 * (ops.native). The vector registers are the guest's own at that time.
 *
 * A destination in memory is computed in a trial first: the guest's registers do not
 * change before the write has succeeded.
 */
#include "hvm/emulate/internal.h"

#define MXCSR_FLAGS 0x3fu
#define MXCSR_MASKS 7 /* shift of the mask bits above the flags */

int vec_run(struct emul_ctxt *c, struct emul_native *n)
{
    int rc = c->ops->native ? c->ops->native(c, n) : EMUL_UNHANDLEABLE;

    if (rc != EMUL_OKAY)
        return rc;
    switch (n->vector) {
    case EMUL_NATIVE_NONE:
        return EMUL_OKAY;
    case X_UD:
    case X_MF:
    case X_XM:
        return emul_raise(c, n->vector);
    default:
        return EMUL_UNHANDLEABLE;
    }
}

/* The instruction raises #XM, or would if the processor did that: some emulated ones set
 * the flags and go on. Without OSXMMEXCPT it is #UD. */
static int check_simd_exception(struct emul_ctxt *c, const struct emul_native *in)
{
    struct emul_native trial = *in;
    uint32_t mxcsr, clear, raised;
    int rc = c->ops->fpu(c, EMUL_FPU_GET_MXCSR, &mxcsr);

    if (rc != EMUL_OKAY || !(~mxcsr & MXCSR_FLAGS << MXCSR_MASKS))
        return rc;
    clear = mxcsr & ~MXCSR_FLAGS;
    rc = c->ops->fpu(c, EMUL_FPU_SET_MXCSR, &clear);
    if (rc == EMUL_OKAY) {
        trial.keep = false;
        rc = vec_run(c, &trial);
    }
    raised = trial.mxcsr & MXCSR_FLAGS;
    if (rc == EMUL_EXCEPTION && trial.vector == X_XM)
        rc = EMUL_OKAY;
    else if (rc != EMUL_OKAY || !(raised & ~(mxcsr >> MXCSR_MASKS)))
        raised = 0;
    mxcsr |= raised;
    c->ops->fpu(c, EMUL_FPU_SET_MXCSR, &mxcsr);
    if (rc != EMUL_OKAY || !raised)
        return rc;
    return c->cr4 & CR4_OSXMMEXCPT ? emul_raise(c, X_XM) : ud(c);
}

/* Bytes of the memory operand. */
static unsigned int operand_bytes(const struct emul_ctxt *c, uint32_t form)
{
    static const uint8_t fixed[] = {
        [VF_1] = 1, [VF_2] = 2, [VF_4] = 4, [VF_8] = 8, [VF_16] = 16};
    unsigned int whole = form & VF_MMX ? 8 : c->i.vex_l ? 32 : 16, size = form & VF_SIZE;

    switch (size) {
    case VF_FULL:
    case VF_HALF:
    case VF_QUARTER:
    case VF_EIGHTH:
        return whole >> (size - VF_FULL);
    case VF_BY_W:
        if (form & (VF_GPR_REG | VF_GPR_RM)) /* W has no meaning outside of 64-bit mode */
            return (c->i.rex & 8) && mode64(c) ? 8 : 4;
        return c->i.rex & 8 ? 8 : 4;
    default:
        return fixed[size];
    }
}

/* The same instruction with its operands where ops.native has them. */
static void assemble(const struct emul_ctxt *c, struct emul_native *n, uint32_t form)
{
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2}, escape[] = {0, 0, 0x38, 0x3a};
    unsigned int reg = form & VF_GPR_REG ? R_RAX : c->i.reg;
    unsigned int rm = c->i.mem ? R_RDI : form & VF_GPR_RM ? R_RAX : c->i.rm;
    bool w = (c->i.rex & 8) && (mode64(c) || !(form & (VF_GPR_REG | VF_GPR_RM)));
    unsigned int vvvv = mode64(c) ? c->i.vvvv : c->i.vvvv & 7;
    uint8_t *p = n->insn;

    if (c->i.vex) {
        *p++ = 0xc4;
        *p++ = (reg & 8 ? 0 : 0x80) | 0x40 | (rm & 8 ? 0 : 0x20) | c->i.map;
        *p++ = w << 7 | (~vvvv & 15) << 3 | c->i.vex_l << 2 | c->i.pp;
    } else {
        if (c->i.pp)
            *p++ = prefix[c->i.pp];
        if (w || reg > 7 || rm > 7)
            *p++ = 0x40 | w << 3 | (reg & 8) >> 1 | (rm & 8) >> 3;
        *p++ = 0x0f;
        if (c->i.map > 1)
            *p++ = escape[c->i.map];
    }
    *p++ = c->i.opcode;
    *p++ = (c->i.mem ? 0 : 0xc0) | (reg & 7) << 3 | (rm & 7);
    if (c->i.op->flags & OP_IMM_MASK) /* a register's number in it has three bits, too */
        *p++ = form & VF_VEX && !mode64(c) && c->i.opcode >= 0x4a && c->i.opcode <= 0x4c
                   ? c->i.imm & 0x7f
                   : c->i.imm;
    n->len = p - n->insn;
}

static int check_form(struct emul_ctxt *c, uint32_t form)
{
    if (!form || !(c->features & 1u << (form >> VF_FEATURE)) ||
        (form & (c->i.vex ? VF_LEGACY : VF_VEX)) || (c->i.vex && (form & VF_MMX)) ||
        ((form & VF_SIZE) == VF_REG && c->i.mem) ||
        (c->i.vex_l && (form & VF_AVX2) && !(c->features & EMUL_F_AVX2)))
        return ud(c);
    /* VPEXTRQ and VPINSRQ outside of 64-bit mode; Intel's then are VPEXTRD and VPINSRD.
     */
    if (c->i.vex && c->i.map == 3 && (form & VF_SIZE) == VF_BY_W && (c->i.rex & 8) &&
        !mode64(c) && (c->features & EMUL_F_AMD))
        return ud(c);
    /* Conversions between MMX and SSE need both; #MF comes from the processor. */
    return vec_check(c,
                     form & VF_MMX && !(form & VF_LEGACY) ? EMUL_VEC_MMX : EMUL_VEC_XMM);
}

static void result_to_gpr(struct emul_ctxt *c, const struct emul_native *n, uint32_t form)
{
    unsigned int bytes = (c->i.rex & 8) && mode64(c) ? 8 : 4;

    if (form & VF_GPR_REG)
        reg_set(c, c->i.reg, bytes, n->rax);
    else if ((form & VF_STORE) && (form & VF_GPR_RM) && !c->i.mem)
        reg_set(c, c->i.rm, bytes, n->rax);
    else if ((form & VF_STRING) && (c->i.opcode & 1)) /* PCMPESTRI, PCMPISTRI */
        reg_set(c, R_RCX, 4, n->rcx);
    set_flags(c, RFLAGS_STATUS, n->rflags);
}

/* The processor knows which encodings are invalid: that comes before faults of memory. */
static int check_encoding(struct emul_ctxt *c, const struct emul_native *in)
{
    struct emul_native trial = *in;
    int rc;

    __builtin_memset(trial.mem, 0, sizeof(trial.mem));
    trial.keep = false;
    rc = vec_run(c, &trial);
    return rc == EMUL_EXCEPTION && trial.vector != X_UD ? EMUL_OKAY : rc;
}

/* AMD's processors want no alignment for SHA's instructions. */
static bool wants_alignment(const struct emul_ctxt *c, uint32_t form)
{
    return (form & VF_ALIGNED) && !c->i.vex &&
           !((c->features & EMUL_F_AMD) && 1u << (form >> VF_FEATURE) == EMUL_F_SHA);
}

int op_vec_native(struct emul_ctxt *c)
{
    uint32_t form = vec_form(c->i.map, c->i.opcode, c->i.pp);
    bool store = (form & VF_STORE) && c->i.mem;
    struct emul_native n;
    unsigned int bytes;
    int rc = check_form(c, form);

    if (rc != EMUL_OKAY)
        return rc;
    bytes = operand_bytes(c, form);
    n.rax = form & VF_STRING                ? c->regs->rax
            : form & VF_GPR_RM && !c->i.mem ? reg_get(c, c->i.rm, 8)
                                            : 0;
    n.rcx = c->regs->rcx;
    n.rdx = c->regs->rdx;
    n.rflags = c->regs->rflags & RFLAGS_STATUS;
    n.pointers = false;
    assemble(c, &n, form);
    if (c->i.mem && c->i.vex) {
        rc = check_encoding(c, &n);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (c->i.mem && !store) {
        rc = mem_vec(c, false, n.mem, bytes, wants_alignment(c, form));
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (form & VF_FP) {
        rc = check_simd_exception(c, &n);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (store) {
        n.keep = false;
        rc = vec_run(c, &n);
        if (rc == EMUL_OKAY)
            rc = mem_vec(c, true, n.mem, bytes, false);
        if (rc != EMUL_OKAY)
            return rc;
    }
    n.keep = true; /* of a store: the flags in MXCSR */
    rc = vec_run(c, &n);
    if (rc == EMUL_OKAY)
        result_to_gpr(c, &n, form);
    return rc;
}
