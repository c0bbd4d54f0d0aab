/* Near control transfers, LOOP, group 5, software interrupts.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hvm/emulate/internal.h"

int branch_check(struct emul_ctxt *c, unsigned int bytes, uint64_t *target)
{
    *target &= size_mask(bytes);
    if (mode64(c))
        return is_canonical(*target) ? EMUL_OKAY : gp0(c);
    return *target <= seg_get(c, EMUL_CS)->limit ? EMUL_OKAY : gp0(c);
}

static int jump(struct emul_ctxt *c, uint64_t target)
{
    int rc = branch_check(c, c->i.opsize, &target);

    if (rc == EMUL_OKAY)
        c->regs->rip = target;
    return rc;
}

/* 70-7F, 0F 80-8F */
int op_jcc(struct emul_ctxt *c)
{
    if (!condition(c, c->i.opcode & 15))
        return EMUL_OKAY;
    return jump(c, c->regs->rip + c->i.imm);
}

/* E9, EB */
int op_jmp_near(struct emul_ctxt *c)
{
    return jump(c, c->regs->rip + c->i.imm);
}

/* A fault of the stack segment comes before one of the target, as with AMD's processors.
 */
static int call(struct emul_ctxt *c, uint64_t target)
{
    unsigned int n = c->i.opsize;
    uint64_t sp = c->regs->rsp, lin, v;
    int rc = emul_linear(c, EMUL_SS, sp_add(c, sp, -(uint64_t)n), n, EMUL_ACC_WRITE,
                         stack_adsize(c), &lin);

    if (rc != EMUL_OKAY)
        return rc;
    rc = branch_check(c, n, &target);
    if (rc == EMUL_OKAY)
        rc = stack_push(c, &sp, n, c->regs->rip);
    else if (mem_read(c, lin, n, EMUL_ACC_RMW, &v) == EMUL_OKAY)
        rc = gp0(c);
    if (rc != EMUL_OKAY)
        return rc;
    sp_commit(c, sp);
    c->regs->rip = target;
    return EMUL_OKAY;
}

/* E8 */
int op_call_near(struct emul_ctxt *c)
{
    return call(c, c->regs->rip + c->i.imm);
}

/* C2, C3 */
int op_ret_near(struct emul_ctxt *c)
{
    uint64_t sp = c->regs->rsp, target;
    int rc = stack_pop(c, &sp, c->i.opsize, &target);

    if (rc == EMUL_OKAY)
        rc = branch_check(c, c->i.opsize, &target);
    if (rc != EMUL_OKAY)
        return rc;
    sp_commit(c, sp_add(c, sp, c->i.imm));
    c->regs->rip = target;
    return EMUL_OKAY;
}

/* E0 LOOPNE, E1 LOOPE, E2 LOOP, E3 JCXZ: the counter has the address size */
int op_loop(struct emul_ctxt *c)
{
    uint64_t count = reg_get(c, R_RCX, c->i.adsize);
    bool zf = c->regs->rflags & RFLAGS_ZF;
    int rc = EMUL_OKAY;
    bool taken;

    if (c->i.opcode == 0xe3)
        return count ? EMUL_OKAY : jump(c, c->regs->rip + c->i.imm);
    count = (count - 1) & size_mask(c->i.adsize);
    taken = count && (c->i.opcode == 0xe2 || zf == (c->i.opcode & 1));
    if (taken)
        rc = jump(c, c->regs->rip + c->i.imm);
    if (rc == EMUL_OKAY)
        reg_set(c, R_RCX, c->i.adsize, count);
    return rc;
}

static int far_indirect(struct emul_ctxt *c, bool is_call)
{
    unsigned int n = c->i.opsize;
    uint64_t off, sel;
    int rc;

    if (!c->i.mem)
        return ud(c);
    if (n == 8 && (c->features & EMUL_F_AMD))
        n = 4; /* AMD has no 64-bit far pointers, but pushes 64 bits */
    rc = ea_read(c, 0, n, &off);
    if (rc == EMUL_OKAY)
        rc = ea_read(c, n, 2, &sel);
    return rc == EMUL_OKAY ? far_transfer(c, sel, off, is_call) : rc;
}

/* FF */
int op_grp5(struct emul_ctxt *c)
{
    unsigned int sub = c->i.reg & 7;
    uint64_t v;
    int rc;

    if (c->i.lock && sub > 1)
        return ud(c);
    if (sub < 2)
        return incdec_rm(c, sub);
    if (sub == 3 || sub == 5)
        return far_indirect(c, sub == 3);
    if (sub == 7)
        return ud(c);
    if (mode64(c)) { /* like OP_D64 and OP_F64 */
        bool small = c->i.opsz && !(c->i.rex & 8);

        c->i.opsize = small && (sub == 6 || (c->features & EMUL_F_AMD)) ? 2 : 8;
    }
    if (sub == 6)
        return push_rm(c);
    rc = rm_read(c, c->i.opsize, &v);
    if (rc != EMUL_OKAY)
        return rc;
    return sub == 2 ? call(c, v) : jump(c, v);
}

/* --- software interrupts
 * ------------------------------------------------------------------- */

/* ext: the event is not an INT instruction's, but external to the program. */
static int gate_fault(struct emul_ctxt *c, uint8_t exception, uint8_t vector, bool ext)
{
    return emul_raise_error(c, exception, vector * 8 + 2 + ext);
}

/* What delivery through the IDT would refuse before it looks at the target (SDM vol 3
 * sec 6.12.1.2): done here because not every CPU does it for an injected event. */
static int gate_check(struct emul_ctxt *c, uint8_t vector, unsigned int type)
{
    bool icebp = type == EMUL_EVENT_PRIV_SW_EXCEPTION;
    const struct emul_seg *idt = seg_get(c, EMUL_IDTR);
    bool lm = c->efer & EFER_LMA, valid;
    unsigned int size = !(c->cr0 & CR0_PE) ? 4 : lm ? 16 : 8, kind;
    uint64_t gate, lin = idt->base + vector * size;
    int rc;

    if (vector * size + size - 1 > idt->limit)
        return gate_fault(c, X_GP, vector, icebp);
    if (!(c->cr0 & CR0_PE))
        return EMUL_OKAY;
    rc = mem_read(c, system_linear(c, lin), 8, EMUL_ACC_SYSTEM, &gate);
    if (rc != EMUL_OKAY)
        return rc;
    kind = gate >> 40 & 0x1f;
    valid = kind == 14 || kind == 15 || (!lm && (kind == 5 || kind == 6 || kind == 7));
    if (!valid || (!icebp && (gate >> 45 & 3) < c->cpl))
        return gate_fault(c, X_GP, vector, icebp);
    if (!(gate >> 47 & 1))
        return gate_fault(c, X_NP, vector, icebp);
    return EMUL_OKAY;
}

int software_event(struct emul_ctxt *c, uint8_t vector, unsigned int type)
{
    int rc = gate_check(c, vector, type);

    if (rc != EMUL_OKAY)
        return rc;
    c->event = (struct emul_event){
        .vector = vector,
        .type = type,
        .insn_len = c->i.pos,
    };
    return EMUL_EXCEPTION;
}

/* CC */
int op_int3(struct emul_ctxt *c)
{
    return software_event(c, X_BP, EMUL_EVENT_SW_EXCEPTION);
}

/* CD */
int op_int(struct emul_ctxt *c)
{
    if (c->regs->rflags & RFLAGS_VM) {
        if (c->cr4 & CR4_VME)
            return EMUL_UNHANDLEABLE; /* may be redirected by the TSS's bitmap */
        if (iopl(c) < 3)
            return gp0(c);
    }
    return software_event(c, c->i.imm, EMUL_EVENT_SW_INTERRUPT);
}

/* CE */
int op_into(struct emul_ctxt *c)
{
    if (!(c->regs->rflags & RFLAGS_OF))
        return EMUL_OKAY;
    return software_event(c, X_OF, EMUL_EVENT_SW_EXCEPTION);
}

/* F1 */
int op_icebp(struct emul_ctxt *c)
{
    return software_event(c, X_DB, EMUL_EVENT_PRIV_SW_EXCEPTION);
}
