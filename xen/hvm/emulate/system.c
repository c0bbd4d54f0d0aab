/* System instructions: control and debug registers, MSRs, descriptor table registers,
 * CLI/STI/HLT, groups 6 and 7.  System calls are in syscall.c.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hvm/emulate/internal.h"

/* F4 */
int op_hlt(struct emul_ctxt *c)
{
    c->retire.hlt = true;
    return EMUL_OKAY;
}

/* Whether CLI and STI act on IF, on VIF (VME, PVI) or fault; AMD APM vol 3, CLI. */
static int if_target(struct emul_ctxt *c, uint64_t *flag)
{
    bool v86 = c->regs->rflags & RFLAGS_VM;

    *flag = RFLAGS_IF;
    if (!(c->cr0 & CR0_PE) || (v86 ? iopl(c) == 3 : c->cpl <= iopl(c)))
        return EMUL_OKAY;
    *flag = RFLAGS_VIF;
    if (v86 ? c->cr4 & CR4_VME : c->cpl == 3 && (c->cr4 & CR4_PVI))
        return EMUL_OKAY;
    return gp0(c);
}

/* FA */
int op_cli(struct emul_ctxt *c)
{
    uint64_t flag;
    int rc = if_target(c, &flag);

    if (rc == EMUL_OKAY)
        set_flags(c, flag, 0);
    return rc;
}

/* FB */
int op_sti(struct emul_ctxt *c)
{
    uint64_t flag;
    int rc = if_target(c, &flag);

    if (rc != EMUL_OKAY)
        return rc;
    if (flag == RFLAGS_VIF && (c->regs->rflags & RFLAGS_VIP))
        return gp0(c);
    c->retire.sti = flag == RFLAGS_IF && !(c->regs->rflags & RFLAGS_IF);
    set_flags(c, flag, flag);
    return EMUL_OKAY;
}

/* 0F A2 */
int op_cpuid(struct emul_ctxt *c)
{
    uint32_t r[4];
    int rc = c->ops->cpuid(c, c->regs->rax, c->regs->rcx, r);

    if (rc != EMUL_OKAY)
        return rc;
    c->regs->rax = r[0];
    c->regs->rbx = r[1];
    c->regs->rcx = r[2];
    c->regs->rdx = r[3];
    return EMUL_OKAY;
}

static void set_edx_eax(struct emul_ctxt *c, uint64_t v)
{
    c->regs->rax = (uint32_t)v;
    c->regs->rdx = v >> 32;
}

static uint64_t edx_eax(const struct emul_ctxt *c)
{
    return c->regs->rdx << 32 | (uint32_t)c->regs->rax;
}

/* 0F 31 */
int op_rdtsc(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if ((c->cr4 & CR4_TSD) && c->cpl > 0)
        return gp0(c);
    rc = c->ops->rdtsc(c, &v);
    if (rc == EMUL_OKAY)
        set_edx_eax(c, v);
    return rc;
}

static int do_rdtscp(struct emul_ctxt *c)
{
    uint64_t v, aux;
    int rc;

    if (!(c->features & EMUL_F_RDTSCP))
        return ud(c);
    if ((c->cr4 & CR4_TSD) && c->cpl > 0)
        return gp0(c);
    rc = c->ops->msr_read(c, MSR_TSC_AUX, &aux);
    if (rc == EMUL_OKAY)
        rc = c->ops->rdtsc(c, &v);
    if (rc != EMUL_OKAY)
        return rc;
    set_edx_eax(c, v);
    c->regs->rcx = (uint32_t)aux;
    return EMUL_OKAY;
}

/* 0F 32 */
int op_rdmsr(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = c->ops->msr_read(c, c->regs->rcx, &v);

    if (rc == EMUL_OKAY)
        set_edx_eax(c, v);
    return rc;
}

/* 0F 30 */
int op_wrmsr(struct emul_ctxt *c)
{
    return c->ops->msr_write(c, c->regs->rcx, edx_eax(c));
}

/* 0F 33 */
int op_rdpmc(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if ((c->cr0 & CR0_PE) && !(c->cr4 & CR4_PCE) && c->cpl > 0)
        return gp0(c);
    if (!c->ops->rdpmc)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rdpmc(c, c->regs->rcx, &v);
    if (rc == EMUL_OKAY)
        set_edx_eax(c, v);
    return rc;
}

/* 0F 06 */
int op_clts(struct emul_ctxt *c)
{
    return c->ops->cr_write(c, 0, c->cr0 & ~(uint64_t)CR0_TS);
}

/* Control register of a MOV; false if there is none of that number. */
static bool cr_number(const struct emul_ctxt *c, unsigned int *n)
{
    *n = c->i.reg;
    if (c->i.lock) { /* AMD's way to CR8 outside of 64-bit mode */
        if (!(c->features & EMUL_F_CR8_LOCK) || *n != 0)
            return false;
        *n = 8;
    }
    return *n == 0 || (*n >= 2 && *n <= 4) || *n == 8;
}

/* 0F 20 */
int op_mov_cr_from(struct emul_ctxt *c)
{
    unsigned int n;
    uint64_t v;
    int rc;

    if (!cr_number(c, &n))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    rc = c->ops->cr_read(c, n, &v);
    if (rc == EMUL_OKAY)
        reg_set(c, c->i.rm, mode64(c) ? 8 : 4, v);
    return rc;
}

/* 0F 22 */
int op_mov_cr(struct emul_ctxt *c)
{
    unsigned int n;

    if (!cr_number(c, &n))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    return c->ops->cr_write(c, n, reg_get(c, c->i.rm, mode64(c) ? 8 : 4));
}

/* Debug register of a MOV; 4 and 5 are 6 and 7 unless CR4.DE is on. */
static bool dr_number(const struct emul_ctxt *c, unsigned int *n)
{
    enum { CR4_DE = 1u << 3 };

    *n = c->i.reg;
    if (*n > 7 || ((c->cr4 & CR4_DE) && (*n == 4 || *n == 5)))
        return false;
    if (*n == 4 || *n == 5)
        *n += 2;
    return true;
}

/* 0F 21 */
int op_mov_dr_from(struct emul_ctxt *c)
{
    unsigned int n;
    uint64_t v;
    int rc;

    if (!dr_number(c, &n))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    rc = c->ops->dr_read(c, n, &v);
    if (rc == EMUL_OKAY)
        reg_set(c, c->i.rm, mode64(c) ? 8 : 4, v);
    return rc;
}

/* 0F 23 */
int op_mov_dr(struct emul_ctxt *c)
{
    unsigned int n;

    if (!dr_number(c, &n))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    return c->ops->dr_write(c, n, reg_get(c, c->i.rm, mode64(c) ? 8 : 4));
}

/* --- group 6: 0F 00
 * ----------------------------------------------------------------------- */

static bool umip_blocks(const struct emul_ctxt *c)
{
    return (c->cr4 & CR4_UMIP) && c->cpl > 0;
}

int op_grp6(struct emul_ctxt *c)
{
    unsigned int sub = c->i.reg & 7;

    switch (sub) {
    case 0:
    case 1:
        if (umip_blocks(c))
            return gp0(c);
        return rm_write(c, c->i.mem ? 2 : c->i.opsize,
                        seg_get(c, sub ? EMUL_TR : EMUL_LDTR)->sel);
    case 2:
    case 3:
        return do_lldt_ltr(c, sub == 3);
    case 4:
    case 5:
        return do_verr_verw(c, sub == 5);
    default:
        return ud(c);
    }
}

/* --- group 7: 0F 01
 * ------------------------------------------------------------------------- */

static int store_table(struct emul_ctxt *c, unsigned int n)
{
    const struct emul_seg *s = seg_get(c, n);
    unsigned char buf[10];
    unsigned int bytes = mode64(c) ? 10 : 6;
    uint16_t limit = s->limit;
    uint64_t lin;
    int rc;

    if (umip_blocks(c))
        return gp0(c);
    __builtin_memcpy(buf, &limit, 2);
    __builtin_memcpy(buf + 2, &s->base, 8);
    rc = ea_linear(c, bytes, EMUL_ACC_WRITE, &lin);
    return rc == EMUL_OKAY ? c->ops->write(c, lin, buf, bytes, EMUL_ACC_WRITE) : rc;
}

static int load_table(struct emul_ctxt *c, unsigned int n)
{
    unsigned int bytes = mode64(c) ? 8 : 4;
    uint64_t limit, base;
    struct emul_seg s = {0};
    int rc;

    if (c->cpl != 0)
        return gp0(c);
    rc = ea_read(c, 0, 2, &limit);
    if (rc == EMUL_OKAY)
        rc = ea_read(c, 2, bytes, &base);
    if (rc != EMUL_OKAY)
        return rc;
    if (mode64(c) && !is_canonical(base))
        return gp0(c);
    if (!mode64(c) && c->i.opsize == 2)
        base &= 0xffffff;
    s.base = base;
    s.limit = limit;
    seg_set(c, n, &s);
    return EMUL_OKAY;
}

/* LMSW can set PE but not clear it. */
static int do_lmsw(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if (c->cpl != 0)
        return gp0(c);
    rc = rm_read(c, 2, &v);
    if (rc != EMUL_OKAY)
        return rc;
    v = (c->cr0 & ~14ull) | (v & 15);
    return c->ops->cr_write(c, 0, v);
}

static int do_invlpg(struct emul_ctxt *c)
{
    uint64_t lin = c->i.ea;

    if (c->cpl != 0)
        return gp0(c);
    /* no segment check; an address that is not canonical is ignored */
    if (!mode64(c) || c->i.ea_seg >= EMUL_FS)
        lin += seg_get(c, c->i.ea_seg)->base;
    if (!mode64(c))
        lin = (uint32_t)lin;
    else if (!is_canonical(lin))
        return EMUL_OKAY;
    return c->ops->invlpg(c, lin);
}

static int do_xgetbv(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if (!(c->cr4 & CR4_OSXSAVE))
        return ud(c);
    rc = c->ops->xcr_read(c, c->regs->rcx, &v);
    if (rc == EMUL_OKAY)
        set_edx_eax(c, v);
    return rc;
}

static int do_xsetbv(struct emul_ctxt *c)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    return c->ops->xcr_write(c, c->regs->rcx, edx_eax(c));
}

static int do_swapgs(struct emul_ctxt *c)
{
    struct emul_seg gs;
    uint64_t base;
    int rc;

    if (!mode64(c))
        return ud(c);
    if (c->cpl != 0)
        return gp0(c);
    gs = *seg_get(c, EMUL_GS);
    rc = c->ops->msr_read(c, MSR_KERNEL_GS_BASE, &base);
    if (rc == EMUL_OKAY)
        rc = c->ops->msr_write(c, MSR_KERNEL_GS_BASE, gs.base);
    if (rc != EMUL_OKAY)
        return rc;
    gs.base = base;
    seg_set(c, EMUL_GS, &gs);
    return EMUL_OKAY;
}

/* CLAC, STAC: #UD outside of ring 0 */
static int do_smap(struct emul_ctxt *c, bool set)
{
    if (!(c->features & EMUL_F_SMAP) || c->cpl != 0 || c->i.pp)
        return ud(c);
    set_flags(c, RFLAGS_AC, set ? RFLAGS_AC : 0);
    return EMUL_OKAY;
}

/* MONITOR only checks; MWAIT may return at once, which is a legal implementation of it.
 */
static int do_monitor(struct emul_ctxt *c, bool mwait)
{
    uint64_t lin;

    if (!(c->features & EMUL_F_MONITOR) || c->cpl != 0)
        return ud(c);
    if (c->regs->rcx & (mwait ? ~1ull : ~0ull) & size_mask(mode64(c) ? 8 : 4))
        return gp0(c);
    if (mwait)
        return EMUL_OKAY;
    return emul_linear(c, c->i.ea_seg, c->regs->rax, 1, EMUL_ACC_READ, c->i.adsize, &lin);
}

static int do_clzero(struct emul_ctxt *c)
{
    static const unsigned char zero[64];
    uint64_t lin;
    int rc;

    if (!(c->features & EMUL_F_CLZERO))
        return ud(c);
    rc = emul_linear(c, c->i.ea_seg, c->regs->rax & ~63ull, 64, EMUL_ACC_WRITE,
                     c->i.adsize, &lin);
    return rc == EMUL_OKAY ? c->ops->write(c, lin, zero, 64, EMUL_ACC_WRITE) : rc;
}

/* Nested SVM is the caller's; without it these do not exist. */
static int do_svm(struct emul_ctxt *c)
{
    if (!(c->features & EMUL_F_SVM) || !(c->efer & EFER_SVME) || c->i.real)
        return ud(c);
    return EMUL_UNHANDLEABLE;
}

static int grp7_register(struct emul_ctxt *c)
{
    switch (c->i.modrm) {
    case 0xc1: /* VMCALL */
    case 0xd9: /* VMMCALL */
        return c->ops->hypercall ? c->ops->hypercall(c) : EMUL_UNHANDLEABLE;
    case 0xc8:
    case 0xc9:
        return do_monitor(c, c->i.modrm & 1);
    case 0xca:
    case 0xcb:
        return do_smap(c, c->i.modrm & 1);
    case 0xd0:
        return c->i.pp ? ud(c) : do_xgetbv(c);
    case 0xd1:
        return c->i.pp ? ud(c) : do_xsetbv(c);
    case 0xd8:
    case 0xda ... 0xdf:
        return do_svm(c);
    case 0xf8:
        return do_swapgs(c);
    case 0xf9:
        return do_rdtscp(c);
    case 0xfc:
        return do_clzero(c);
    case 0xd5 ... 0xd6: /* XEND, XTEST */
    case 0xfa ... 0xfb: /* MONITORX, MWAITX */
    case 0xe8 ... 0xef: /* SERIALIZE, RDPKRU ... */
        return EMUL_UNHANDLEABLE;
    default:
        return ud(c);
    }
}

int op_grp7(struct emul_ctxt *c)
{
    unsigned int sub = c->i.reg & 7;

    if (sub == 4) {
        if (umip_blocks(c))
            return gp0(c);
        return rm_write(c, c->i.mem ? 2 : c->i.opsize, c->cr0);
    }
    if (sub == 6)
        return do_lmsw(c);
    if (!c->i.mem)
        return grp7_register(c);
    switch (sub) {
    case 0:
    case 1:
        return store_table(c, sub ? EMUL_IDTR : EMUL_GDTR);
    case 2:
    case 3:
        return load_table(c, sub == 3 ? EMUL_IDTR : EMUL_GDTR);
    case 7:
        return do_invlpg(c);
    default:
        return ud(c);
    }
}

/* 0F 08 INVD, 0F 09 WBINVD */
int op_cache_inv(struct emul_ctxt *c)
{
    return c->ops->cache(c, c->i.opcode & 1 ? EMUL_CACHE_WBINVD : EMUL_CACHE_INVD, 0);
}

/* 0F 0B, 0F FF */
int op_ud(struct emul_ctxt *c)
{
    return ud(c);
}
