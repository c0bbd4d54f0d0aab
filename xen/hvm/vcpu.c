/* Hardware virtual CPUs: choice of the back end, life of their state, and the loop that
 * enters the guest. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hvm/hvm.h"
#include "hvm/exit.h"
#include "hvm/intr.h"
#include "hvm/platform.h"
#include "hvm/synic.h"
#include "hvm/vlapic.h"
#include "cpu/irq.h"
#include "cpu/mitigation/guard.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "cpu/stub.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/hvm/params.h>
#include <xen/sched.h>

struct hvm_ops hvm_ops[1];

_Static_assert(offsetof(struct hvm_vcpu, spec) == SPEC_GUEST_CTRL &&
                   offsetof(struct hvm_spec, msr_passed) ==
                       SPEC_MSR_PASSED - SPEC_GUEST_CTRL &&
                   offsetof(struct hvm_spec, exit_ibpb) ==
                       SPEC_EXIT_IBPB - SPEC_GUEST_CTRL,
               "known to cpu/mitigation/guard.h");

static void cpu_up(void *failed)
{
    hvm_fpu_init();
    if (stub_init_cpu() || hvm_ops->cpu_up())
        __atomic_store_n((bool *)failed, true, __ATOMIC_RELAXED);
}

/* Each vendor's back end says what its processor lacks; link order does not matter. */
void hvm_init(void)
{
    extern const struct hvm_ops *const hvm_backends_start[], *const hvm_backends_end[];
    bool failed = false;

    hvm_fpu_init();
    for (const struct hvm_ops *const *b = hvm_backends_start;
         b < hvm_backends_end && !hvm_ops->name; b++)
        if ((*b)->probe())
            *hvm_ops = **b;
    if (!hvm_ops->name)
        panic(
            "This processor offers neither SVM nor VMX. Corbel needs hardware "
            "virtualization with nested paging; the firmware may have it switched off.");
    smp_call(nr_cpus >= 64 ? ~0ull : BIT(nr_cpus) - 1, cpu_up, &failed);
    if (failed)
        panic(
            "%s cannot be used on this machine: see the message above. Nested paging is "
            "required, and the firmware may have virtualization switched off.",
            hvm_ops->name);
    printk("HVM: %s with nested paging%s\n", hvm_ops->name,
           p2m_format.has_1g ? ", 1 GiB pages" : "");
}

int hvm_domain_init(struct domain *d)
{
    int rc = -ENOMEM;

    d->hvm = zalloc(sizeof(*d->hvm));
    if (!d->hvm)
        return rc;
    d->hvm->triple_fault_code = SHUTDOWN_reboot;
    d->hvm->params[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot;
    rc = hvm_ops->domain_init(d);
    if (!rc)
        rc = platform_domain_init(d);
    if (rc)
        hvm_domain_destroy(d);
    return rc;
}

void hvm_domain_destroy(struct domain *d)
{
    if (!d->hvm)
        return;
    platform_domain_destroy(d);
    hvm_ops->domain_destroy(d);
    zfree(d->hvm);
    d->hvm = NULL;
}

/* The interrupt of the timer is what it is for. */
static void nmi_retry(void *unused)
{
}

int hvm_vcpu_init(struct vcpu *v)
{
    unsigned int order = 0;
    int rc;

    v->hvm = zalloc(sizeof(*v->hvm));
    if (!v->hvm)
        return -ENOMEM;
    timer_init(&v->hvm->nmi_retry, nmi_retry, NULL);
    while ((PAGE_SIZE << order) < hvm_fpu_area_size())
        order++;
    v->hvm->xsave_order = order;
    v->hvm->xsave = alloc_pages(order);
    rc = v->hvm->xsave ? hvm_ops->vcpu_init(v) : -ENOMEM;
    if (rc)
        goto fail;
    rc = platform_vcpu_init(v);
    if (rc)
        goto fail;
    v->hvm->spec.exit_ibpb = !v->domain->is_privileged;
    hvm_vcpu_reset_state(v, 0xf000, 0xfff0);
    hvm_ops->update_tsc(v);
    if (hvm_forced_emulation())
        hvm_ops->set_exception_intercept(v, X86_UD, true);
    return 0;
fail:
    hvm_vcpu_destroy(v);
    return rc;
}

void hvm_vcpu_destroy(struct vcpu *v)
{
    if (!v->hvm)
        return;
    timer_kill(&v->hvm->nmi_retry);
    mitigation_forget(v);
    platform_vcpu_destroy(v);
    hvm_ops->vcpu_destroy(v);
    for (unsigned int i = 0; i < nr_cpus; i++)
        if (cpus[i]->fpu_owner == v)
            cpus[i]->fpu_owner = NULL;
    if (v->hvm->xsave)
        free_pages(v->hvm->xsave, v->hvm->xsave_order);
    zfree(v->hvm);
    v->hvm = NULL;
}

/* AMD APM vol 2, table 14-1; Intel SDM vol 3, table 9-1. */
void hvm_vcpu_reset_state(struct vcpu *v, uint16_t cs, uint16_t ip)
{
    struct hvm_vcpu *h = v->hvm;
    struct emul_seg data = {.attr = 0x93, .limit = 0xffff};
    struct emul_seg code = {
        .sel = cs, .attr = 0x9b, .limit = 0xffff, .base = (uint64_t)cs << 4};
    struct emul_seg table = {.attr = 0x82, .limit = 0xffff};
    struct emul_seg ldt = {.attr = 0x82, .limit = 0xffff};
    struct emul_seg tss = {.attr = 0x8b, .limit = 0xffff};
    struct hvm_msrs msrs = {0};

    if (cs == 0xf000 && ip == 0xfff0)
        code.base = 0xffff0000;
    memset(&h->regs, 0, sizeof(h->regs));
    h->regs.rip = ip;
    h->regs.rflags = RFLAGS_MBS;
    h->regs.rdx = 0x600;
    h->cr0 = CR0_ET;
    h->cr2 = h->cr3 = h->cr4 = h->efer = 0;
    h->pat = 0x0007040600070406ull;
    memset(h->dr, 0, sizeof(h->dr));
    h->dr6 = 0xffff0ff0;
    h->dr7 = 0x400;
    h->inject.valid = h->nmi_pending = h->hlt = false;
    h->deferred_extint = 0;
    h->cpuid_faulting = false;
    for (unsigned int s = EMUL_ES; s <= EMUL_GS; s++)
        hvm_ops->set_segment(v, s, s == EMUL_CS ? &code : &data);
    hvm_ops->set_segment(v, EMUL_GDTR, &table);
    hvm_ops->set_segment(v, EMUL_IDTR, &table);
    hvm_ops->set_segment(v, EMUL_LDTR, &ldt);
    hvm_ops->set_segment(v, EMUL_TR, &tss);
    for (unsigned int cr = 0; cr <= 4; cr++)
        hvm_ops->update_cr(v, cr);
    hvm_ops->update_efer(v);
    hvm_ops->update_pat(v);
    hvm_ops->update_dr(v);
    hvm_ops->set_msrs(v, &msrs);
    hvm_ops->set_shadow(v, 0);
    hvm_fpu_reset(v);
    h->flush_tlb = true;
}

/* Begin where the board's firmware has its reset vector: just below 4 GiB, on Xen's
 * platform below 1 MiB. */
static void start_at_firmware(struct vcpu *v)
{
    struct emul_seg code;

    hvm_vcpu_reset_state(v, 0xf000, 0xfff0);
    if (!platform_is_xens(v->domain))
        return;
    hvm_ops->get_segment(v, EMUL_CS, &code);
    code.base = (uint64_t)code.sel << 4;
    hvm_ops->set_segment(v, EMUL_CS, &code);
}

void hvm_vcpu_reset(struct vcpu *v)
{
    struct domain *d = v->domain;

    vlapic_reset(v, false);
    if (!v->initialised)
        return;
    start_at_firmware(v);
    spin_lock(&d->lock);
    if (!v->hvm->wait_sipi) {
        v->hvm->init_pending = true;
        v->hvm->sipi_pending = false;
        v->hvm->boots = v->id == 0;
    }
    spin_unlock(&d->lock);
    vcpu_kick(v); /* out of HLT */
}

bool hvm_vcpu_is_up(const struct vcpu *v)
{
    const struct hvm_vcpu *h = v->hvm;
    bool goes_down = h->init_pending && !h->sipi_pending && !h->boots;

    return v->initialised && READ_ONCE(v->state) != VCPU_OFFLINE && !goes_down;
}

/* INIT: stop and wait for SIPI. The target does it itself on its way into the guest. */
void hvm_vcpu_init_ipi(struct vcpu *v)
{
    struct domain *d = v->domain;

    spin_lock(&d->lock);
    if (v->initialised && !v->hvm->wait_sipi) {
        v->hvm->init_pending = true;
        v->hvm->sipi_pending = false;
    }
    spin_unlock(&d->lock);
    vcpu_kick(v);
}

static void start_by_sipi(struct vcpu *v)
{
    if (!v->initialised && v->id) {
        /* All TSCs of a machine begin together, whenever a processor is first used. */
        v->hvm->tsc_offset = domain_vcpu(v->domain, 0)->hvm->tsc_offset;
        hvm_ops->update_tsc(v);
    }
    hvm_vcpu_reset_state(v, v->hvm->sipi_vector << 8, 0);
    v->hvm->wait_sipi = false;
    v->initialised = true;
}

void hvm_vcpu_sipi(struct vcpu *v, uint8_t vector)
{
    struct domain *d = v->domain;
    bool start = false, later = false;

    spin_lock(&d->lock);
    if (v->hvm->init_pending) {
        v->hvm->sipi_pending = later = true; /* it comes to that after the INIT */
        v->hvm->sipi_vector = vector;
    } else if (v->hvm->wait_sipi || !v->initialised) {
        start = true;
        v->hvm->sipi_vector = vector;
    }
    spin_unlock(&d->lock);
    if (later)
        vcpu_online(v); /* if it had stopped itself */
    if (!start)
        return;
    while (READ_ONCE(v->running)) /* still on its way off line */
        __builtin_ia32_pause();
    start_by_sipi(v);
    vcpu_online(v);
}

static void handle_init(struct vcpu *v)
{
    struct domain *d = v->domain;
    bool go_on, boots;

    spin_lock(&d->lock);
    v->hvm->init_pending = false;
    go_on = v->hvm->sipi_pending;
    boots = v->hvm->boots && !go_on;
    v->hvm->sipi_pending = v->hvm->boots = false;
    v->hvm->wait_sipi = !go_on && !boots;
    spin_unlock(&d->lock);
    vlapic_reset(v, true);
    if (go_on) {
        start_by_sipi(v);
        return;
    }
    start_at_firmware(v);
    if (boots)
        return;
    vcpu_offline(v);
    schedule();
}

/* In HLT with interrupts off, and nothing under way that ends that; or not started. */
static bool halted_for_good(const struct vcpu *v)
{
    const struct hvm_vcpu *h = v->hvm;

    return READ_ONCE(v->state) == VCPU_OFFLINE || READ_ONCE(h->wait_sipi) ||
           (READ_ONCE(h->hlt) && !(READ_ONCE(h->regs.rflags) & RFLAGS_IF) &&
            !h->init_pending && !h->nmi_pending);
}

/* Where there is no power button to the outside, as in a PVH guest, kernels end by
 * halting all CPUs. Xen's tools count on that being a power off. Of two vCPUs that halt
 * at once at least one sees the other's `hlt`. */
static bool all_halted_for_good(struct domain *d)
{
    mb();
    for_each_vcpu(d, v) if (!halted_for_good(v)) return false;
    return true;
}

/* Everything that keeps the vCPU out of the guest now. True if it looked at something and
 * the caller must look again. */
static bool work_before_entry(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;

    if (unlikely(this_cpu()->need_resched)) {
        schedule();
        return true;
    }
    if (unlikely(vcpu_should_stop(v))) {
        vcpu_check_stop(v);
        return true;
    }
    if (unlikely(h->init_pending | h->synic_work)) {
        if (h->init_pending)
            handle_init(v);
        else
            synic_work(v);
        return true;
    }
    if (h->hlt) {
        if (!hvm_wake_event_pending(v)) {
            if (unlikely(!(h->regs.rflags & RFLAGS_IF)) && !v->domain->is_privileged &&
                all_halted_for_good(v->domain))
                domain_shutdown(v->domain, SHUTDOWN_poweroff);
            else
                vcpu_block();
            return true;
        }
        h->hlt = false;
    }
    return false;
}

__noreturn void hvm_vcpu_loop(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;
    struct vmexit exit;

    for (;;) {
        struct percpu *cpu;

        while (work_before_entry(v))
            ;
        if (unlikely(READ_ONCE(v->domain->hvm->callback_line)))
            hvm_callback_update(v->domain);
        cpu = this_cpu();
        /* From here whoever changes something that this vCPU must see kicks this CPU: the
         * entry then ends before the guest's first instruction. */
        WRITE_ONCE(cpu->in_guest, true);
        mb();
        if (unlikely(hvm_intr_work(v)))
            hvm_intr_assist(v);
        if (unlikely(h->flush_gen_seen != READ_ONCE(v->domain->p2m.flush_gen))) {
            WRITE_ONCE(h->flush_gen_seen, READ_ONCE(v->domain->p2m.flush_gen));
            h->flush_tlb = true;
        }
        hvm_ops->run(v, &exit);
        WRITE_ONCE(cpu->in_guest, false);
        h->exits[exit.reason]++;
        hvm_vmexit(v, &exit);
    }
}

void hvm_debug_trap(struct vcpu *v, uint64_t why)
{
    hvm_ops->sync_dr(v);
    v->hvm->dr6 |= why;
    hvm_ops->update_dr(v);
    hvm_inject_exception(v, X86_DB, HVM_NO_ERROR_CODE);
}

/* With DEBUGCTL.BTF only branches trap, and the trap clears it (Intel SDM vol 3, 18.4.3;
 * AMD APM vol 2, 13.1.1.6). */
void hvm_single_step(struct vcpu *v, bool branch)
{
    struct hvm_msrs m;

    hvm_ops->get_msrs(v, &m);
    if (m.debugctl & DEBUGCTL_BTF) {
        if (!branch)
            return;
        m.debugctl &= ~DEBUGCTL_BTF;
        hvm_ops->set_msrs(v, &m);
    }
    hvm_debug_trap(v, DR6_BS);
}

void hvm_dump_vcpu(struct vcpu *v)
{
    const struct cpu_regs *r = &v->hvm->regs;

    printk("d%uv%u on CPU %u:\n", v->domain->id, v->id, v->cpu);
    printk(" rip %016lx rsp %016lx rflags %08lx\n", r->rip, r->rsp, r->rflags);
    printk(" rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx,
           r->rdx);
    printk(" rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp,
           r->r8);
    printk(" r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11,
           r->r12);
    printk(" r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
    printk(" cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx\n", v->hvm->cr0, v->hvm->cr2,
           v->hvm->cr3, v->hvm->cr4, v->hvm->efer);
    hvm_ops->dump(v);
}
