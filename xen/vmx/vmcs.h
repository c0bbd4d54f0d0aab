/* The virtual machine control structure's fields and controls (Intel SDM vol 3, chapter
 * 25 and appendix B), and what the back end keeps for a CPU, a domain's vCPU.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_VMX_VMCS_H
#define CORBEL_VMX_VMCS_H

#include "hvm/hvm.h"
#include "cpu/percpu.h"

#define MSR_FEATURE_CONTROL  0x3a
#define MSR_SYSENTER_CS      0x174
#define MSR_SYSENTER_ESP     0x175
#define MSR_SYSENTER_EIP     0x176
#define MSR_VMX_BASIC        0x480
#define MSR_VMX_PINBASED     0x481
#define MSR_VMX_PROCBASED    0x482
#define MSR_VMX_EXIT         0x483
#define MSR_VMX_ENTRY        0x484
#define MSR_VMX_MISC         0x485
#define MSR_VMX_CR0_FIXED0   0x486
#define MSR_VMX_CR0_FIXED1   0x487
#define MSR_VMX_CR4_FIXED0   0x488
#define MSR_VMX_CR4_FIXED1   0x489
#define MSR_VMX_PROCBASED2   0x48b
#define MSR_VMX_EPT_VPID_CAP 0x48c
#define MSR_VMX_TRUE_BASE    0x48d /* pin, proc, exit, entry: 48d to 490 */

/* Appendix B. */
enum vmcs_field {
    VPID = 0x0000,
    POSTED_VECTOR = 0x0002,
    GUEST_ES_SELECTOR = 0x0800, /* ES CS SS DS FS GS LDTR TR, 2 apart */
    GUEST_INTR_STATUS = 0x0810, /* RVI, and SVI << 8 */
    HOST_ES_SELECTOR = 0x0c00,
    HOST_CS_SELECTOR = 0x0c02,
    HOST_SS_SELECTOR = 0x0c04,
    HOST_DS_SELECTOR = 0x0c06,
    HOST_FS_SELECTOR = 0x0c08,
    HOST_GS_SELECTOR = 0x0c0a,
    HOST_TR_SELECTOR = 0x0c0c,
    IO_BITMAP_A = 0x2000,
    IO_BITMAP_B = 0x2002,
    MSR_BITMAP = 0x2004,
    EXIT_MSR_STORE_ADDRESS = 0x2006,
    EXIT_MSR_LOAD_ADDRESS = 0x2008,
    ENTRY_MSR_LOAD_ADDRESS = 0x200a,
    TSC_OFFSET = 0x2010,
    VIRTUAL_APIC_PAGE = 0x2012,
    APIC_ACCESS_ADDRESS = 0x2014,
    POSTED_DESCRIPTOR = 0x2016,
    EPT_POINTER = 0x201a,
    EOI_EXIT_BITMAP0 = 0x201c, /* 4 of them, 2 apart */
    XSS_EXIT_BITMAP = 0x202c,
    TSC_MULTIPLIER = 0x2032,
    GUEST_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK_POINTER = 0x2800,
    GUEST_DEBUGCTL = 0x2802,
    GUEST_PAT = 0x2804,
    GUEST_EFER = 0x2806,
    GUEST_PDPTE0 = 0x280a, /* 4 of them, 2 apart */
    HOST_PAT = 0x2c00,
    HOST_EFER = 0x2c02,
    PIN_CONTROLS = 0x4000,
    PROC_CONTROLS = 0x4002,
    EXCEPTION_BITMAP = 0x4004,
    PF_ERROR_MASK = 0x4006,
    PF_ERROR_MATCH = 0x4008,
    CR3_TARGET_COUNT = 0x400a,
    EXIT_CONTROLS = 0x400c,
    EXIT_MSR_STORE_COUNT = 0x400e,
    EXIT_MSR_LOAD_COUNT = 0x4010,
    ENTRY_CONTROLS = 0x4012,
    ENTRY_MSR_LOAD_COUNT = 0x4014,
    ENTRY_INTR_INFO = 0x4016,
    ENTRY_INTR_ERROR = 0x4018,
    ENTRY_INSN_LEN = 0x401a,
    TPR_THRESHOLD = 0x401c,
    PROC_CONTROLS2 = 0x401e,
    PLE_GAP = 0x4020,
    PLE_WINDOW = 0x4022,
    VM_INSTRUCTION_ERROR = 0x4400,
    EXIT_REASON = 0x4402,
    EXIT_INTR_INFO = 0x4404,
    EXIT_INTR_ERROR = 0x4406,
    IDT_VECTORING_INFO = 0x4408,
    IDT_VECTORING_ERROR = 0x440a,
    EXIT_INSN_LEN = 0x440c,
    EXIT_INSN_INFO = 0x440e,
    GUEST_ES_LIMIT = 0x4800, /* as the selectors, then GDTR and IDTR */
    GUEST_GDTR_LIMIT = 0x4810,
    GUEST_IDTR_LIMIT = 0x4812,
    GUEST_ES_AR = 0x4814,
    GUEST_INTERRUPTIBILITY = 0x4824,
    GUEST_ACTIVITY = 0x4826,
    GUEST_SYSENTER_CS = 0x482a,
    PREEMPTION_TIMER = 0x482e,
    HOST_SYSENTER_CS = 0x4c00,
    CR0_MASK = 0x6000,
    CR4_MASK = 0x6002,
    CR0_SHADOW = 0x6004,
    CR4_SHADOW = 0x6006,
    EXIT_QUALIFICATION = 0x6400,
    GUEST_LINEAR_ADDRESS = 0x640a,
    GUEST_CR0 = 0x6800,
    GUEST_CR3 = 0x6802,
    GUEST_CR4 = 0x6804,
    GUEST_ES_BASE = 0x6806, /* as the selectors, then GDTR and IDTR */
    GUEST_GDTR_BASE = 0x6816,
    GUEST_IDTR_BASE = 0x6818,
    GUEST_DR7 = 0x681a,
    GUEST_RSP = 0x681c,
    GUEST_RIP = 0x681e,
    GUEST_RFLAGS = 0x6820,
    GUEST_PENDING_DEBUG = 0x6822,
    GUEST_SYSENTER_ESP = 0x6824,
    GUEST_SYSENTER_EIP = 0x6826,
    HOST_CR0 = 0x6c00,
    HOST_CR3 = 0x6c02,
    HOST_CR4 = 0x6c04,
    HOST_FS_BASE = 0x6c06,
    HOST_GS_BASE = 0x6c08,
    HOST_TR_BASE = 0x6c0a,
    HOST_GDTR_BASE = 0x6c0c,
    HOST_IDTR_BASE = 0x6c0e,
    HOST_SYSENTER_ESP = 0x6c10,
    HOST_SYSENTER_EIP = 0x6c12,
    HOST_RSP = 0x6c14, /* known to entry.S */
    HOST_RIP = 0x6c16,
};

#define PIN_EXTINT      (1u << 0)
#define PIN_NMI         (1u << 3)
#define PIN_VIRTUAL_NMI (1u << 5)
#define PIN_TIMER       (1u << 6)
#define PIN_POSTED      (1u << 7)

#define PROC_INTR_WINDOW (1u << 2)
#define PROC_TSC_OFFSET  (1u << 3)
#define PROC_HLT         (1u << 7)
#define PROC_MWAIT       (1u << 10)
#define PROC_RDPMC       (1u << 11)
#define PROC_RDTSC       (1u << 12)
#define PROC_CR3_LOAD    (1u << 15)
#define PROC_CR3_STORE   (1u << 16)
#define PROC_CR8_LOAD    (1u << 19)
#define PROC_CR8_STORE   (1u << 20)
#define PROC_TPR_SHADOW  (1u << 21)
#define PROC_NMI_WINDOW  (1u << 22)
#define PROC_MOV_DR      (1u << 23)
#define PROC_IO_BITMAPS  (1u << 25)
#define PROC_MSR_BITMAPS (1u << 28)
#define PROC_MONITOR     (1u << 29)
#define PROC_SECONDARY   (1u << 31)

#define PROC2_APIC_ACCESS  (1u << 0)
#define PROC2_EPT          (1u << 1)
#define PROC2_RDTSCP       (1u << 3)
#define PROC2_X2APIC       (1u << 4)
#define PROC2_VPID         (1u << 5)
#define PROC2_WBINVD       (1u << 6)
#define PROC2_UNRESTRICTED (1u << 7)
#define PROC2_APIC_REGS    (1u << 8)
#define PROC2_VIRTUAL_INTR (1u << 9)
#define PROC2_PLE          (1u << 10)
#define PROC2_INVPCID      (1u << 12)
#define PROC2_XSAVES       (1u << 20)
#define PROC2_TSC_SCALING  (1u << 25)

#define VMX_TSC_RATIO_BITS 48 /* behind the point of the TSC multiplier (25.6.5) */

#define EXIT_SAVE_DEBUG (1u << 2)
#define EXIT_HOST_64    (1u << 9)
#define EXIT_ACK_INTR   (1u << 15)
#define EXIT_SAVE_PAT   (1u << 18)
#define EXIT_LOAD_PAT   (1u << 19)
#define EXIT_SAVE_EFER  (1u << 20)
#define EXIT_LOAD_EFER  (1u << 21)
#define EXIT_SAVE_TIMER (1u << 22)

#define ENTRY_LOAD_DEBUG (1u << 2)
#define ENTRY_IA32E      (1u << 9)
#define ENTRY_LOAD_PAT   (1u << 14)
#define ENTRY_LOAD_EFER  (1u << 15)

/* IA32_VMX_EPT_VPID_CAP. */
#define CAP_EPT_WALK_4          BIT(6)
#define CAP_EPT_WB              BIT(14)
#define CAP_EPT_2M              BIT(16)
#define CAP_EPT_1G              BIT(17)
#define CAP_INVEPT              BIT(20)
#define CAP_EPT_AD              BIT(21)
#define CAP_INVEPT_SINGLE       BIT(25)
#define CAP_INVEPT_ALL          BIT(26)
#define CAP_INVVPID             BIT(32)
#define CAP_INVVPID_ADDRESS     BIT(40)
#define CAP_INVVPID_ALL         BIT(42)
#define MISC_INSN_LEN_0_ALLOWED BIT(30)

/* Guest interruptibility (25.4.2) has the bits of HVM_SHADOW_*, and others. */
#define INTERRUPTIBILITY_SHADOW (HVM_SHADOW_STI | HVM_SHADOW_MOVSS | HVM_SHADOW_NMI)
_Static_assert(INTERRUPTIBILITY_SHADOW == 0xb, "bits 0, 1 and 3");

#define PENDING_DEBUG_BS BIT(14)

/* Access rights of a segment (25.4.1): where they are not as in struct emul_seg. */
#define AR_L        (1u << 13)
#define AR_UNUSABLE (1u << 16)

/* Interruption information of entries, exits and of the event under delivery (25.8.3). */
#define INTR_INFO_VALID     (1u << 31)
#define INTR_INFO_ERROR     (1u << 11)
#define INTR_INFO_UNBLOCKED (1u << 12) /* an IRET had just unblocked NMIs */

#define EXIT_REASON_ENTRY_FAILED (1u << 31)

/* Basic exit reasons, appendix C. */
enum vmx_exit_reason {
    VMX_EXIT_EXCEPTION_NMI = 0,
    VMX_EXIT_EXTINT = 1,
    VMX_EXIT_TRIPLE_FAULT = 2,
    VMX_EXIT_INIT = 3,
    VMX_EXIT_SIPI = 4,
    VMX_EXIT_INTR_WINDOW = 7,
    VMX_EXIT_NMI_WINDOW = 8,
    VMX_EXIT_TASK_SWITCH = 9,
    VMX_EXIT_CPUID = 10,
    VMX_EXIT_GETSEC = 11,
    VMX_EXIT_HLT = 12,
    VMX_EXIT_INVD = 13,
    VMX_EXIT_INVLPG = 14,
    VMX_EXIT_RDPMC = 15,
    VMX_EXIT_RDTSC = 16,
    VMX_EXIT_VMCALL = 18,
    VMX_EXIT_VMCLEAR = 19,
    VMX_EXIT_VMXON = 27,
    VMX_EXIT_CR = 28,
    VMX_EXIT_DR = 29,
    VMX_EXIT_IO = 30,
    VMX_EXIT_RDMSR = 31,
    VMX_EXIT_WRMSR = 32,
    VMX_EXIT_MWAIT = 36,
    VMX_EXIT_MONITOR = 39,
    VMX_EXIT_PAUSE = 40,
    VMX_EXIT_TPR = 43,
    VMX_EXIT_APIC_ACCESS = 44,
    VMX_EXIT_EOI = 45,
    VMX_EXIT_GDTR_IDTR = 46,
    VMX_EXIT_LDTR_TR = 47,
    VMX_EXIT_EPT_VIOLATION = 48,
    VMX_EXIT_EPT_MISCONFIG = 49,
    VMX_EXIT_INVEPT = 50,
    VMX_EXIT_RDTSCP = 51,
    VMX_EXIT_PREEMPT_TIMER = 52,
    VMX_EXIT_INVVPID = 53,
    VMX_EXIT_WBINVD = 54,
    VMX_EXIT_XSETBV = 55,
    VMX_EXIT_APIC_WRITE = 56,
    VMX_EXIT_REASONS = 64,
};

/* Entry of the MSR areas (25.7.2). */
struct vmx_msr_entry {
    uint32_t index, reserved;
    uint64_t value;
} __aligned(16);

/* Posted-interrupt descriptor (30.6). It lies in the virtual-APIC page, behind the
 * registers. */
struct vmx_posted {
    uint64_t requests[4];
    uint32_t outstanding; /* bit 0: a notification is on its way, or nobody needs one */
    uint32_t reserved[7];
} __aligned(64);
#define VAPIC_POSTED 0x800

struct vmx_vcpu {
    void *vmcs;
    uint64_t vmcs_maddr;
    uint8_t *vapic; /* virtual-APIC page: its TPR; with vmx_caps.vid all of it */
    uint64_t eptp;
    uint64_t host_rsp;     /* as the VMCS has it; entry.S writes it when it differs */
    bool launched;         /* since the last VMCLEAR */
    unsigned int last_cpu; /* where it ran last: whose host state the VMCS has, whose TLB
                              is of use */
    unsigned int msr_cpu;  /* where its system call MSRs were loaded last */
    uint32_t vpid_generation; /* of the CPU's, when the VPID was given */
    uint32_t ept_flush_gen;   /* hvm_vcpu.flush_gen_seen of the last INVEPT */

    /* What the VMCS holds; written there only when it changes. */
    uint32_t proc_controls, proc2_controls, entry_controls, exceptions;
    uint64_t eoi_exit[4];
    uint32_t tpr_threshold;
    uint64_t rip, rsp, rflags;
    uint64_t cr0_owned, cr4_owned; /* bits that the guest changes without an exit */

    bool watch_tpr; /* exit when the guest lowers its TPR */
    bool dr_loaded; /* the guest's DR0-3, DR6 are in the registers, not intercepted */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base; /* while not in the registers */
};

/* Of one CPU; percpu.hvm_private. */
struct vmx_cpu {
    uint64_t vmxon_maddr;
    struct vmx_vcpu *loaded;    /* whose VMCS is current here, or NULL */
    struct vmx_vcpu *msr_owner; /* whose system call MSRs are in the registers */
    uint32_t vpid_generation, next_vpid;
};

/* What this processor has: controls as they are written, before per-vCPU changes. */
struct vmx_caps {
    uint32_t revision;
    uint32_t pin, proc, proc2, exit, entry;
    uint64_t ept_vpid, misc;
    uint64_t cr0_fixed0, cr4_fixed0;
    uint32_t timer_ticks; /* of the preemption timer, per period; 0: not used */
    bool exec_large;      /* code may lie in large pages of the EPT */
    bool posted; /* interrupts are posted; then exits acknowledge the machine's */
    bool vid;    /* the processor plays local APICs: registers, delivery, EOI (apic.c) */
};
extern struct vmx_caps vmx_caps;

static inline struct vmx_posted *vmx_posted_of(const struct vmx_vcpu *s)
{
    return (struct vmx_posted *)(s->vapic + VAPIC_POSTED);
}

static inline struct vmx_vcpu *to_vmx(const struct vcpu *v)
{
    return v->hvm->vendor;
}

static inline struct vmx_cpu *vmx_this_cpu(void)
{
    return this_cpu()->hvm_private;
}

/* Of the VMCS that is current on this CPU. A field that does not exist reads as 0: what
 * asks for it has looked at the capabilities. */
static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t val;

    __asm__ volatile("vmread %1, %0" : "=r"(val) : "r"((uint64_t)field) : "cc");
    return val;
}

static inline void vmwrite(enum vmcs_field field, uint64_t val)
{
    __asm__ volatile("vmwrite %1, %0" ::"r"((uint64_t)field), "r"(val) : "cc");
}

static inline void vmptrld(uint64_t maddr)
{
    __asm__ volatile("vmptrld %0" ::"m"(maddr) : "cc", "memory");
}

static inline void vmclear(uint64_t maddr)
{
    __asm__ volatile("vmclear %0" ::"m"(maddr) : "cc", "memory");
}

/* Make v's VMCS current on this CPU, if it is not, for a look at a vCPU that does not
 * run; vmcs_close() goes back to the one before, which vmcs_open() returns. A VMCS is
 * active on no CPU while its vCPU is switched out. */
struct vmx_vcpu *vmcs_open(struct vmx_vcpu *s);
void vmcs_close(struct vmx_vcpu *s, struct vmx_vcpu *before);

/* vmx/entry.S: one VMLAUNCH or VMRESUME with the general registers of *regs. 0 after an
 * exit; nonzero if the instruction failed: *regs is unchanged. */
int vmx_enter(struct cpu_regs *regs, bool launched, uint64_t *host_rsp);
void vmx_exit_point(void);

/* vmx/caps.c */
int vmx_cpu_up(void);
void vmx_cpu_down(void);

/* vmx/memtype.c: EPT memory type of a machine address, by the machine's MTRRs; UC if
 * they say different things of its ends. */
void vmx_read_memtypes(void);
uint8_t vmx_memtype(uint64_t maddr, uint64_t bytes);

/* vmx/ept.c */
void ept_init_format(void);
uint64_t ept_pointer(uint64_t root_maddr);
void ept_invalidate(uint64_t eptp);
void ept_invalidate_all(void);
void vpid_invalidate_all(void);
void vpid_invalidate_address(uint16_t vpid, uint64_t gva);
/* Entries for a guest-physical address, to the console. */
void ept_dump(uint64_t root_maddr, uint64_t gpa);

/* vmx/state.c: registers of a guest in its VMCS. */
void vmx_init_state(struct vcpu *v);
void vmx_get_segment(struct vcpu *v, unsigned int seg, struct emul_seg *out);
void vmx_set_segment(struct vcpu *v, unsigned int seg, const struct emul_seg *in);
void vmx_update_cr(struct vcpu *v, unsigned int cr);
void vmx_update_efer(struct vcpu *v);
void vmx_update_pat(struct vcpu *v);
void vmx_update_dr(struct vcpu *v);
void vmx_sync_dr(struct vcpu *v);
void vmx_update_tsc(struct vcpu *v);
void vmx_get_msrs(struct vcpu *v, struct hvm_msrs *m);
void vmx_set_msrs(struct vcpu *v, const struct hvm_msrs *m);
unsigned int vmx_get_cpl(struct vcpu *v);
void vmx_set_shadow(struct vcpu *v, uint32_t shadow);
/* At a switch of vCPUs: debug registers and system call MSRs. */
void vmx_save_registers(struct vcpu *v);
void vmx_load_registers(struct vcpu *v);
void vmx_set_proc_control(struct vmx_vcpu *s, uint32_t bit, bool on);

/* vmx/exit.c: from the VMCS's exit to the vendor-neutral reason. */
void vmx_translate_exit(struct vcpu *v, uint32_t reason, struct vmexit *exit);
/* An event whose delivery the exit interrupted, by its IDT-vectoring information, is
 * queued again. */
void vmx_requeue_event(struct vcpu *v, uint32_t info);

/* vmx/apic.c: local APICs that the processor plays. */
int vmx_apic_domain_init(struct domain *d);
void vmx_apic_domain_destroy(struct domain *d);
uint32_t *vmx_apic_page(struct vcpu *v);
void vmx_apic_mode(struct vcpu *v);
/* With vmx_caps.posted: v's local APIC has accepted an interrupt (30.6). */
void vmx_apic_notify(struct vcpu *v);
/* With vmx_caps.vid, before an entry, if vlapic_page_stale(): the interrupts that came
 * meanwhile. */
void vmx_apic_enter(struct vcpu *v, struct vmx_vcpu *s);
/* An EPT violation at the APIC's address: true if the instruction runs again. */
bool vmx_apic_map(struct vcpu *v, uint64_t gpa);
/* Exits of the virtualized APIC to vendor-neutral ones. */
void vmx_apic_translate(struct vcpu *v, unsigned int basic, struct vmexit *exit);

/* vmx/dump.c */
void vmx_dump(struct vcpu *v);
/* Why an entry was refused: the guest-state checks that fail (SDM 27.3.1). */
void vmx_explain_failure(struct vcpu *v, uint32_t reason);

#endif
