/* The emulator at work on a guest: its callbacks on guest memory, ports, MMIO and
 * registers, and what follows from its result. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A callback that needs a device model blocks in ioreq.c; the vCPU's stack keeps the
 * state of the instruction meanwhile. EMUL_RETRY is returned only when the domain dies.
 */
#include "hvm/exit.h"
#include "hvm/cpuid.h"
#include "hvm/intr.h"
#include "hvm/ioreq.h"
#include "hvm/platform.h"
#include "cpu/percpu.h"
#include "cpu/stub.h"
#include "cpu/x86.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/arch-x86/cpufeatureset.h>

#define REP_MAX 1024 /* iterations of one device-model request */

static struct vcpu *vcpu_of(struct emul_ctxt *c)
{
    return c->opaque;
}

static uint32_t pfec_of(struct emul_ctxt *c, unsigned int access)
{
    return (access & (EMUL_ACC_WRITE | EMUL_ACC_RMW) ? PFEC_WRITE : 0) |
           (access & EMUL_ACC_SYSTEM ? PFEC_IMPLICIT
            : c->cpl == 3            ? PFEC_USER
                                     : 0);
}

/* Guest-physical address of a linear one; n is cut to the page. */
static int translate(struct emul_ctxt *c, uint64_t lin, uint32_t pfec, unsigned int *n,
                     uint64_t *gpa)
{
    unsigned int left = PAGE_SIZE - (lin & ~PAGE_MASK);

    if (*n > left)
        *n = left;
    if (guest_walk(vcpu_of(c), lin, &pfec, gpa))
        return emul_page_fault(c, lin, pfec);
    return EMUL_OKAY;
}

/* Pieces of an access within one page that is not RAM: by naturally aligned powers of
 * two. */
static int mmio_pieces(struct vcpu *v, uint64_t gpa, uint8_t *buf, unsigned int bytes,
                       bool write)
{
    while (bytes) {
        unsigned int n = 8;
        uint64_t val = 0;

        while (n > bytes || (gpa & (n - 1)))
            n >>= 1;
        if (write)
            memcpy(&val, buf, n);
        if (hvm_mmio_access(v, gpa, n, write, &val))
            return EMUL_RETRY;
        if (!write)
            memcpy(buf, &val, n);
        gpa += n;
        buf += n;
        bytes -= n;
    }
    return EMUL_OKAY;
}

static bool mmio_type(enum p2m_type t, bool write)
{
    return !p2m_is_mapped(t) || t == P2M_MMIO_DIRECT ||
           (write && (t == P2M_IOREQ_WRITE || t == P2M_RAM_RO || t == P2M_GRANT_RO));
}

/* One piece within a page. */
static int access_page(struct vcpu *v, uint64_t gpa, void *buf, unsigned int bytes,
                       bool write)
{
    enum p2m_type type;

    if (platform_mmio_find(v, gpa))
        return mmio_pieces(v, gpa, buf, bytes, write);
    p2m_lookup(v->domain, gpa_to_gfn(gpa), &type, NULL);
    if (mmio_type(type, write))
        return mmio_pieces(v, gpa, buf, bytes, write);
    if (write ? guest_write_phys(v->domain, gpa, buf, bytes)
              : guest_read_phys(v->domain, gpa, buf, bytes))
        return EMUL_UNHANDLEABLE;
    return EMUL_OKAY;
}

static int op_fetch(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes)
{
    struct vcpu *v = vcpu_of(c);
    uint32_t pfec = PFEC_FETCH | (c->cpl == 3 ? PFEC_USER : 0);
    uint64_t gpa;
    int rc = translate(c, lin, pfec, &bytes, &gpa);

    if (rc)
        return rc;
    return guest_read_phys(v->domain, gpa, buf, bytes) ? EMUL_UNHANDLEABLE : EMUL_OKAY;
}

static int access_mem(struct emul_ctxt *c, uint64_t lin, uint8_t *buf, unsigned int bytes,
                      unsigned int access, bool write)
{
    struct vcpu *v = vcpu_of(c);
    unsigned int first = bytes, second;
    uint64_t gpa[2];
    int rc = translate(c, lin, pfec_of(c, access), &first, &gpa[0]);

    if (rc)
        return rc;
    second = bytes - first;
    if (second) {
        /* Both pages are checked before the first changes. */
        rc = translate(c, lin + first, pfec_of(c, access), &second, &gpa[1]);
        if (rc)
            return rc;
    }
    rc = access_page(v, gpa[0], buf, first, write);
    if (!rc && second)
        rc = access_page(v, gpa[1], buf + first, second, write);
    return rc;
}

static int op_read(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes,
                   unsigned int access)
{
    return access_mem(c, lin, buf, bytes, access, false);
}

static int op_write(struct emul_ctxt *c, uint64_t lin, const void *buf,
                    unsigned int bytes, unsigned int access)
{
    return access_mem(c, lin, (uint8_t *)buf, bytes, access | EMUL_ACC_WRITE, true);
}

static bool cmpxchg_host(void *p, const void *old, const void *new, unsigned int bytes)
{
#define CMPXCHG(type)                                                                    \
    ({                                                                                   \
        type o, n;                                                                       \
        memcpy(&o, old, sizeof(o));                                                      \
        memcpy(&n, new, sizeof(n));                                                      \
        __atomic_compare_exchange_n((type *)p, &o, n, false, __ATOMIC_SEQ_CST,           \
                                    __ATOMIC_RELAXED);                                   \
    })
    switch (bytes) {
    case 1:
        return CMPXCHG(uint8_t);
    case 2:
        return CMPXCHG(uint16_t);
    case 4:
        return CMPXCHG(uint32_t);
    case 8:
        return CMPXCHG(uint64_t);
    }
#undef CMPXCHG
    uint64_t o[2], n[2];
    bool done;

    memcpy(o, old, 16);
    memcpy(n, new, 16);
    __asm__ volatile("lock cmpxchg16b %1; setz %0"
                     : "=q"(done), "+m"(*(__int128 *)p), "+a"(o[0]), "+d"(o[1])
                     : "b"(n[0]), "c"(n[1])
                     : "memory", "cc");
    return done;
}

static int op_cmpxchg(struct emul_ctxt *c, uint64_t lin, const void *old, const void *new,
                      unsigned int bytes, unsigned int access)
{
    struct vcpu *v = vcpu_of(c);
    unsigned int n = bytes;
    enum p2m_type type;
    uint64_t gpa;
    mfn_t mfn;
    bool done;
    int rc = translate(c, lin, pfec_of(c, access | EMUL_ACC_WRITE), &n, &gpa);

    if (rc)
        return rc;
    if (n < bytes || (bytes == 16 && (gpa & 15)) || platform_mmio_find(v, gpa))
        return op_write(c, lin, new, bytes, access);
    mfn = p2m_get_frame(v->domain, gpa_to_gfn(gpa), true, &type);
    if (!mfn_valid_number(mfn) || mmio_type(type, true)) {
        if (mfn_valid_number(mfn))
            frame_put(mfn);
        return op_write(c, lin, new, bytes, access);
    }
    if (type == P2M_RAM_LOGDIRTY)
        p2m_mark_dirty(v->domain, gpa_to_gfn(gpa));
    done = cmpxchg_host((char *)mfn_to_virt(mfn) + (gpa & ~PAGE_MASK), old, new, bytes);
    frame_put(mfn);
    return done ? EMUL_OKAY : EMUL_CMPXCHG_FAILED;
}

static int op_io_read(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                      uint32_t *val)
{
    *val = 0;
    return hvm_port_access(vcpu_of(c), port, bytes, false, val) ? EMUL_RETRY : EMUL_OKAY;
}

static int op_io_write(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                       uint32_t val)
{
    return hvm_port_access(vcpu_of(c), port, bytes, true, &val) ? EMUL_RETRY : EMUL_OKAY;
}

/* Guest-physical address of a run of string elements, *reps cut to those that lie in one
 * page; only for RAM. */
static int run_in_page(struct emul_ctxt *c, uint64_t lin, unsigned int bytes, bool write,
                       bool down, unsigned long *reps, uint64_t *gpa)
{
    struct vcpu *v = vcpu_of(c);
    unsigned int n = bytes, offset = lin & ~PAGE_MASK;
    enum p2m_type type;
    unsigned long fit;
    int rc;

    if (offset & (bytes - 1)) {
        *reps = 0;
        return EMUL_UNHANDLEABLE;
    }
    rc = translate(c, lin, pfec_of(c, write ? EMUL_ACC_WRITE : EMUL_ACC_READ), &n, gpa);
    if (rc) {
        *reps = 0;
        return rc;
    }
    fit = down ? offset / bytes + 1 : (PAGE_SIZE - offset) / bytes;
    *reps = min(min(*reps, fit), (unsigned long)REP_MAX);
    p2m_lookup(v->domain, gpa_to_gfn(*gpa), &type, NULL);
    if (platform_mmio_find(v, *gpa) || mmio_type(type, write)) {
        *reps = 0;
        return EMUL_UNHANDLEABLE;
    }
    return EMUL_OKAY;
}

static int rep_io(struct emul_ctxt *c, uint16_t port, uint64_t lin, unsigned int bytes,
                  unsigned long *reps, bool down, bool out)
{
    struct vcpu *v = vcpu_of(c);
    uint64_t gpa;
    uint32_t count;
    int rc;

    if (platform_port_claimed(v, port)) {
        *reps = 0;
        return EMUL_UNHANDLEABLE;
    }
    rc = run_in_page(c, lin, bytes, !out, down, reps, &gpa);
    if (rc)
        return rc;
    count = *reps;
    rc = ioreq_port_rep(v, port, bytes, out, gpa, down, &count);
    *reps = count;
    return rc ? EMUL_RETRY : EMUL_OKAY;
}

static int op_rep_ins(struct emul_ctxt *c, uint16_t port, uint64_t dst,
                      unsigned int bytes, unsigned long *reps, bool down)
{
    return rep_io(c, port, dst, bytes, reps, down, false);
}

static int op_rep_outs(struct emul_ctxt *c, uint16_t port, uint64_t src,
                       unsigned int bytes, unsigned long *reps, bool down)
{
    return rep_io(c, port, src, bytes, reps, down, true);
}

/* Is `lin` MMIO of a device model? *gpa: where. */
static bool device_model_mmio(struct emul_ctxt *c, uint64_t lin, unsigned int bytes,
                              bool write, uint64_t *gpa)
{
    struct vcpu *v = vcpu_of(c);
    unsigned int n = bytes;
    enum p2m_type type;
    uint32_t pfec = pfec_of(c, write ? EMUL_ACC_WRITE : EMUL_ACC_READ);

    if (guest_walk(v, lin, &pfec, gpa) || (lin & (bytes - 1)) || n != bytes ||
        platform_mmio_find(v, *gpa))
        return false;
    p2m_lookup(v->domain, gpa_to_gfn(*gpa), &type, NULL);
    return !p2m_is_mapped(type) && ioreq_mmio_claimed(v->domain, *gpa, bytes);
}

static int op_rep_movs(struct emul_ctxt *c, uint64_t src, uint64_t dst,
                       unsigned int bytes, unsigned long *reps, bool down)
{
    uint64_t mmio, ram;
    bool write = true; /* to the device */
    uint32_t count;
    unsigned long fit;
    int rc;

    if (!device_model_mmio(c, dst, bytes, true, &mmio)) {
        write = false;
        if (!device_model_mmio(c, src, bytes, false, &mmio)) {
            *reps = 0;
            return EMUL_UNHANDLEABLE;
        }
    }
    fit = down ? (mmio & ~PAGE_MASK) / bytes + 1
               : (PAGE_SIZE - (mmio & ~PAGE_MASK)) / bytes;
    *reps = min(*reps, fit);
    rc = run_in_page(c, write ? src : dst, bytes, !write, down, reps, &ram);
    if (rc)
        return rc;
    count = *reps;
    rc = ioreq_mmio_rep(vcpu_of(c), mmio, bytes, write, ram, down, &count);
    *reps = count;
    return rc ? EMUL_RETRY : EMUL_OKAY;
}

static void op_seg_read(struct emul_ctxt *c, unsigned int seg, struct emul_seg *val)
{
    hvm_ops->get_segment(vcpu_of(c), seg, val);
}

static void op_seg_write(struct emul_ctxt *c, unsigned int seg,
                         const struct emul_seg *val)
{
    hvm_ops->set_segment(vcpu_of(c), seg, val);
}

/* A setter that queued #GP itself: take it back and let the emulator raise it. */
static int refused(struct emul_ctxt *c)
{
    vcpu_of(c)->hvm->inject.valid = false;
    return emul_raise_error(c, X86_GP, 0);
}

static int op_cr_read(struct emul_ctxt *c, unsigned int cr, uint64_t *val)
{
    struct hvm_vcpu *h = vcpu_of(c)->hvm;

    switch (cr) {
    case 0:
        *val = h->cr0;
        break;
    case 2:
        *val = h->cr2;
        break;
    case 3:
        *val = h->cr3;
        break;
    case 4:
        *val = h->cr4;
        break;
    case 8:
        *val = vlapic_get_tpr(vcpu_of(c));
        break;
    default:
        return emul_raise(c, X86_UD);
    }
    return EMUL_OKAY;
}

static int op_cr_write(struct emul_ctxt *c, unsigned int cr, uint64_t val)
{
    struct vcpu *v = vcpu_of(c);
    int rc = 0;

    switch (cr) {
    case 0:
        rc = hvm_set_cr0(v, val);
        break;
    case 2:
        v->hvm->cr2 = val;
        hvm_ops->update_cr(v, 2);
        break;
    case 3:
        rc = hvm_set_cr3(v, val);
        break;
    case 4:
        rc = hvm_set_cr4(v, val);
        break;
    case 8:
        if (val >> 4)
            return emul_raise_error(c, X86_GP, 0);
        vlapic_set_tpr(v, val);
        break;
    default:
        return emul_raise(c, X86_UD);
    }
    if (rc)
        return refused(c);
    c->cr0 = v->hvm->cr0;
    c->cr4 = v->hvm->cr4;
    c->efer = v->hvm->efer;
    return EMUL_OKAY;
}

static int op_dr_read(struct emul_ctxt *c, unsigned int dr, uint64_t *val)
{
    struct vcpu *v = vcpu_of(c);

    hvm_ops->sync_dr(v);
    *val = dr < 4 ? v->hvm->dr[dr] : dr == 6 ? v->hvm->dr6 : v->hvm->dr7;
    return EMUL_OKAY;
}

static int op_dr_write(struct emul_ctxt *c, unsigned int dr, uint64_t val)
{
    struct vcpu *v = vcpu_of(c);

    hvm_ops->sync_dr(v);
    if (dr >= 4 && val >> 32)
        return emul_raise_error(c, X86_GP, 0);
    if (dr < 4)
        v->hvm->dr[dr] = val;
    else if (dr == 6)
        v->hvm->dr6 = (val & 0xe00f) | 0xffff0ff0;
    else
        v->hvm->dr7 = (val & 0xffff2fff) | 0x400;
    hvm_ops->update_dr(v);
    return EMUL_OKAY;
}

static int op_msr_read(struct emul_ctxt *c, uint32_t msr, uint64_t *val)
{
    return hvm_rdmsr(vcpu_of(c), msr, val) ? emul_raise_error(c, X86_GP, 0) : EMUL_OKAY;
}

static int op_msr_write(struct emul_ctxt *c, uint32_t msr, uint64_t val)
{
    struct vcpu *v = vcpu_of(c);

    if (hvm_wrmsr(v, msr, val))
        return emul_raise_error(c, X86_GP, 0);
    c->efer = v->hvm->efer;
    return EMUL_OKAY;
}

static int op_xcr_read(struct emul_ctxt *c, uint32_t xcr, uint64_t *val)
{
    if (xcr)
        return emul_raise_error(c, X86_GP, 0);
    hvm_fpu_sync_xcr0(vcpu_of(c));
    *val = vcpu_of(c)->hvm->xcr0;
    return EMUL_OKAY;
}

static int op_xcr_write(struct emul_ctxt *c, uint32_t xcr, uint64_t val)
{
    if (xcr || hvm_set_xcr0(vcpu_of(c), val))
        return refused(c);
    return EMUL_OKAY;
}

static int op_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    if (vcpu_of(c)->hvm->cpuid_faulting && c->cpl)
        return emul_raise_error(c, X86_GP, 0);
    hvm_cpuid(vcpu_of(c), leaf, subleaf, r);
    return EMUL_OKAY;
}

static int op_rdtsc(struct emul_ctxt *c, uint64_t *val)
{
    *val = hvm_guest_tsc(vcpu_of(c));
    return EMUL_OKAY;
}

static int op_invlpg(struct emul_ctxt *c, uint64_t lin)
{
    hvm_ops->invlpg(vcpu_of(c), lin);
    return EMUL_OKAY;
}

static int op_cache(struct emul_ctxt *c, enum emul_cache_op op, uint64_t lin)
{
    if (op != EMUL_CACHE_FLUSH && vcpu_of(c)->domain->is_privileged)
        wbinvd();
    return EMUL_OKAY;
}

static int op_vec_read(struct emul_ctxt *c, enum emul_vec_kind kind, unsigned int reg,
                       void *buf, unsigned int bytes)
{
    return hvm_fpu_vec_read(vcpu_of(c), kind == EMUL_VEC_MMX, reg, buf, bytes)
               ? EMUL_UNHANDLEABLE
               : EMUL_OKAY;
}

static int op_vec_write(struct emul_ctxt *c, enum emul_vec_kind kind, unsigned int reg,
                        const void *buf, unsigned int bytes, bool zero_upper)
{
    return hvm_fpu_vec_write(vcpu_of(c), kind == EMUL_VEC_MMX, reg, buf, bytes,
                             zero_upper)
               ? EMUL_UNHANDLEABLE
               : EMUL_OKAY;
}

static int op_fpu(struct emul_ctxt *c, enum emul_fpu_op op, void *data)
{
    static const uint8_t fwait = 0x9b;
    struct stub_regs regs = {0};

    switch (op) {
    case EMUL_FPU_ENTER:
        if (stub_run(&fwait, 1, &regs) == X86_MF)
            return emul_raise(c, X86_MF);
        break;
    case EMUL_FPU_FNINIT:
        __asm__ volatile("fninit");
        break;
    case EMUL_FPU_FNCLEX:
        __asm__ volatile("fnclex");
        break;
    case EMUL_FPU_EMMS:
        __asm__ volatile("emms");
        break;
    case EMUL_FPU_GET_CW:
        __asm__ volatile("fnstcw %0" : "=m"(*(uint16_t *)data));
        break;
    case EMUL_FPU_SET_CW:
        __asm__ volatile("fldcw %0" ::"m"(*(uint16_t *)data));
        break;
    case EMUL_FPU_GET_SW:
        __asm__ volatile("fnstsw %0" : "=m"(*(uint16_t *)data));
        break;
    case EMUL_FPU_GET_MXCSR:
        __asm__ volatile("stmxcsr %0" : "=m"(*(uint32_t *)data));
        break;
    case EMUL_FPU_SET_MXCSR:
        __asm__ volatile("ldmxcsr %0" ::"m"(*(uint32_t *)data));
        break;
    }
    return EMUL_OKAY;
}

/* The guest's vector and x87 registers are in the processor: run it as it is. */
static int op_native(struct emul_ctxt *c, struct emul_native *n)
{
    struct vcpu *v = vcpu_of(c);
    struct stub_regs regs = {.rax = n->rax,
                             .rcx = n->rcx,
                             .rdx = n->rdx,
                             .rdi = (uintptr_t)n->mem,
                             .rflags = n->rflags};
    int vector;

    if (!n->keep)
        hvm_fpu_save(v);
    vector = stub_run(n->insn, n->len, &regs);
    __asm__ volatile("stmxcsr %0" : "=m"(n->mxcsr)::"memory");
    if (!n->keep)
        hvm_fpu_restore(v);
    n->vector = vector < 0 ? EMUL_NATIVE_NONE : (uint8_t)vector;
    n->rax = regs.rax;
    n->rcx = regs.rcx;
    n->rdx = regs.rdx;
    n->rflags = regs.rflags;
    if (n->pointers && n->keep && vector < 0)
        hvm_fpu_set_pointers(v, n->fop, n->fip, n->fdp);
    return EMUL_OKAY;
}

static const struct emul_ops ops = {
    .fetch = op_fetch,
    .read = op_read,
    .write = op_write,
    .cmpxchg = op_cmpxchg,
    .io_read = op_io_read,
    .io_write = op_io_write,
    .rep_ins = op_rep_ins,
    .rep_outs = op_rep_outs,
    .rep_movs = op_rep_movs,
    .seg_read = op_seg_read,
    .seg_write = op_seg_write,
    .cr_read = op_cr_read,
    .cr_write = op_cr_write,
    .dr_read = op_dr_read,
    .dr_write = op_dr_write,
    .msr_read = op_msr_read,
    .msr_write = op_msr_write,
    .xcr_read = op_xcr_read,
    .xcr_write = op_xcr_write,
    .cpuid = op_cpuid,
    .rdtsc = op_rdtsc,
    .invlpg = op_invlpg,
    .cache = op_cache,
    .vec_read = op_vec_read,
    .vec_write = op_vec_write,
    .fpu = op_fpu,
    .native = op_native,
};

static void inject_emulated(struct vcpu *v, const struct emul_event *e)
{
    struct hvm_event *i = &v->hvm->inject;

    if (e->type == EMUL_EVENT_HW_EXCEPTION) {
        if (e->vector == X86_PF)
            hvm_inject_page_fault(v, e->error, e->cr2);
        else
            hvm_inject_exception(v, e->vector,
                                 e->has_error ? (int)e->error : HVM_NO_ERROR_CODE);
        return;
    }
    *i = (struct hvm_event){
        .valid = true, .vector = e->vector, .type = e->type, .insn_len = e->insn_len};
}

static void retire(struct vcpu *v, const struct emul_ctxt *c)
{
    uint32_t shadow = v->hvm->shadow & HVM_SHADOW_NMI;

    if (c->retire.unblock_nmi)
        shadow = 0;
    if (c->retire.sti)
        shadow |= HVM_SHADOW_STI;
    if (c->retire.mov_ss)
        shadow |= HVM_SHADOW_MOVSS;
    hvm_ops->set_shadow(v, shadow);
    if (c->retire.hlt)
        v->hvm->hlt = true;
    if (c->retire.task_trap)
        hvm_debug_trap(v, DR6_BT);
    else if (c->retire.singlestep)
        hvm_single_step(v, c->retire.branch);
}

static void unhandleable(struct vcpu *v, const struct emul_ctxt *c)
{
    const uint8_t *b = c->insn;

    printk_guest("d%uv%u: cannot emulate at rip %#lx: %02x %02x %02x %02x %02x %02x %02x "
                 "%02x\n",
                 v->domain->id, v->id, v->hvm->regs.rip, b[0], b[1], b[2], b[3], b[4],
                 b[5], b[6], b[7]);
    hvm_inject_ud(v);
}

/* What of the guest's CPUID policy changes instructions; worked out once per policy. */
static uint32_t emul_features(struct domain *d)
{
    static const struct {
        uint16_t feature; /* XEN_X86_FEATURE_* */
        uint32_t flag;
    } map[] = {
        {XEN_X86_FEATURE_SSE2, EMUL_F_SSE},
        {XEN_X86_FEATURE_SSE4_1, EMUL_F_SSE41},
        {XEN_X86_FEATURE_AVX, EMUL_F_AVX},
        {XEN_X86_FEATURE_AVX2, EMUL_F_AVX2},
        {XEN_X86_FEATURE_MOVBE, EMUL_F_MOVBE},
        {XEN_X86_FEATURE_POPCNT, EMUL_F_POPCNT},
        {XEN_X86_FEATURE_ABM, EMUL_F_LZCNT},
        {XEN_X86_FEATURE_BMI1, EMUL_F_BMI1},
        {XEN_X86_FEATURE_BMI2, EMUL_F_BMI2},
        {XEN_X86_FEATURE_ADX, EMUL_F_ADX},
        {XEN_X86_FEATURE_CX16, EMUL_F_CX16},
        {XEN_X86_FEATURE_RDTSCP, EMUL_F_RDTSCP},
        {XEN_X86_FEATURE_RDPID, EMUL_F_RDPID},
        {XEN_X86_FEATURE_SYSCALL, EMUL_F_SYSCALL},
        {XEN_X86_FEATURE_SEP, EMUL_F_SEP},
        {XEN_X86_FEATURE_CLFLUSHOPT, EMUL_F_CLFLUSHOPT},
        {XEN_X86_FEATURE_CLWB, EMUL_F_CLWB},
        {XEN_X86_FEATURE_SMAP, EMUL_F_SMAP},
        {XEN_X86_FEATURE_CR8_LEGACY, EMUL_F_CR8_LOCK},
        {XEN_X86_FEATURE_MMX, EMUL_F_MMX},
        {XEN_X86_FEATURE_CLZERO, EMUL_F_CLZERO},
        {XEN_X86_FEATURE_SSSE3, EMUL_F_SSSE3},
        {XEN_X86_FEATURE_SSE4_2, EMUL_F_SSE42},
        {XEN_X86_FEATURE_AESNI, EMUL_F_AES},
        {XEN_X86_FEATURE_PCLMULQDQ, EMUL_F_PCLMUL},
        {XEN_X86_FEATURE_FMA, EMUL_F_FMA},
        {XEN_X86_FEATURE_F16C, EMUL_F_F16C},
        {XEN_X86_FEATURE_SHA, EMUL_F_SHA},
    };
    struct hvm_domain *hd = d->hvm;

    if (unlikely(!hd->emul_features)) {
        uint32_t f = d->hvm->policy->amd ? EMUL_F_AMD : 0;

        for (unsigned int i = 0; i < ARRAY_SIZE(map); i++)
            if (domain_has_feature(d, map[i].feature))
                f |= map[i].flag;
        hd->emul_features = f | BIT(31); /* never zero */
    }
    return hd->emul_features;
}

/* What emul_run() fills itself is not cleared: this is a hot path. */
static inline void prepare(struct vcpu *v, struct emul_ctxt *c)
{
    struct hvm_vcpu *h = v->hvm;

    c->regs = &h->regs;
    c->ops = &ops;
    c->opaque = v;
    c->cr0 = h->cr0;
    c->cr4 = h->cr4;
    c->efer = h->efer;
    c->features = emul_features(v->domain);
    c->seg_valid = 0;
    c->cpl = hvm_ops->get_cpl(v);
}

static void emulate(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;
    struct emul_ctxt c;

    prepare(v, &c);
    c.fetched = h->insn_bytes_len;
    if (c.fetched)
        memcpy(c.insn, h->insn_bytes, EMUL_INSN_MAX);
    switch (emul_run(&c)) {
    case EMUL_OKAY:
        retire(v, &c);
        break;
    case EMUL_EXCEPTION:
        inject_emulated(v, &c.event);
        break;
    case EMUL_RETRY:
        break;
    default:
        unhandleable(v, &c);
        break;
    }
}

void hvm_task_gate(struct vcpu *v, uint16_t sel, unsigned int len, const uint32_t *error)
{
    uint64_t rip = v->hvm->regs.rip;
    struct emul_ctxt c;

    prepare(v, &c);
    v->hvm->regs.rip = (uint32_t)(rip + len);
    switch (emul_task_switch_event(&c, sel, error)) {
    case EMUL_OKAY:
        retire(v, &c);
        return;
    case EMUL_EXCEPTION:
        if (!c.task_switched)
            v->hvm->regs.rip = rip;
        inject_emulated(v, &c.event);
        return;
    default:
        domain_crash(v->domain, "a task switch by way of memory that is none");
    }
}

void hvm_emulate(struct vcpu *v)
{
    emulate(v);
}

void hvm_emulate_forced(struct vcpu *v, unsigned int prefix)
{
    v->hvm->regs.rip += prefix;
    v->hvm->regs.rflags &= ~(uint64_t)RFLAGS_RF;
    v->hvm->insn_bytes_len = 0;
    emulate(v);
}
