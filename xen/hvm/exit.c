/* What each VM exit asks for. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One const table by reason; what a guest does thousands of times a second is short and
 * takes no lock. An exit that nothing handles dumps the state and ends that guest only.
 */
#include "hvm/exit.h"
#include "hvm/intr.h"
#include "hvm/ioreq.h"
#include "hvm/platform.h"
#include "hvm/vlapic.h"
#include "hypercall/hypercall.h"
#include "boot/boot.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "mm/frame.h"
#include "mm/pod.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/hvm/params.h>

static bool forced_emulation;
option_bool(
    "hvm_fep", forced_emulation,
    "let guests have any instruction emulated (ud2; .ascii \"xen\"); for tests only");

/* ---- the instruction that exited ---- */

static unsigned int code_bits(struct vcpu *v, uint64_t *lin)
{
    struct emul_seg cs;

    hvm_ops->get_segment(v, EMUL_CS, &cs);
    if (hvm_long_mode(v) && (cs.attr & EMUL_ATTR_L)) {
        *lin = v->hvm->regs.rip;
        return 64;
    }
    *lin = (uint32_t)(cs.base + v->hvm->regs.rip);
    return cs.attr & EMUL_ATTR_DB ? 32 : 16;
}

/* Up to n bytes at `lin`, as far as the page goes; 0 with the page fault queued. */
static unsigned int fetch_page(struct vcpu *v, uint64_t lin, uint8_t *buf, unsigned int n)
{
    uint32_t pfec = PFEC_FETCH | (hvm_ops->get_cpl(v) == 3 ? PFEC_USER : 0);
    uint64_t gpa;
    mfn_t mfn;

    n = min(n, (unsigned int)(PAGE_SIZE - (lin & ~PAGE_MASK)));
    if (guest_walk(v, lin, &pfec, &gpa)) {
        hvm_inject_page_fault(v, pfec, lin);
        return 0;
    }
    mfn = p2m_get_frame(v->domain, gpa_to_gfn(gpa), false, NULL);
    if (!mfn_valid_number(mfn))
        return 0;
    memcpy(buf, (char *)mfn_to_virt(mfn) + (gpa & ~PAGE_MASK), n);
    frame_put(mfn);
    return n;
}

unsigned int hvm_insn_len(struct vcpu *v, enum emul_known_insn which,
                          struct emul_insn_regs *regs)
{
    uint8_t buf[EMUL_INSN_MAX];
    uint64_t lin;
    unsigned int bits = code_bits(v, &lin), n, len;

    n = fetch_page(v, lin, buf, sizeof(buf));
    if (!n)
        return 0;
    len = emul_insn_len(buf, n, bits, which, regs);
    if (!len && n < sizeof(buf)) {
        unsigned int more = fetch_page(v, lin + n, buf + n, sizeof(buf) - n);

        len = more ? emul_insn_len(buf, n + more, bits, which, regs) : 0;
    }
    return len;
}

/* Length from the CPU, or decoded. 0: try again, the handler must do nothing. */
static unsigned int insn_len(struct vcpu *v, const struct vmexit *e,
                             enum emul_known_insn which)
{
    if (e->insn_len)
        return e->insn_len;
    return hvm_insn_len(v, which, NULL);
}

/* ---- handlers ---- */

static void exit_none(struct vcpu *v, const struct vmexit *e)
{
}

static void exit_extint(struct vcpu *v, const struct vmexit *e)
{
    irq_window();
}

static void exit_exception(struct vcpu *v, const struct vmexit *e)
{
    unsigned int vector = e->info.exception.vector;

    if (vector == X86_UD) {
        static const uint8_t prefix[5] = {0x0f, 0x0b, 'x', 'e', 'n'};
        uint8_t buf[5];
        uint64_t lin;

        code_bits(v, &lin);
        if (forced_emulation && fetch_page(v, lin, buf, 5) == 5 &&
            !memcmp(buf, prefix, 5))
            hvm_emulate_forced(v, sizeof(prefix));
        else
            hvm_inject_ud(v);
        return;
    }
    if (vector == X86_MC)
        return; /* the machine's: its own handler has it */
    if (vector == X86_PF) {
        hvm_inject_page_fault(v, e->info.exception.error, e->info.exception.cr2);
        return;
    }
    hvm_inject_exception(v, vector,
                         e->info.exception.has_error ? (int)e->info.exception.error
                                                     : HVM_NO_ERROR_CODE);
}

static void exit_cpuid(struct vcpu *v, const struct vmexit *e)
{
    struct cpu_regs *r = &v->hvm->regs;
    unsigned int len = insn_len(v, e, EMUL_INSN_CPUID);
    uint32_t out[4];

    if (!len)
        return;
    if (unlikely(v->hvm->cpuid_faulting) && hvm_ops->get_cpl(v)) {
        hvm_inject_gp(v);
        return;
    }
    if ((uint32_t)r->rax == 0xd)
        hvm_fpu_sync_xcr0(v);
    hvm_cpuid(v, r->rax, r->rcx, out);
    r->rax = out[0];
    r->rbx = out[1];
    r->rcx = out[2];
    r->rdx = out[3];
    hvm_skip_insn(v, len);
}

static void exit_hlt(struct vcpu *v, const struct vmexit *e)
{
    unsigned int len = insn_len(v, e, EMUL_INSN_HLT);

    if (!len)
        return;
    hvm_skip_insn(v, len);
    v->hvm->hlt = true; /* the loop blocks if nothing is pending */
}

static void exit_rdtsc(struct vcpu *v, const struct vmexit *e)
{
    uint64_t tsc = hvm_guest_tsc(v);
    unsigned int len = hvm_insn_len(v, EMUL_INSN_RDTSC, NULL);

    if (!len) {
        len = hvm_insn_len(v, EMUL_INSN_RDTSCP, NULL);
        if (!len)
            return;
        v->hvm->regs.rcx = v->hvm->tsc_aux;
    }
    v->hvm->regs.rax = (uint32_t)tsc;
    v->hvm->regs.rdx = tsc >> 32;
    hvm_skip_insn(v, len);
}

/* No performance counters are offered. */
static void exit_rdpmc(struct vcpu *v, const struct vmexit *e)
{
    hvm_inject_gp(v);
}

static void exit_hypercall(struct vcpu *v, const struct vmexit *e)
{
    unsigned int len = e->insn_len;

    if (!len)
        len = hvm_insn_len(v, hvm_ops->hypercall_known, NULL);
    if (!len)
        return;
    /* First, so that a call that stops the vCPU leaves it behind the instruction. */
    hvm_skip_insn(v, len);
    if (e->info.hypercall.cpl || (v->hvm->regs.rflags & RFLAGS_VM) ||
        !(v->hvm->cr0 & CR0_PE)) {
        v->hvm->regs.rax = -EPERM;
        return;
    }
    hypercall_dispatch(v, e->info.hypercall.code64);
}

static void exit_cr_write(struct vcpu *v, const struct vmexit *e)
{
    struct emul_insn_regs regs = {.creg = e->info.cr.cr, .gpr = e->info.cr.gpr};
    unsigned int len = e->insn_len;
    const uint64_t *gpr;
    uint64_t val;
    int rc = 0;

    if (!len || e->info.cr.cr < 0)
        len = hvm_insn_len(v, EMUL_INSN_MOV_TO_CR, &regs);
    if (!len) {
        if (!v->hvm->inject.valid)
            hvm_emulate(v); /* CLTS, LMSW */
        return;
    }
    gpr = hvm_gpr(v, regs.gpr);
    val = hvm_long_mode(v) ? *gpr : (uint32_t)*gpr;
    if (hvm_ops->get_cpl(v)) {
        hvm_inject_gp(v);
        return;
    }
    switch (regs.creg) {
    case 0:
        rc = hvm_set_cr0(v, val);
        break;
    case 3:
        rc = hvm_set_cr3(v, val);
        break;
    case 4:
        rc = hvm_set_cr4(v, val);
        break;
    case 8:
        if (val >> 4) {
            hvm_inject_gp(v);
            return;
        }
        vlapic_set_tpr(v, val);
        break;
    default:
        hvm_inject_ud(v);
        return;
    }
    if (!rc)
        hvm_skip_insn(v, len);
}

static void exit_emulate(struct vcpu *v, const struct vmexit *e)
{
    hvm_emulate(v);
}

static void exit_io(struct vcpu *v, const struct vmexit *e)
{
    struct hvm_vcpu *h = v->hvm;
    unsigned int bytes = e->info.io.bytes, len;
    uint32_t val = h->regs.rax;

    if (e->info.io.string || !e->info.io.next_rip) {
        hvm_emulate(v);
        return;
    }
    len = e->info.io.next_rip - h->regs.rip;
    if (bytes < 4)
        val &= (1u << (8 * bytes)) - 1;
    if (hvm_port_access(v, e->info.io.port, bytes, !e->info.io.in, &val))
        return;
    if (e->info.io.in) {
        if (bytes == 4)
            h->regs.rax = val;
        else if (bytes == 1)
            *(uint8_t *)&h->regs.rax = val;
        else
            *(uint16_t *)&h->regs.rax = val;
    }
    hvm_skip_insn(v, len);
}

static void exit_rdmsr(struct vcpu *v, const struct vmexit *e)
{
    struct cpu_regs *r = &v->hvm->regs;
    unsigned int len = insn_len(v, e, EMUL_INSN_RDMSR);
    uint64_t val;

    if (!len)
        return;
    if (hvm_rdmsr(v, r->rcx, &val)) {
        hvm_inject_gp(v);
        return;
    }
    r->rax = (uint32_t)val;
    r->rdx = val >> 32;
    hvm_skip_insn(v, len);
}

static void exit_wrmsr(struct vcpu *v, const struct vmexit *e)
{
    struct cpu_regs *r = &v->hvm->regs;
    unsigned int len = insn_len(v, e, EMUL_INSN_WRMSR);

    if (!len)
        return;
    if (hvm_wrmsr(v, r->rcx, r->rdx << 32 | (uint32_t)r->rax)) {
        hvm_inject_gp(v);
        return;
    }
    hvm_skip_insn(v, len);
}

/* An access to registers, or to nothing. If an event was on its way, which waits to be
 * delivered again now, then it is that which goes through there (a stack, a descriptor
 * table), not the instruction at RIP, and always will. */
static void device_access(struct vcpu *v)
{
    if (unlikely(v->hvm->inject.valid))
        domain_crash(v->domain, "an event is delivered by way of memory that is none");
    else
        hvm_emulate(v);
}

static void exit_npf(struct vcpu *v, const struct vmexit *e)
{
    struct domain *d = v->domain;
    uint64_t gpa = e->info.npf.gpa;
    gfn_t gfn = gpa_to_gfn(gpa);
    enum p2m_type type;

    if (platform_mmio_find(v, gpa)) {
        device_access(v);
        return;
    }
    p2m_lookup(d, gfn, &type, NULL);
    switch (type) {
    case P2M_RAM_RW:
    case P2M_SHARED:
    case P2M_FOREIGN:
    case P2M_GRANT_RW:
    case P2M_MMIO_DIRECT:
        /* Mapped since: run again. A stale entry of the TLB goes. */
        v->hvm->flush_tlb = true;
        return;
    case P2M_POD:
        pod_populate(d, gfn, true);
        return;
    case P2M_RAM_LOGDIRTY:
        if (e->info.npf.write)
            p2m_mark_dirty(d, gfn);
        v->hvm->flush_tlb = true;
        return;
    case P2M_GRANT_RO:
        hvm_inject_gp(v);
        return;
    case P2M_INVALID:
        if (d->is_dom0_identity && dom0_map_mmio(d, gfn))
            return;
        break;
    default:
        break;
    }
    if (e->info.npf.table_walk && type == P2M_INVALID) {
        /* Page tables where there is no memory: reads give ones, so a reserved-bit fault
         * on hardware; nothing sane comes of it. */
        domain_crash(d, "page tables outside of RAM");
        return;
    }
    device_access(v);
}

static void exit_xsetbv(struct vcpu *v, const struct vmexit *e)
{
    struct cpu_regs *r = &v->hvm->regs;
    unsigned int len = insn_len(v, e, EMUL_INSN_XSETBV);

    if (!len)
        return;
    if (hvm_ops->get_cpl(v) || (uint32_t)r->rcx != 0) {
        hvm_inject_gp(v);
        return;
    }
    if (!hvm_set_xcr0(v, r->rdx << 32 | (uint32_t)r->rax))
        hvm_skip_insn(v, len);
}

static void exit_cache(struct vcpu *v, const struct vmexit *e)
{
    unsigned int len =
        insn_len(v, e, e->reason == VMEXIT_INVD ? EMUL_INSN_INVD : EMUL_INSN_WBINVD);

    /* QEMU reports INVD as WBINVD. */
    if (!len && !v->hvm->inject.valid && e->reason == VMEXIT_WBINVD)
        len = insn_len(v, e, EMUL_INSN_INVD);
    if (!len)
        return;
    if (v->domain->is_privileged)
        wbinvd(); /* INVD would lose the machine's data */
    hvm_skip_insn(v, len);
}

static void exit_ud(struct vcpu *v, const struct vmexit *e)
{
    hvm_inject_ud(v);
}

static void exit_pause(struct vcpu *v, const struct vmexit *e)
{
    vcpu_yield();
}

/* Bytes of the software interrupt at RIP; 0 if there is none. */
static unsigned int software_int_len(struct vcpu *v, const struct vmexit *e)
{
    static const enum emul_known_insn known[] = {EMUL_INSN_INTN, EMUL_INSN_INT3,
                                                 EMUL_INSN_ICEBP};
    unsigned int len = e->insn_len;

    for (unsigned int i = 0; i < ARRAY_SIZE(known) && !len; i++)
        len = hvm_insn_len(v, known[i], NULL);
    return len;
}

/* The processor has done nothing yet. JMP, CALL and IRET are emulated as a whole; of an
 * event only the delivery is. */
static void exit_task_switch(struct vcpu *v, const struct vmexit *e)
{
    struct hvm_event event = v->hvm->inject;

    if (!e->info.task.gate) {
        hvm_emulate(v);
        return;
    }
    v->hvm->inject.valid = false;
    if (event.valid && event.type == HVM_EVENT_NMI)
        hvm_ops->set_shadow(v, v->hvm->shadow | HVM_SHADOW_NMI);
    hvm_task_gate(v, e->info.task.sel, event.valid ? 0 : software_int_len(v, e),
                  event.valid && event.has_error ? &event.error : NULL);
}

static void exit_apic_eoi(struct vcpu *v, const struct vmexit *e)
{
    vlapic_page_eoi(v, e->info.apic.vector);
}

static void exit_apic_write(struct vcpu *v, const struct vmexit *e)
{
    vlapic_page_written(v, e->info.apic.offset);
}

static void exit_shutdown(struct vcpu *v, const struct vmexit *e)
{
    hvm_triple_fault(v);
}

static void exit_invalid(struct vcpu *v, const struct vmexit *e)
{
    domain_crash(v->domain, "the processor refused the guest's state");
}

static void exit_unknown(struct vcpu *v, const struct vmexit *e)
{
    printk("d%uv%u: unknown exit %#lx\n", v->domain->id, v->id, e->raw);
    domain_crash(v->domain, "unknown exit reason");
}

static void (*const handlers[VMEXIT_REASONS])(struct vcpu *, const struct vmexit *) = {
    [VMEXIT_EXCEPTION] = exit_exception,
    [VMEXIT_EXTINT] = exit_extint,
    [VMEXIT_NMI] = exit_none,
    [VMEXIT_SMI_INIT] = exit_none,
    [VMEXIT_INTR_WINDOW] = exit_none,
    [VMEXIT_NMI_WINDOW] = exit_none,
    /* An NMI that waits comes behind the instruction, not before it. */
    [VMEXIT_IRET] = exit_emulate,
    [VMEXIT_CPUID] = exit_cpuid,
    [VMEXIT_HLT] = exit_hlt,
    [VMEXIT_INVLPG] = exit_emulate,
    [VMEXIT_RDTSC] = exit_rdtsc,
    [VMEXIT_RDPMC] = exit_rdpmc,
    [VMEXIT_HYPERCALL] = exit_hypercall,
    [VMEXIT_CR_READ] = exit_emulate,
    [VMEXIT_CR_WRITE] = exit_cr_write,
    [VMEXIT_DR_ACCESS] = exit_emulate,
    [VMEXIT_IO] = exit_io,
    [VMEXIT_RDMSR] = exit_rdmsr,
    [VMEXIT_WRMSR] = exit_wrmsr,
    [VMEXIT_NPF] = exit_npf,
    [VMEXIT_XSETBV] = exit_xsetbv,
    [VMEXIT_WBINVD] = exit_cache,
    [VMEXIT_INVD] = exit_cache,
    [VMEXIT_MONITOR] = exit_ud,
    [VMEXIT_MWAIT] = exit_ud,
    [VMEXIT_PAUSE] = exit_pause,
    [VMEXIT_TASK_SWITCH] = exit_task_switch,
    [VMEXIT_DESC_TABLE] = exit_emulate,
    [VMEXIT_SHUTDOWN] = exit_shutdown,
    [VMEXIT_VIRT_INSN] = exit_ud,
    [VMEXIT_PREEMPT_TIMER] = exit_extint,
    [VMEXIT_APIC_EOI] = exit_apic_eoi,
    [VMEXIT_APIC_WRITE] = exit_apic_write,
    [VMEXIT_INVALID_STATE] = exit_invalid,
    [VMEXIT_UNKNOWN] = exit_unknown,
    [VMEXIT_NONE] = exit_none,
};

void hvm_vmexit(struct vcpu *v, const struct vmexit *exit)
{
    handlers[exit->reason](v, exit);
}

bool hvm_forced_emulation(void)
{
    return forced_emulation;
}

/* ---- ports and MMIO ---- */

int hvm_port_access(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
                    uint32_t *val)
{
    uint64_t data = *val;
    int rc;

    if (write ? platform_port_write(v, port, bytes, *val)
              : platform_port_read(v, port, bytes, val))
        return 0;
    rc = ioreq_port(v, port, bytes, write, &data);
    if (!rc && !write)
        *val = data;
    return rc;
}

int hvm_mmio_access(struct vcpu *v, uint64_t gpa, unsigned int bytes, bool write,
                    uint64_t *val)
{
    const struct mmio_handler *m = platform_mmio_find(v, gpa);
    enum p2m_type type;

    if (m) {
        if (write)
            m->write(v, gpa - m->gpa, bytes, *val);
        else
            *val = m->read(v, gpa - m->gpa, bytes);
        return 0;
    }
    if (write) {
        p2m_lookup(v->domain, gpa_to_gfn(gpa), &type, NULL);
        if (type == P2M_RAM_RO)
            return 0; /* ROM */
    }
    return ioreq_mmio(v, gpa, bytes, write, val);
}
