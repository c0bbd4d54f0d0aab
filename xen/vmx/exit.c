/* From VMX's exit reasons to the vendor-neutral ones (Intel SDM vol 3, 28.2 and appendix
 * C). SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmx/vmcs.h"
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "hvm/vlapic.h"

/* Those that need nothing but the reason; 0 (VMEXIT_EXCEPTION): not in the table. */
static const uint8_t reasons[VMX_EXIT_REASONS] = {
    [VMX_EXIT_TRIPLE_FAULT] = VMEXIT_SHUTDOWN,
    [VMX_EXIT_INIT] = VMEXIT_SMI_INIT,
    [VMX_EXIT_SIPI] = VMEXIT_SMI_INIT,
    [VMX_EXIT_CPUID] = VMEXIT_CPUID,
    [VMX_EXIT_GETSEC] = VMEXIT_VIRT_INSN,
    [VMX_EXIT_HLT] = VMEXIT_HLT,
    [VMX_EXIT_INVD] = VMEXIT_INVD,
    [VMX_EXIT_INVLPG] = VMEXIT_INVLPG,
    [VMX_EXIT_RDPMC] = VMEXIT_RDPMC,
    [VMX_EXIT_RDTSC] = VMEXIT_RDTSC,
    [VMX_EXIT_VMCLEAR... VMX_EXIT_VMXON] = VMEXIT_VIRT_INSN,
    [VMX_EXIT_RDMSR] = VMEXIT_RDMSR,
    [VMX_EXIT_WRMSR] = VMEXIT_WRMSR,
    [VMX_EXIT_MWAIT] = VMEXIT_MWAIT,
    [VMX_EXIT_MONITOR] = VMEXIT_MONITOR,
    [VMX_EXIT_PAUSE] = VMEXIT_PAUSE,
    [VMX_EXIT_TPR] = VMEXIT_NONE, /* the TPR is looked at on every exit */
    [VMX_EXIT_GDTR_IDTR] = VMEXIT_DESC_TABLE,
    [VMX_EXIT_LDTR_TR] = VMEXIT_DESC_TABLE,
    [VMX_EXIT_INVEPT] = VMEXIT_VIRT_INSN,
    [VMX_EXIT_INVVPID] = VMEXIT_VIRT_INSN,
    [VMX_EXIT_RDTSCP] = VMEXIT_RDTSC,
    [VMX_EXIT_WBINVD] = VMEXIT_WBINVD,
    [VMX_EXIT_XSETBV] = VMEXIT_XSETBV,
};

/* Reasons that an instruction caused, whose length the processor tells (28.2.5). */
#define HAS_INSN_LEN                                                                     \
    (BIT(VMX_EXIT_CPUID) | BIT(VMX_EXIT_GETSEC) | BIT(VMX_EXIT_HLT) |                    \
     BIT(VMX_EXIT_INVD) | BIT(VMX_EXIT_INVLPG) | BIT(VMX_EXIT_RDPMC) |                   \
     BIT(VMX_EXIT_RDTSC) | BIT(VMX_EXIT_VMCALL) | BIT(VMX_EXIT_CR) | BIT(VMX_EXIT_DR) |  \
     BIT(VMX_EXIT_IO) | BIT(VMX_EXIT_RDMSR) | BIT(VMX_EXIT_WRMSR) |                      \
     BIT(VMX_EXIT_MWAIT) | BIT(VMX_EXIT_MONITOR) | BIT(VMX_EXIT_RDTSCP) |                \
     BIT(VMX_EXIT_WBINVD) | BIT(VMX_EXIT_XSETBV))

/* Exit qualification of EPT violations (table 28-7). */
#define EPTV_WRITE       BIT(1)
#define EPTV_FETCH       BIT(2)
#define EPTV_EXECUTABLE  BIT(5)
#define EPTV_PRESENT     (BIT(3) | BIT(4) | EPTV_EXECUTABLE)
#define EPTV_GVA_VALID   BIT(7)
#define EPTV_FINAL       BIT(8)
#define EPTV_NMI_UNBLOCK BIT(12)

/* Of a debug exception (table 28-1): where DR6 has it. */
#define DB_BITS 0x600full
#define DR6_BD  BIT(13)
#define DR7_GD  BIT(13)

/* An IRET that faulted had unblocked NMIs (bit 12 of two fields) and will run again. The
 * bit says nothing if an event was being delivered (28.2.2, table 28-7). */
static void block_nmis_again(struct hvm_vcpu *h)
{
    if (vmread(IDT_VECTORING_INFO) & INTR_INFO_VALID)
        return;
    h->shadow |= HVM_SHADOW_NMI;
    vmwrite(GUEST_INTERRUPTIBILITY, h->shadow);
}

/* Code in a large page, and that is not allowed (caps.c): its 4 KiB get an entry of their
 * own, and the instruction runs again. */
static bool fetch_from_large(struct vcpu *v, uint64_t gpa, uint64_t qual)
{
    enum p2m_type type;
    unsigned int order;
    mfn_t mfn;

    if (!(qual & EPTV_FETCH) || (qual & EPTV_EXECUTABLE))
        return false;
    mfn = p2m_lookup(v->domain, gpa_to_gfn(gpa), &type, &order);
    if (!order || !mfn_valid_number(mfn))
        return false;
    if (p2m_shatter(v->domain, gpa_to_gfn(gpa)))
        domain_crash(v->domain, "no memory for page tables");
    return true;
}

static void translate_npf(struct vcpu *v, uint32_t reason, struct vmexit *exit)
{
    uint64_t qual = reason == VMX_EXIT_EPT_VIOLATION ? vmread(EXIT_QUALIFICATION) : 0;

    exit->reason = VMEXIT_NPF;
    exit->info.npf.gpa = vmread(GUEST_PHYSICAL_ADDRESS);
    exit->info.npf.present = qual & EPTV_PRESENT;
    if (unlikely(!vmx_caps.exec_large) && fetch_from_large(v, exit->info.npf.gpa, qual)) {
        exit->reason = VMEXIT_NONE;
        return;
    }
    exit->info.npf.write = qual & EPTV_WRITE;
    exit->info.npf.exec = qual & EPTV_FETCH;
    exit->info.npf.gva_valid = qual & EPTV_GVA_VALID;
    exit->info.npf.table_walk = (qual & EPTV_GVA_VALID) && !(qual & EPTV_FINAL);
    if (exit->info.npf.gva_valid)
        exit->info.npf.gva = vmread(GUEST_LINEAR_ADDRESS);
    if (qual & EPTV_NMI_UNBLOCK)
        block_nmis_again(v->hvm);
    if (unlikely((exit->info.npf.gpa & PAGE_MASK) == APIC_DEFAULT_BASE) &&
        vmx_apic_map(v, exit->info.npf.gpa))
        exit->reason = VMEXIT_NONE;
}

/* Table 28-5. */
static void translate_io(struct vcpu *v, struct vmexit *exit)
{
    uint64_t qual = vmread(EXIT_QUALIFICATION);

    exit->reason = VMEXIT_IO;
    exit->info.io.port = qual >> 16;
    exit->info.io.bytes = (qual & 7) + 1;
    exit->info.io.in = qual & BIT(3);
    exit->info.io.string = qual & BIT(4);
    exit->info.io.rep = qual & BIT(5);
    exit->info.io.next_rip = v->hvm->regs.rip + exit->insn_len;
}

static void translate_hypercall(struct vcpu *v, struct vmexit *exit)
{
    exit->reason = VMEXIT_HYPERCALL;
    exit->info.hypercall.cpl = vmread(GUEST_ES_AR + 2 * EMUL_SS) >> 5 & 3;
    exit->info.hypercall.code64 =
        hvm_long_mode(v) && (vmread(GUEST_ES_AR + 2 * EMUL_CS) & AR_L);
}

/* Table 28-3. CLTS and LMSW are for the emulator. */
static void translate_cr(struct vmexit *exit)
{
    uint64_t qual = vmread(EXIT_QUALIFICATION);
    unsigned int type = qual >> 4 & 3;

    exit->reason = type == 1 ? VMEXIT_CR_READ : VMEXIT_CR_WRITE;
    exit->info.cr.cr = type < 2 ? (int8_t)(qual & 15) : -1;
    exit->info.cr.gpr = type < 2 ? (int8_t)(qual >> 8 & 15) : -1;
}

/* Table 28-2. The length is valid for software interrupts, which v->hvm->inject does not
 * have. */
static void translate_task_switch(struct vmexit *exit)
{
    uint64_t qual = vmread(EXIT_QUALIFICATION);

    exit->reason = VMEXIT_TASK_SWITCH;
    exit->insn_len = vmread(EXIT_INSN_LEN);
    exit->info.task.sel = qual;
    exit->info.task.gate = (qual >> 30 & 3) == 3;
}

/* DR6 and DR7 are as before the exception: what the processor would have done to them
 * on its way to the handler is left to us (28.2.1). */
static void debug_exception(struct vcpu *v)
{
    uint64_t qual = vmread(EXIT_QUALIFICATION);

    vmx_sync_dr(v);
    v->hvm->dr6 = (v->hvm->dr6 & ~0xfull) | (qual & DB_BITS);
    v->hvm->dr7 = vmread(GUEST_DR7);
    if (qual & DR6_BD)
        v->hvm->dr7 &= ~DR7_GD;
    vmx_update_dr(v);
}

static void translate_exception(struct vcpu *v, struct vmexit *exit)
{
    uint32_t info = vmread(EXIT_INTR_INFO);
    unsigned int type = info >> 8 & 7;
    uint8_t vector = info;

    if (type == HVM_EVENT_NMI) {
        /* Taken from the processor with the exit; the handler's IRET unblocks the next.
         */
        exit->reason = VMEXIT_NMI;
        __asm__ volatile("int $2" ::: "memory");
        return;
    }
    if ((info & INTR_INFO_UNBLOCKED) && vector != X86_DF)
        block_nmis_again(v->hvm);
    exit->reason = VMEXIT_EXCEPTION;
    exit->info.exception.vector = vector;
    exit->info.exception.has_error = info & INTR_INFO_ERROR;
    exit->info.exception.error =
        info & INTR_INFO_ERROR ? (uint32_t)vmread(EXIT_INTR_ERROR) : 0;
    if (vector == X86_MC)
        __asm__ volatile("int $18" ::: "memory");
    else if (vector == X86_PF)
        exit->info.exception.cr2 = vmread(EXIT_QUALIFICATION);
    else if (vector == X86_DB)
        debug_exception(v);
    if (type == HVM_EVENT_PRIV_SW_EXC) {
        /* ICEBP: a trap, RIP is still on it. */
        v->hvm->inject = (struct hvm_event){.valid = true,
                                            .vector = vector,
                                            .type = type,
                                            .insn_len = vmread(EXIT_INSN_LEN)};
        exit->reason = VMEXIT_NONE;
    }
}

/* The exit has taken the interrupt from the machine's local APIC. Others that wait are
 * let in when the exit is handled. */
static void acknowledged(uint32_t info)
{
    WRITE_ONCE(this_cpu()->in_guest, false); /* the handler may wait for other CPUs */
    if (info & INTR_INFO_VALID)
        irq_dispatch(info & 0xff);
}

/* Those that need more. */
static __attribute__((noinline)) void translate_more(struct vcpu *v, unsigned int basic,
                                                     struct vmexit *exit)
{
    switch (basic) {
    case VMX_EXIT_EXTINT:
        if (vmx_caps.posted)
            acknowledged(vmread(EXIT_INTR_INFO));
        exit->reason = VMEXIT_EXTINT;
        break;
    case VMX_EXIT_EPT_VIOLATION:
    case VMX_EXIT_EPT_MISCONFIG:
        translate_npf(v, basic, exit);
        break;
    case VMX_EXIT_EXCEPTION_NMI:
        translate_exception(v, exit);
        break;
    case VMX_EXIT_INTR_WINDOW:
        vmx_set_proc_control(to_vmx(v), PROC_INTR_WINDOW, false);
        exit->reason = VMEXIT_INTR_WINDOW;
        break;
    case VMX_EXIT_NMI_WINDOW:
        vmx_set_proc_control(to_vmx(v), PROC_NMI_WINDOW, false);
        exit->reason = VMEXIT_NMI_WINDOW;
        break;
    case VMX_EXIT_PREEMPT_TIMER:
        vmwrite(PREEMPTION_TIMER, vmx_caps.timer_ticks);
        exit->reason = VMEXIT_PREEMPT_TIMER;
        break;
    case VMX_EXIT_DR:
        exit->reason = VMEXIT_DR_ACCESS;
        if (to_vmx(v)->dr_loaded)
            break;
        vmx_update_dr(v); /* ours: load them and run the instruction again */
        exit->reason = VMEXIT_NONE;
        break;
    case VMX_EXIT_CR:
        translate_cr(exit);
        break;
    case VMX_EXIT_TASK_SWITCH:
        translate_task_switch(exit);
        break;
    case VMX_EXIT_APIC_ACCESS:
    case VMX_EXIT_EOI:
    case VMX_EXIT_APIC_WRITE:
        vmx_apic_translate(v, basic, exit);
        break;
    default:
        exit->reason = VMEXIT_UNKNOWN;
    }
}

void vmx_translate_exit(struct vcpu *v, uint32_t reason, struct vmexit *exit)
{
    unsigned int basic = reason & 0xffff;

    exit->raw = reason;
    exit->insn_len = 0;
    if (unlikely(basic >= VMX_EXIT_REASONS)) {
        exit->reason = VMEXIT_UNKNOWN;
        return;
    }
    if (HAS_INSN_LEN >> basic & 1)
        exit->insn_len = vmread(EXIT_INSN_LEN);
    if (reasons[basic])
        exit->reason = reasons[basic];
    else if (basic == VMX_EXIT_IO)
        translate_io(v, exit);
    else if (basic == VMX_EXIT_VMCALL)
        translate_hypercall(v, exit);
    else
        translate_more(v, basic, exit);
}

void vmx_requeue_event(struct vcpu *v, uint32_t info)
{
    struct hvm_event *e = &v->hvm->inject;
    uint8_t type = info >> 8 & 7;

    /* INT n, INT3, INTO, ICEBP: RIP is still on the instruction, it runs again. */
    if (type >= HVM_EVENT_SW_INT)
        return;
    if (type == HVM_EVENT_NMI) { /* it has not been delivered */
        v->hvm->shadow &= ~HVM_SHADOW_NMI;
        vmwrite(GUEST_INTERRUPTIBILITY, v->hvm->shadow);
    }
    e->valid = true;
    e->vector = info;
    e->type = type;
    e->has_error = info & INTR_INFO_ERROR;
    e->error = e->has_error ? (uint32_t)vmread(IDT_VECTORING_ERROR) : 0;
    e->cr2 = v->hvm->cr2;
    e->insn_len = 0;
}
