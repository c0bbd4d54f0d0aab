/* From SVM's exit codes to the vendor-neutral reasons (AMD APM vol 2, appendix C).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "svm/vmcb.h"
#include "lib/string.h"

/* Exit codes 0x60 to 0x8d; 0 (VMEXIT_EXCEPTION) means: not in the table. */
static const uint8_t reasons[] = {
    [SVM_EXIT_INTR - 0x60] = VMEXIT_EXTINT,
    [SVM_EXIT_NMI - 0x60] = VMEXIT_NMI,
    [SVM_EXIT_SMI - 0x60] = VMEXIT_SMI_INIT,
    [SVM_EXIT_INIT - 0x60] = VMEXIT_SMI_INIT,
    [SVM_EXIT_VINTR - 0x60] = VMEXIT_INTR_WINDOW,
    [SVM_EXIT_RDTSC - 0x60] = VMEXIT_RDTSC,
    [SVM_EXIT_RDPMC - 0x60] = VMEXIT_RDPMC,
    [SVM_EXIT_CPUID - 0x60] = VMEXIT_CPUID,
    [SVM_EXIT_IRET - 0x60] = VMEXIT_IRET,
    [SVM_EXIT_INVD - 0x60] = VMEXIT_INVD,
    [SVM_EXIT_PAUSE - 0x60] = VMEXIT_PAUSE,
    [SVM_EXIT_HLT - 0x60] = VMEXIT_HLT,
    [SVM_EXIT_INVLPG - 0x60] = VMEXIT_INVLPG,
    [SVM_EXIT_INVLPGA - 0x60] = VMEXIT_VIRT_INSN,
    [SVM_EXIT_IOIO - 0x60] = VMEXIT_IO,
    [SVM_EXIT_SHUTDOWN - 0x60] = VMEXIT_SHUTDOWN,
    [SVM_EXIT_VMRUN - 0x60] = VMEXIT_VIRT_INSN,
    [0x82 - 0x60] = VMEXIT_VIRT_INSN, /* VMLOAD */
    [0x83 - 0x60] = VMEXIT_VIRT_INSN, /* VMSAVE */
    [0x84 - 0x60] = VMEXIT_VIRT_INSN, /* STGI */
    [0x85 - 0x60] = VMEXIT_VIRT_INSN, /* CLGI */
    [SVM_EXIT_SKINIT - 0x60] = VMEXIT_VIRT_INSN,
    [SVM_EXIT_RDTSCP - 0x60] = VMEXIT_RDTSC,
    [SVM_EXIT_WBINVD - 0x60] = VMEXIT_WBINVD,
    [SVM_EXIT_MONITOR - 0x60] = VMEXIT_MONITOR,
    [SVM_EXIT_MWAIT - 0x60] = VMEXIT_MWAIT,
    [SVM_EXIT_MWAIT_C - 0x60] = VMEXIT_MWAIT,
    [SVM_EXIT_XSETBV - 0x60] = VMEXIT_XSETBV,
};

/* Nested page fault error code bits in EXITINFO1 (15.25.6). */
#define NPF_PRESENT    BIT(0)
#define NPF_WRITE      BIT(1)
#define NPF_FETCH      BIT(4)
#define NPF_TABLE_WALK BIT(33)

static void translate_npf(struct vcpu *v, const struct vmcb *vmcb, struct vmexit *exit)
{
    uint64_t error = vmcb->exit_info1;

    exit->reason = VMEXIT_NPF;
    exit->info.npf.gpa = vmcb->exit_info2;
    exit->info.npf.present = error & NPF_PRESENT;
    exit->info.npf.write = error & NPF_WRITE;
    exit->info.npf.exec = error & NPF_FETCH;
    exit->info.npf.table_walk = error & NPF_TABLE_WALK;
    exit->info.npf.gva_valid = false;
    if (svm_features & SVM_FEATURE_DECODE) {
        v->hvm->insn_bytes_len = vmcb->insn_len & 15;
        memcpy(v->hvm->insn_bytes, vmcb->insn_bytes, 15);
    }
}

/* EXITINFO1 of an IOIO exit (15.10.2). */
static void translate_io(const struct vmcb *vmcb, struct vmexit *exit)
{
    uint64_t info = vmcb->exit_info1;

    exit->reason = VMEXIT_IO;
    exit->info.io.port = info >> 16;
    exit->info.io.in = info & 1;
    exit->info.io.string = info & BIT(2);
    exit->info.io.rep = info & BIT(3);
    exit->info.io.bytes = (info >> 4) & 7;
    exit->info.io.next_rip = vmcb->exit_info2;
}

static void translate_hypercall(const struct vcpu *v, const struct vmcb *vmcb,
                                struct vmexit *exit)
{
    exit->reason = VMEXIT_HYPERCALL;
    exit->info.hypercall.cpl = vmcb->cpl;
    exit->info.hypercall.code64 =
        hvm_long_mode(v) && (vmcb->seg[EMUL_CS].attr & EMUL_ATTR_L);
}

/* EXITINFO1 and 2 of a task switch (15.14.1). */
static void translate_task_switch(const struct vmcb *vmcb, struct vmexit *exit)
{
    bool jmp_or_iret = vmcb->exit_info2 & (BIT(36) | BIT(38));

    exit->reason = VMEXIT_TASK_SWITCH;
    exit->info.task.sel = vmcb->exit_info1;
    exit->info.task.gate = !jmp_or_iret && (vmcb->exit_int_info & EVENT_VALID);
}

void svm_translate_exit(struct vcpu *v, struct vmexit *exit)
{
    const struct vmcb *vmcb = to_svm(v)->vmcb;
    uint32_t code = vmcb->exit_code; /* VMEXIT_INVALID is -1 in 32 or 64 bits */

    exit->raw = vmcb->exit_code;
    exit->reason = VMEXIT_UNKNOWN;
    exit->insn_len = 0;
    if (svm_features & SVM_FEATURE_NRIPS) {
        uint64_t len = vmcb->next_rip - vmcb->rip;

        exit->insn_len = len <= 15 ? len : 0;
    }
    if (code == SVM_EXIT_NPF) {
        translate_npf(v, vmcb, exit);
    } else if (code == SVM_EXIT_IOIO) {
        translate_io(vmcb, exit);
    } else if (code == SVM_EXIT_VMMCALL) {
        translate_hypercall(v, vmcb, exit);
    } else if (code == SVM_EXIT_TASK_SWITCH) {
        translate_task_switch(vmcb, exit);
    } else if (code == SVM_EXIT_MSR) {
        exit->reason = vmcb->exit_info1 & 1 ? VMEXIT_WRMSR : VMEXIT_RDMSR;
    } else if (code < SVM_EXIT_DR_READ) {
        exit->reason = code >= SVM_EXIT_CR_WRITE ? VMEXIT_CR_WRITE : VMEXIT_CR_READ;
        exit->info.cr.cr = -1; /* which one and with which register: the bytes tell */
        exit->info.cr.gpr = -1;
    } else if (code < SVM_EXIT_EXCEPTION) {
        exit->reason = VMEXIT_DR_ACCESS;
    } else if (code < SVM_EXIT_INTR) {
        uint8_t vector = code - SVM_EXIT_EXCEPTION;

        exit->reason = VMEXIT_EXCEPTION;
        exit->info.exception.vector = vector;
        /* #DF, #TS, #NP, #SS, #GP, #PF, #AC push an error code (8.2). */
        exit->info.exception.has_error = 0x27d00u >> vector & 1;
        exit->info.exception.error = vmcb->exit_info1;
        exit->info.exception.cr2 = vmcb->exit_info2;
    } else if (code == 0xffffffff) {
        exit->reason = VMEXIT_INVALID_STATE;
    } else if (code - 0x60 < ARRAY_SIZE(reasons) && reasons[code - 0x60]) {
        exit->reason = reasons[code - 0x60];
    }
}

void svm_requeue_event(struct vcpu *v)
{
    struct vmcb *vmcb = to_svm(v)->vmcb;
    uint64_t info = vmcb->exit_int_info;
    struct hvm_event *e = &v->hvm->inject;
    uint8_t vector = info, type = (info >> 8) & 7;

    if (!(info & EVENT_VALID))
        return;
    /* QEMU reports a V_IRQ whose delivery faulted as an exception, and leaves it pending.
     */
    if (type == HVM_EVENT_EXCEPTION && vector >= 32) {
        type = HVM_EVENT_EXTINT;
        vmcb->int_ctl &= ~V_IRQ;
    }
    /* INT n, INT3, INTO: RIP is still on the instruction, it runs again. */
    if (type == HVM_EVENT_SW_INT ||
        (type == HVM_EVENT_EXCEPTION && (vector == 3 || vector == 4)))
        return;
    if (type == HVM_EVENT_NMI)
        v->hvm->shadow &= ~HVM_SHADOW_NMI; /* it has not been delivered */
    e->valid = true;
    e->vector = vector;
    e->type = type;
    e->has_error = type == HVM_EVENT_EXCEPTION && (info & EVENT_ERROR_CODE);
    e->error = info >> 32;
    e->cr2 = v->hvm->cr2;
    e->insn_len = 0;
}
