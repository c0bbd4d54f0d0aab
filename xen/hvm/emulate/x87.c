/* x87 instructions. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 5, Intel SDM vol 1 ch 8. Control and status words by ops.fpu; all that
 * works on the register stack is done by the processor (see vector.c). Left out: FLDENV,
 * FSTENV, FSAVE and FRSTOR in real and virtual-8086 mode, whose format has no equal in
 * the hypervisor's own mode.
 */
#include "hvm/emulate/internal.h"

/* 9B: FWAIT */
int op_fwait(struct emul_ctxt *c)
{
    if ((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        return emul_raise(c, X_NM);
    return c->ops->fpu(c, EMUL_FPU_ENTER, NULL);
}

static int fpu_word(struct emul_ctxt *c, enum emul_fpu_op op)
{
    uint16_t w = 0;
    uint64_t v;
    int rc;

    if (op == EMUL_FPU_SET_CW) {
        rc = c->ops->fpu(c, EMUL_FPU_ENTER, NULL);
        if (rc == EMUL_OKAY)
            rc = ea_read(c, 0, 2, &v);
        if (rc != EMUL_OKAY)
            return rc;
        w = v;
        return c->ops->fpu(c, op, &w);
    }
    rc = c->ops->fpu(c, op, &w);
    if (rc != EMUL_OKAY)
        return rc;
    return c->i.mem ? ea_write(c, 0, 2, w) : (reg_set(c, R_RAX, 2, w), EMUL_OKAY);
}

/* Memory operands by opcode and ModRM.reg: bytes, ST if it is the destination. ENV and
 * SAVE: the length depends on the operand size; CW and SW are not done here. */
enum { ST = 0x80, ENV = 0x7e, SAVE = 0x7f };
static const uint8_t operands[8][8] = {
    {4, 4, 4, 4, 4, 4, 4, 4}, {4, 0, ST | 4, ST | 4, ENV, 0, ST | ENV, 0},
    {4, 4, 4, 4, 4, 4, 4, 4}, {4, ST | 4, ST | 4, ST | 4, 0, 10, 0, ST | 10},
    {8, 8, 8, 8, 8, 8, 8, 8}, {8, ST | 8, ST | 8, ST | 8, SAVE, 0, ST | SAVE, 0},
    {2, 2, 2, 2, 2, 2, 2, 2}, {2, ST | 2, ST | 2, ST | 2, 10, 8, ST | 10, ST | 8},
};

static unsigned int operand_bytes(const struct emul_ctxt *c, unsigned int entry)
{
    bool narrow = c->i.opsize == 2;

    switch (entry & ~ST) {
    case ENV:
        return narrow ? 14 : 28;
    case SAVE:
        return narrow ? 94 : 108;
    default:
        return entry & ~ST;
    }
}

/* FLDENV and its like move the pointers themselves; FNSTENV and FNSAVE leave them. */
static bool moves_environment(unsigned int entry)
{
    return (entry & ~ST) == ENV || (entry & ~ST) == SAVE;
}

static void assemble(const struct emul_ctxt *c, struct emul_native *n)
{
    uint8_t *p = n->insn;

    if (c->i.opsize == 2) /* of meaning for the environment only */
        *p++ = 0x66;
    *p++ = c->i.opcode;
    *p++ = c->i.mem ? (c->i.reg & 7) << 3 | R_RDI : c->i.modrm;
    n->len = p - n->insn;
    n->pointers = true;
    n->fop = (c->i.opcode & 7) << 8 | c->i.modrm;
    n->fip = c->regs->rip - c->i.pos;
    n->fdp = c->i.mem ? c->i.ea : 0;
}

static int memory(struct emul_ctxt *c)
{
    unsigned int entry = operands[c->i.opcode & 7][c->i.reg & 7];
    unsigned int bytes = operand_bytes(c, entry);
    bool store = entry & ST;
    struct emul_native n;
    int rc;

    if (!entry)
        return ud(c);
    if (moves_environment(entry) && c->i.real)
        return EMUL_UNHANDLEABLE;
    assemble(c, &n);
    n.pointers = !moves_environment(entry);
    n.rflags = 0;
    n.keep = !store;
    if (!store) {
        rc = mem_vec(c, false, n.mem, bytes, false);
        return rc == EMUL_OKAY ? vec_run(c, &n) : rc;
    }
    rc = vec_run(c, &n);
    if (rc == EMUL_OKAY)
        rc = mem_vec(c, true, n.mem, bytes, false);
    if (rc != EMUL_OKAY)
        return rc;
    n.keep = true; /* pop, flags */
    return vec_run(c, &n);
}

static int registers(struct emul_ctxt *c)
{
    struct emul_native n;
    int rc;

    assemble(c, &n);
    n.keep = true;
    n.rflags = c->regs->rflags & RFLAGS_STATUS; /* FCMOVcc reads, FCOMI writes them */
    rc = vec_run(c, &n);
    if (rc == EMUL_OKAY)
        set_flags(c, RFLAGS_STATUS, n.rflags);
    return rc;
}

/* D8-DF */
int op_fpu(struct emul_ctxt *c)
{
    unsigned int op = (c->i.opcode & 7) << 8 | c->i.modrm;

    if (c->cr0 & (CR0_EM | CR0_TS))
        return emul_raise(c, X_NM);
    if (c->i.mem) {
        switch ((op & 0x700) | (c->i.reg & 7)) {
        case 0x105:
            return fpu_word(c, EMUL_FPU_SET_CW);
        case 0x107:
            return fpu_word(c, EMUL_FPU_GET_CW);
        case 0x507:
            return fpu_word(c, EMUL_FPU_GET_SW);
        default:
            return memory(c);
        }
    }
    switch (op) {
    case 0x1d0: /* FNOP */
        return c->ops->fpu(c, EMUL_FPU_ENTER, NULL);
    case 0x3e0: /* FNENI, FNDISI, FNSETPM of old coprocessors */
    case 0x3e1:
    case 0x3e4:
        return EMUL_OKAY;
    case 0x3e2:
        return c->ops->fpu(c, EMUL_FPU_FNCLEX, NULL);
    case 0x3e3:
        return c->ops->fpu(c, EMUL_FPU_FNINIT, NULL);
    case 0x7e0:
        return fpu_word(c, EMUL_FPU_GET_SW);
    default:
        return registers(c);
    }
}
