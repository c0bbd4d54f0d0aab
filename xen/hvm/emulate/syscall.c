/* SYSCALL, SYSRET, SYSENTER, SYSEXIT.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 2 sec 6.1, Intel SDM vol 2.  The vendors differ in which of them exist in
 * which mode: AMD has no SYSENTER in long mode, Intel has SYSCALL in 64-bit mode only.
 */
#include "hvm/emulate/internal.h"

static void load_flat(struct emul_ctxt *c, unsigned int n, uint16_t sel, uint16_t attr)
{
    struct emul_seg s = {.sel = sel, .attr = attr, .limit = 0xffffffff};

    seg_set(c, n, &s);
}

enum {
    ATTR_CODE64 = 0xa9b, /* G, L, present, readable code, accessed */
    ATTR_CODE32 = 0xc9b,
    ATTR_DATA = 0xc93,
    ATTR_RING3 = 0x060,
};

static bool syscall_exists(const struct emul_ctxt *c)
{
    return (c->features & EMUL_F_SYSCALL) && (c->efer & EFER_SCE) && !c->i.real &&
           (mode64(c) || (c->features & EMUL_F_AMD));
}

/* 0F 05 */
int op_syscall(struct emul_ctxt *c)
{
    bool lm = c->efer & EFER_LMA;
    uint64_t star, target, fmask;
    int rc;

    if (!syscall_exists(c))
        return ud(c);
    rc = c->ops->msr_read(c, MSR_STAR, &star);
    if (rc == EMUL_OKAY && lm)
        rc = c->ops->msr_read(c, mode64(c) ? MSR_LSTAR : MSR_CSTAR, &target);
    if (rc == EMUL_OKAY && lm)
        rc = c->ops->msr_read(c, MSR_FMASK, &fmask);
    if (rc != EMUL_OKAY)
        return rc;
    load_flat(c, EMUL_CS, star >> 32 & 0xfffc, lm ? ATTR_CODE64 : ATTR_CODE32);
    load_flat(c, EMUL_SS, (star >> 32 & 0xfffc) + 8, ATTR_DATA);
    c->regs->rcx = c->regs->rip;
    if (lm) {
        c->regs->r11 = c->regs->rflags & ~(uint64_t)RFLAGS_RF;
        c->regs->rip = target;
        c->regs->rflags &= ~(fmask | RFLAGS_RF);
        c->regs->rflags |= RFLAGS_MBS;
    } else {
        c->regs->rip = (uint32_t)star;
        c->regs->rflags &= ~(uint64_t)(RFLAGS_IF | RFLAGS_VM | RFLAGS_RF);
    }
    return EMUL_OKAY;
}

/* 0F 07 */
int op_sysret(struct emul_ctxt *c)
{
    uint64_t star, rip = c->regs->rcx;
    bool to64 = mode64(c) && c->i.opsize == 8;
    uint16_t sel;
    int rc;

    if (!syscall_exists(c))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    if (to64 && !(c->features & EMUL_F_AMD) && !is_canonical(rip))
        return gp0(c); /* AMD faults after the return, on the fetch */
    rc = c->ops->msr_read(c, MSR_STAR, &star);
    if (rc != EMUL_OKAY)
        return rc;
    sel = star >> 48;
    load_flat(c, EMUL_CS, (sel + (to64 ? 16 : 0)) | 3,
              (to64 ? ATTR_CODE64 : ATTR_CODE32) | ATTR_RING3);
    load_flat(c, EMUL_SS, (sel + 8) | 3, ATTR_DATA | ATTR_RING3);
    c->regs->rip = to64 ? rip : (uint32_t)rip;
    if (c->efer & EFER_LMA)
        c->regs->rflags =
            (c->regs->r11 & (RFLAGS_LOADABLE | RFLAGS_VIF | RFLAGS_VIP)) | RFLAGS_MBS;
    else
        c->regs->rflags |= RFLAGS_IF;
    return EMUL_OKAY;
}

static bool sysenter_exists(const struct emul_ctxt *c)
{
    return (c->features & EMUL_F_SEP) &&
           !((c->features & EMUL_F_AMD) && (c->efer & EFER_LMA));
}

/* 0F 34 */
int op_sysenter(struct emul_ctxt *c)
{
    bool lm = c->efer & EFER_LMA;
    uint64_t cs, sp, ip;
    int rc;

    if (!sysenter_exists(c))
        return ud(c);
    if (!(c->cr0 & CR0_PE))
        return gp0(c);
    rc = c->ops->msr_read(c, MSR_SYSENTER_CS, &cs);
    if (rc == EMUL_OKAY && !(cs & 0xfffc))
        return gp0(c);
    if (rc == EMUL_OKAY)
        rc = c->ops->msr_read(c, MSR_SYSENTER_ESP, &sp);
    if (rc == EMUL_OKAY)
        rc = c->ops->msr_read(c, MSR_SYSENTER_EIP, &ip);
    if (rc != EMUL_OKAY)
        return rc;
    c->regs->rflags &= ~(uint64_t)(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
    load_flat(c, EMUL_CS, cs & 0xfffc, lm ? ATTR_CODE64 : ATTR_CODE32);
    load_flat(c, EMUL_SS, (cs & 0xfffc) + 8, ATTR_DATA);
    c->regs->rip = lm ? ip : (uint32_t)ip;
    c->regs->rsp = lm ? sp : (uint32_t)sp;
    return EMUL_OKAY;
}

/* 0F 35 */
int op_sysexit(struct emul_ctxt *c)
{
    bool to64 = c->i.opsize == 8;
    uint64_t cs;
    int rc;

    if (!(c->features & EMUL_F_SEP))
        return ud(c);
    if (!(c->cr0 & CR0_PE) || c->i.real || c->cpl != 0)
        return gp0(c);
    if (!sysenter_exists(c))
        return ud(c);
    if (to64 && (!is_canonical(c->regs->rdx) || !is_canonical(c->regs->rcx)))
        return gp0(c);
    rc = c->ops->msr_read(c, MSR_SYSENTER_CS, &cs);
    if (rc == EMUL_OKAY && !(cs & 0xfffc))
        return gp0(c);
    if (rc != EMUL_OKAY)
        return rc;
    load_flat(c, EMUL_CS, (cs + (to64 ? 32 : 16)) | 3,
              (to64 ? ATTR_CODE64 : ATTR_CODE32) | ATTR_RING3);
    load_flat(c, EMUL_SS, (cs + (to64 ? 40 : 24)) | 3, ATTR_DATA | ATTR_RING3);
    c->regs->rip = to64 ? c->regs->rdx : (uint32_t)c->regs->rdx;
    c->regs->rsp = to64 ? c->regs->rcx : (uint32_t)c->regs->rcx;
    return EMUL_OKAY;
}
