/* The virtual machine control block (AMD APM vol 2, appendix B) and what the back end
 * keeps for a vCPU. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_SVM_VMCB_H
#define CORBEL_SVM_VMCB_H

#include "hvm/hvm.h"

#define MSR_VM_CR        0xc0010114
#define MSR_VM_HSAVE_PA  0xc0010117
#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

/* Table B-1: intercept vectors, as bit numbers in the words at 0x0c and 0x10. */
#define INTERCEPT_INTR     BIT(0)
#define INTERCEPT_NMI      BIT(1)
#define INTERCEPT_SMI      BIT(2)
#define INTERCEPT_INIT     BIT(3)
#define INTERCEPT_VINTR    BIT(4)
#define INTERCEPT_RDTSC    BIT(14)
#define INTERCEPT_RDPMC    BIT(15)
#define INTERCEPT_CPUID    BIT(18)
#define INTERCEPT_IRET     BIT(20)
#define INTERCEPT_INVD     BIT(22)
#define INTERCEPT_HLT      BIT(24)
#define INTERCEPT_INVLPGA  BIT(26)
#define INTERCEPT_IOIO     BIT(27)
#define INTERCEPT_MSR      BIT(28)
#define INTERCEPT_TASK_SW  BIT(29)
#define INTERCEPT_FERR     BIT(30)
#define INTERCEPT_SHUTDOWN BIT(31)

#define INTERCEPT2_VMRUN   BIT(0)
#define INTERCEPT2_VMMCALL BIT(1)
#define INTERCEPT2_VMLOAD  BIT(2)
#define INTERCEPT2_VMSAVE  BIT(3)
#define INTERCEPT2_STGI    BIT(4)
#define INTERCEPT2_CLGI    BIT(5)
#define INTERCEPT2_SKINIT  BIT(6)
#define INTERCEPT2_RDTSCP  BIT(7)
#define INTERCEPT2_WBINVD  BIT(9)
#define INTERCEPT2_MONITOR BIT(10)
#define INTERCEPT2_MWAIT   BIT(11)
#define INTERCEPT2_MWAIT_C BIT(12)
#define INTERCEPT2_XSETBV  BIT(13)

/* Offset 0x60. */
#define V_TPR_MASK       0xffull
#define V_IRQ            BIT(8)
#define V_INTR_PRIO(p)   ((uint64_t)(p) << 16)
#define V_IGN_TPR        BIT(20)
#define V_INTR_MASKING   BIT(24)
#define V_INTR_VECTOR(v) ((uint64_t)(v) << 32)

#define INT_STATE_SHADOW BIT(0)

/* Offset 0xc0: parts of the VMCB that have not changed since the last VMRUN. */
#define CLEAN_INTERCEPTS BIT(0)
#define CLEAN_IOPM       BIT(1)
#define CLEAN_ASID       BIT(2)
#define CLEAN_TPR        BIT(3)
#define CLEAN_NP         BIT(4)
#define CLEAN_CR         BIT(5)
#define CLEAN_DR         BIT(6)
#define CLEAN_DT         BIT(7)
#define CLEAN_SEG        BIT(8)
#define CLEAN_CR2        BIT(9)
#define CLEAN_ALL        0x3ffu

#define TLB_FLUSH_NONE 0
#define TLB_FLUSH_ALL  1
#define TLB_FLUSH_ASID 3

#define EVENT_VALID      BIT(31)
#define EVENT_ERROR_CODE BIT(11)

/* Appendix C. */
enum svm_exit_code {
    SVM_EXIT_CR_READ = 0x00,
    SVM_EXIT_CR_WRITE = 0x10,
    SVM_EXIT_DR_READ = 0x20,
    SVM_EXIT_DR_WRITE = 0x30,
    SVM_EXIT_EXCEPTION = 0x40,
    SVM_EXIT_INTR = 0x60,
    SVM_EXIT_NMI = 0x61,
    SVM_EXIT_SMI = 0x62,
    SVM_EXIT_INIT = 0x63,
    SVM_EXIT_VINTR = 0x64,
    SVM_EXIT_RDPMC = 0x6f,
    SVM_EXIT_RDTSC = 0x6e,
    SVM_EXIT_CPUID = 0x72,
    SVM_EXIT_IRET = 0x74,
    SVM_EXIT_INVD = 0x76,
    SVM_EXIT_PAUSE = 0x77,
    SVM_EXIT_HLT = 0x78,
    SVM_EXIT_INVLPG = 0x79,
    SVM_EXIT_INVLPGA = 0x7a,
    SVM_EXIT_IOIO = 0x7b,
    SVM_EXIT_MSR = 0x7c,
    SVM_EXIT_TASK_SWITCH = 0x7d,
    SVM_EXIT_SHUTDOWN = 0x7f,
    SVM_EXIT_VMRUN = 0x80,
    SVM_EXIT_VMMCALL = 0x81,
    SVM_EXIT_SKINIT = 0x86,
    SVM_EXIT_RDTSCP = 0x87,
    SVM_EXIT_WBINVD = 0x89,
    SVM_EXIT_MONITOR = 0x8a,
    SVM_EXIT_MWAIT = 0x8b,
    SVM_EXIT_MWAIT_C = 0x8c,
    SVM_EXIT_XSETBV = 0x8d,
    SVM_EXIT_NPF = 0x400,
};

struct vmcb_seg {
    uint16_t sel, attr;
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    /* Control area */
    uint16_t cr_read, cr_write, dr_read, dr_write; /* 0x000 */
    uint32_t exceptions;                           /* 0x008 */
    uint32_t intercepts, intercepts2, intercepts3; /* 0x00c */
    uint8_t reserved_018[0x3c - 0x18];
    uint16_t pause_filter_threshold, pause_filter_count; /* 0x03c */
    uint64_t iopm_base_pa, msrpm_base_pa, tsc_offset;    /* 0x040 */
    uint32_t asid;                                       /* 0x058 */
    uint8_t tlb_control;
    uint8_t reserved_05d[3];
    uint64_t int_ctl;                               /* 0x060: V_TPR ... */
    uint64_t int_state;                             /* 0x068 */
    uint64_t exit_code;                             /* 0x070 */
    uint64_t exit_info1, exit_info2, exit_int_info; /* 0x078 */
    uint64_t np_enable;                             /* 0x090 */
    uint64_t avic_apic_bar, ghcb;                   /* 0x098 */
    uint64_t event_inj;                             /* 0x0a8 */
    uint64_t n_cr3;                                 /* 0x0b0 */
    uint64_t lbr_enable;                            /* 0x0b8 */
    uint32_t clean;                                 /* 0x0c0 */
    uint32_t reserved_0c4;
    uint64_t next_rip; /* 0x0c8 */
    uint8_t insn_len;  /* 0x0d0 */
    uint8_t insn_bytes[15];
    uint8_t reserved_0e0[0x400 - 0xe0];
    /* State save area; the segments in the order of enum emul_seg_index */
    struct vmcb_seg seg[10]; /* 0x400 */
    uint8_t reserved_4a0[0x4cb - 0x4a0];
    uint8_t cpl; /* 0x4cb */
    uint32_t reserved_4cc;
    uint64_t efer; /* 0x4d0 */
    uint8_t reserved_4d8[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 0x548 */
    uint8_t reserved_580[0x5d8 - 0x580];
    uint64_t rsp; /* 0x5d8 */
    uint64_t s_cet, ssp, isst_addr;
    uint64_t rax; /* 0x5f8 */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved_648[0x668 - 0x648];
    uint64_t g_pat, debugctl; /* 0x668 */
    uint8_t reserved_678[0x6e0 - 0x678];
    uint32_t spec_ctrl; /* 0x6e0 */
    uint8_t reserved_6e4[0x1000 - 0x6e4];
} __aligned(4096);

_Static_assert(offsetof(struct vmcb, asid) == 0x58, "VMCB layout");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "VMCB layout");
_Static_assert(offsetof(struct vmcb, event_inj) == 0xa8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB layout");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "VMCB layout");
_Static_assert(offsetof(struct vmcb, spec_ctrl) == 0x6e0, "VMCB layout");
_Static_assert(sizeof(struct vmcb) == 4096, "VMCB layout");

struct svm_vcpu {
    struct vmcb *vmcb;
    uint64_t vmcb_maddr;
    uint32_t asid_generation; /* of the CPU's, when vmcb->asid was given */
    unsigned int last_cpu;
    bool watch_tpr;      /* exit on writes of CR8 */
    bool by_virq;        /* the interrupt of this entry is a V_IRQ, not an EVENTINJ */
    bool window_at_iret; /* then another waits: its window is asked for at the IRET */
    bool dr_loaded;      /* the guest's DR0-3 are in the registers, not intercepted */
};

/* Of one CPU; percpu.hvm_private. */
struct svm_cpu {
    uint64_t host_vmcb_maddr; /* for VMSAVE and VMLOAD of the host's state */
    uint64_t host_save_maddr; /* VM_HSAVE_PA */
    uint32_t asid_generation, next_asid, max_asid;
    uint64_t tsc_ratio; /* in MSR_TSC_RATIO; 0: not written yet */
};

#define MSR_TSC_RATIO      0xc0000104
#define SVM_TSC_RATIO_BITS 32 /* behind the point */

/* What this processor has (CPUID 8000_000A EDX). */
extern uint32_t svm_features;
#define SVM_FEATURE_NPT        BIT(0)
#define SVM_FEATURE_NRIPS      BIT(3)
#define SVM_FEATURE_TSC_RATIO  BIT(4)
#define SVM_FEATURE_VMCB_CLEAN BIT(5)
#define SVM_FEATURE_FLUSH_ASID BIT(6)
#define SVM_FEATURE_DECODE     BIT(7)
#define SVM_FEATURE_SPEC_CTRL  BIT(20)

static inline struct svm_vcpu *to_svm(const struct vcpu *v)
{
    return v->hvm->vendor;
}

/* svm/entry.S: one VMRUN with the general registers of *regs. */
void svm_enter(struct cpu_regs *regs, uint64_t vmcb_maddr, uint64_t host_vmcb_maddr);

/* svm/exit.c: from the VMCB's exit to the vendor-neutral reason. */
void svm_translate_exit(struct vcpu *v, struct vmexit *exit);
/* An event whose delivery the exit interrupted is queued again. */
void svm_requeue_event(struct vcpu *v);

extern const struct p2m_format svm_p2m_format;

#endif
