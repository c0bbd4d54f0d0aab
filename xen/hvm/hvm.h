/* Hardware virtual machines: state of a vCPU that the vendor back ends and the
 * vendor-neutral code share, and the seam between them. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * A back end (svm/, vmx/) enters the guest, translates the exit into struct vmexit and
 * calls hvm_vmexit(); everything it needs from above it finds in struct hvm_vcpu. Neither
 * vendor's names appear outside its folder.
 */
#ifndef CORBEL_HVM_HVM_H
#define CORBEL_HVM_HVM_H

#include "domain/domain.h"
#include "hvm/emulate/emulate.h" /* struct emul_seg: segment registers in VMCB format */

struct vlapic;
struct vioapic;
struct vpic;
struct vpit;
struct vrtc;
struct vhpet;
struct vpmtimer;
struct vmtrr;
struct cpu_policy;
struct platform;
struct viridian;

/* Exit reasons of both vendors, one set. The index of the exit table and of counters. */
enum vmexit_reason {
    VMEXIT_EXCEPTION, /* info.exception */
    VMEXIT_EXTINT,    /* machine interrupt; taken in the next interrupt window */
    VMEXIT_NMI,       /* machine NMI */
    VMEXIT_SMI_INIT,
    VMEXIT_INTR_WINDOW,
    VMEXIT_NMI_WINDOW,
    VMEXIT_IRET, /* about to end the blocking of NMIs */
    VMEXIT_CPUID,
    VMEXIT_HLT,
    VMEXIT_INVLPG,
    VMEXIT_RDTSC, /* RDTSCP too: insn bytes tell */
    VMEXIT_RDPMC,
    VMEXIT_HYPERCALL, /* VMMCALL, VMCALL */
    VMEXIT_CR_READ,   /* info.cr */
    VMEXIT_CR_WRITE,
    VMEXIT_DR_ACCESS,
    VMEXIT_IO, /* info.io */
    VMEXIT_RDMSR,
    VMEXIT_WRMSR,
    VMEXIT_NPF, /* nested page fault: info.npf */
    VMEXIT_XSETBV,
    VMEXIT_WBINVD,
    VMEXIT_INVD,
    VMEXIT_MONITOR,
    VMEXIT_MWAIT,
    VMEXIT_PAUSE,
    VMEXIT_TASK_SWITCH, /* info.task */
    VMEXIT_DESC_TABLE,
    VMEXIT_SHUTDOWN,  /* triple fault */
    VMEXIT_VIRT_INSN, /* VMRUN, VMXON, ...: #UD for the guest */
    VMEXIT_PREEMPT_TIMER,
    VMEXIT_APIC_EOI,      /* info.apic.vector: the processor has done it */
    VMEXIT_APIC_WRITE,    /* info.apic.offset: a write to the page of registers is done */
    VMEXIT_INVALID_STATE, /* entry failed */
    VMEXIT_UNKNOWN,
    VMEXIT_NONE, /* the back end dealt with it */
    VMEXIT_REASONS,
};

struct vmexit {
    enum vmexit_reason reason;
    uint8_t insn_len; /* bytes; 0: not known, decode it */
    uint64_t raw;     /* the vendor's exit code, for messages */
    union {
        struct {
            uint8_t vector;
            bool has_error;
            uint32_t error;
            uint64_t cr2;
        } exception;
        struct {
            uint16_t port;
            uint8_t bytes; /* 1, 2, 4 */
            bool in, string, rep;
            uint64_t next_rip; /* 0: not known */
        } io;
        struct {
            uint64_t gpa;
            bool write, exec, present; /* present: the nested entry was there */
            bool gva_valid;
            uint64_t gva;
            bool table_walk; /* the fault hit a guest page table */
        } npf;
        struct {
            uint8_t cpl;
            bool code64; /* 64-bit mode, not compatibility mode */
        } hypercall;
        struct {
            int8_t cr;  /* 0, 3, 4, 8; -1: decode */
            int8_t gpr; /* -1: decode */
        } cr;
        struct {
            uint16_t sel; /* of the new task's TSS */
            bool gate;    /* an event through the IDT; else JMP, CALL or IRET */
        } task;
        struct {
            uint16_t offset;
            uint8_t vector;
        } apic;
    } info;
};

/* An event to deliver to the guest at the next entry. */
struct hvm_event {
    bool valid;
    uint8_t vector;
    uint8_t type; /* enum hvm_event_type */
    bool has_error;
    uint8_t insn_len;
    uint32_t error;
    uint64_t cr2;
};

/* As EVENTINJ and VM-entry interruption information number them. */
enum hvm_event_type {
    HVM_EVENT_EXTINT = 0,
    HVM_EVENT_NMI = 2,
    HVM_EVENT_EXCEPTION = 3,
    HVM_EVENT_SW_INT = 4,
    HVM_EVENT_PRIV_SW_EXC = 5,
    HVM_EVENT_SW_EXC = 6,
};

#define HVM_SHADOW_STI   1u
#define HVM_SHADOW_MOVSS 2u
#define HVM_SHADOW_NMI   8u /* NMIs are blocked until IRET */

/* MSRs that the hardware switches with the vCPU; read and written through the back end.
 */
struct hvm_msrs {
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t debugctl;
    uint64_t spec_ctrl; /* 32 bits; 0 if the domain does not have it */
};

/* What the entry code needs for side channels; cpu/mitigation/guard.h knows it. */
struct hvm_spec {
    uint32_t spec_ctrl; /* the guest's IA32_SPEC_CTRL */
    bool msr_passed;    /* it writes it without an exit */
    bool exit_ibpb;     /* it is not trusted: IBPB at exits, if that was chosen */
};

/* A walk of the guest's tables that went well (hvm/guest_walk.c): what it depended on. */
struct walk_hint {
    uint64_t page; /* gva >> PAGE_SHIFT; meaningless while steps is 0 */
    uint64_t cr0, cr3, cr4, efer;
    uint32_t access; /* PFEC_*, and RFLAGS_AC */
    uint32_t p2m_gen;
    uint32_t steps;
    struct {
        const uint32_t *entry; /* in the direct map */
        uint64_t value;
    } step[5];
    uint64_t gpa; /* of the page */
};
#define WALK_HINTS 8

struct hvm_vcpu {
    struct cpu_regs
        regs; /* all valid between exit and entry; rip, rsp, rax, rflags too */
    struct hvm_spec spec; /* behind the registers */
    void *vendor;         /* struct svm_vcpu or struct vmx_vcpu */

    /* Control registers as the guest reads them. CR3 follows at each exit; CR8 is the
     * local APIC's. */
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0, pat;
    uint64_t dr[4], dr6, dr7;
    uint64_t tsc_offset; /* guest TSC = TSC + tsc_offset; the TSC scaled, if
                            hvm_domain.tsc says so */
    uint64_t tsc_aux, xss;
    bool cpuid_faulting; /* MISC_FEATURES_ENABLES bit 0 */
    uint32_t tsc_adjust_set;
    uint64_t tsc_adjust;

    struct hvm_event
        inject;      /* decided for the next entry; set by exits and by hvm_intr */
    uint32_t shadow; /* HVM_SHADOW_*; changed by hvm_ops.set_shadow() */
    /* What hvm_intr_assist() has to look at, and for all of it at once. */
    union {
        struct {
            bool nmi_pending;
            bool intr_window; /* an exit may have been asked for: interrupt window, TPR */
            uint8_t deferred_extint; /* taken from the APIC, put off by an exception */
        };
        uint32_t events;
    };
    struct timer nmi_retry; /* makes an exit when the interrupt shadow is over */
    unsigned int fpu_cpu;   /* whose registers hold the state, if that is its fpu_owner */
    bool flush_tlb;         /* the guest's TLB entries go at the next entry */
    uint32_t flush_gen_seen; /* of p2m.flush_gen, before the last entry */
    bool hlt;                /* in HLT: blocked until an interrupt is deliverable */
    ns_t pmtimer_read;       /* when it last read the PM timer */
    uint8_t pmtimer_polls;   /* how many times in quick succession */
    bool synic_work;         /* messages are due; set by timers, on any CPU */
    bool init_pending, sipi_pending, wait_sipi; /* domain.lock */
    bool boots; /* with init_pending: it begins at the reset vector; domain.lock */
    uint8_t sipi_vector;
    void *xsave; /* FPU state while not in registers: XSAVE area, 64-aligned */
    unsigned int xsave_order;

    struct vlapic *vlapic;
    struct synic *synic; /* Hyper-V's interrupts and timers, or NULL: never used */
    struct vmtrr *mtrr;
    uint32_t
        evtchn_upcall_vector; /* HVMOP_set_evtchn_upcall_vector; 0: by callback_via */
    uint64_t hypercall_continue;
    void *ioreq;            /* hvm/ioreq.c: requests under way */
    uint8_t insn_bytes[16]; /* of the instruction that exited, if the CPU gave them */
    uint8_t insn_bytes_len;
    bool single_step;
    struct walk_hint walks[WALK_HINTS];
    uint64_t exits[VMEXIT_REASONS];
};

/* A domain's TSC (hvm/tsc.h): the machine's * ratio / 2^bits, plus the vCPU's offset.
 * Changed while no vCPU runs. */
struct hvm_tsc {
    uint32_t khz;   /* 0: the machine's; what follows does not count */
    bool exits;     /* RDTSC exits, for the processor cannot scale */
    uint64_t ratio; /* hvm_ops.tsc_ratio_bits behind the point */
};

enum callback_via_type {
    CALLBACK_NONE,
    CALLBACK_GSI,
    CALLBACK_PCI_INTX,
    CALLBACK_VECTOR,
};

#define HVM_NR_PARAMS_MAX 64

struct hvm_domain {
    uint64_t params[HVM_NR_PARAMS_MAX]; /* HVM_PARAM_*; hypercall/hvm_op.c */
    enum callback_via_type callback_via;
    uint32_t callback_value; /* vector, GSI or dev << 2 | intx */
    /* The line, if it is one: only while vCPU 0 has no upcall vector. */
    struct spinlock callback_lock; /* guards callback_asserted: it says how the line is */
    bool callback_line, callback_asserted;
    struct vioapic *vioapic;
    struct vpic *vpic; /* both PICs */
    struct vpit *vpit;
    struct vrtc *vrtc;
    struct vhpet *vhpet;
    struct vpmtimer *pmtimer;
    struct cpu_policy *policy; /* CPUID and MSR policy of the domain */
    struct platform *platform; /* port and MMIO tables, interrupt lines; hvm/platform.c */
    struct viridian *viridian; /* Hyper-V enlightenments, or NULL */
    uint8_t *iopm;             /* 12 KiB, 1 bit per port: 1 = exit; shared by the vCPUs */
    uint8_t *msrpm;            /* vendor's MSR bitmap */
    void *apic_page;           /* the back end's, at the address of the local APICs */
    struct hvm_tsc tsc;
    bool passthrough_io;  /* Dom0: ports not emulated reach the machine */
    bool hide_xen_leaves; /* native platform: no Xen CPUID leaves */
    uint8_t pci_link_route[4];
    uint32_t emul_features;     /* EMUL_F_*, from the policy; 0: not worked out yet */
    uint8_t triple_fault_code;  /* SHUTDOWN_* */
    uint32_t cf8;               /* latched CONFIG_ADDRESS */
    struct spinlock sleep_lock; /* one falls asleep or wakes at a time */
    bool asleep;                /* in S3 (hvm/sleep.c) */
};

/*
 * The seam. All functions work on a vCPU that does not run (or is the current one).
 */
struct hvm_ops {
    const char *name; /* "SVM", "VMX" */
    uint8_t hypercall_insn[3];
    enum emul_known_insn hypercall_known; /* its name for the length decoder */
    /* Bits behind the point of the ratio by which the processor scales a guest's TSC; 0:
     * it does not. Known after cpu_up(). */
    unsigned int tsc_ratio_bits;
    bool (*probe)(void); /* is this such a processor? */
    int (*cpu_up)(void); /* this CPU; -ENODEV with a message when a feature is missing */
    void (*cpu_down)(void);
    /* XEN_X86_FEATURE_* that needs a control: is it there? NULL: nothing does. */
    bool (*can_offer)(unsigned int feature);
    int (*domain_init)(struct domain *d);
    void (*domain_destroy)(struct domain *d);
    int (*vcpu_init)(struct vcpu *v);
    void (*vcpu_destroy)(struct vcpu *v);

    /* Enter the guest once and come back: interrupts off; v == current. Fills *exit. */
    void (*run)(struct vcpu *v, struct vmexit *exit);
    /* Called by schedule() around a switch, on the CPU concerned. */
    void (*ctxt_switch_from)(struct vcpu *v);
    void (*ctxt_switch_to)(struct vcpu *v);

    void (*get_segment)(struct vcpu *v, unsigned int seg, struct emul_seg *out);
    void (*set_segment)(struct vcpu *v, unsigned int seg, const struct emul_seg *in);
    /* hvm_vcpu.cr0/cr3/cr4/efer/pat/dr/xcr0 changed: bring the hardware's copy in line.
     */
    void (*update_cr)(struct vcpu *v, unsigned int cr); /* 0, 2, 3, 4 */
    void (*update_efer)(struct vcpu *v);
    void (*update_pat)(struct vcpu *v);
    void (*update_dr)(struct vcpu *v);
    /* DR0-3 may be in the machine's registers: bring hvm_vcpu.dr up to date. */
    void (*sync_dr)(struct vcpu *v);
    void (*update_tsc)(struct vcpu *v); /* hvm_vcpu.tsc_offset or hvm_domain.tsc */
    void (*get_msrs)(struct vcpu *v, struct hvm_msrs *out);
    void (*set_msrs)(struct vcpu *v, const struct hvm_msrs *in);
    unsigned int (*get_cpl)(struct vcpu *v);
    void (*set_shadow)(struct vcpu *v, uint32_t shadow); /* hvm_vcpu.shadow, too */
    /* Ask for an exit as soon as an interrupt (or NMI) can be delivered. */
    void (*request_intr_window)(struct vcpu *v, bool on);
    void (*request_nmi_window)(struct vcpu *v);
    /* Exit when the guest lowers its TPR: an interrupt waits for that. */
    void (*watch_tpr)(struct vcpu *v, bool on);
    /* Does the processor play v's local APIC? Then the page (cleared) where its registers
     * are while v runs, hvm/vlapic_page.c; else NULL. The function may be NULL, too. */
    uint32_t *(*apic_page)(struct vcpu *v);
    /* With such a page: v's local APIC is in another mode, or at another place. */
    void (*apic_mode)(struct vcpu *v);
    /* v's local APIC has accepted an interrupt: in place of vcpu_kick(), where that is
     * not needed for a vCPU in guest mode. Or NULL. */
    void (*apic_notify)(struct vcpu *v);
    /* Intercept (true) or pass through an MSR. */
    void (*intercept_msr)(struct domain *d, uint32_t msr, bool read, bool write);
    void (*set_exception_intercept)(struct vcpu *v, unsigned int vector, bool on);
    void (*invlpg)(struct vcpu *v, uint64_t gva);
    /* For the crash dump: the vendor's control structure to the console. */
    void (*dump)(struct vcpu *v);
};

/* The chosen one's, here and not behind a pointer: a load less at each call. */
extern struct hvm_ops hvm_ops[1];
/* A back end puts a pointer to its operations into this section; hvm_init() probes each.
 */
#define HVM_BACKEND(ops)                                                                 \
    static const struct hvm_ops *const backend_##ops                                     \
        __attribute__((used, section(".rodata.hvm_backends"))) = &(ops)

void hvm_init(
    void); /* choose the back end by CPUID; panics with the missing feature's name */
int hvm_domain_init(struct domain *d);
void hvm_domain_destroy(struct domain *d);
int hvm_vcpu_init(struct vcpu *v);
void hvm_vcpu_destroy(struct vcpu *v);
/* State after RESET or INIT: real mode, F000:FFF0. */
void hvm_vcpu_reset_state(struct vcpu *v, uint16_t cs, uint16_t ip);
/* RESET of a paused vCPU and its local APIC: the first one begins at the reset vector,
 * others wait for a SIPI. One that is in the middle of something in the hypervisor still
 * finishes that when it runs again, and is reset once more before it enters the guest. */
void hvm_vcpu_reset(struct vcpu *v);
/* Does it run the guest's code, as far as that is up to the guest? Not if it was not
 * started, is off line or waits for a SIPI. */
bool hvm_vcpu_is_up(const struct vcpu *v);
/* Into S3 and back (hvm/sleep.c); nothing happens if d is there already, or dies. d is
 * not the caller's. */
void hvm_sleep(struct domain *d);
void hvm_wake(struct domain *d);
static inline bool hvm_is_asleep(const struct domain *d)
{
    return READ_ONCE(d->hvm->asleep);
}
/* State of the current vCPU to the console. */
void hvm_dump_vcpu(struct vcpu *v);
/* Body of a vCPU's thread: enters the guest and handles exits for ever. */
__noreturn void hvm_vcpu_loop(struct vcpu *v);

/* FPU registers of this CPU to and from v's save area (hvm/fpu.c). */
void hvm_fpu_init(void);
void hvm_fpu_save(struct vcpu *v);
void hvm_fpu_restore(struct vcpu *v);
size_t hvm_fpu_area_size(void);   /* bytes */
uint64_t hvm_fpu_host_xcr0(void); /* 0: the machine has no XSAVE */
void hvm_fpu_load_xcr0(struct vcpu *v);
void hvm_fpu_sync_xcr0(struct vcpu *v); /* hvm_vcpu.xcr0 from the register; v is live */
void hvm_fpu_reset(struct vcpu *v);
/* One MMX (8 bytes) or XMM/YMM (up to 32) register of the current vCPU. -1 without AVX.
 */
int hvm_fpu_vec_read(struct vcpu *v, bool mmx, unsigned int reg, void *buf,
                     unsigned int bytes);
int hvm_fpu_vec_write(struct vcpu *v, bool mmx, unsigned int reg, const void *buf,
                      unsigned int bytes, bool zero_upper);
/* FOP, FIP and FDP of the current vCPU. */
void hvm_fpu_set_pointers(struct vcpu *v, uint16_t fop, uint64_t fip, uint64_t fdp);

/* Queue an exception for the current vCPU with the double-fault rules (APM vol 2, 8.2.9).
 */
void hvm_inject_exception(struct vcpu *v, unsigned int vector, int error_code);
void hvm_inject_page_fault(struct vcpu *v, uint32_t error, uint64_t cr2);
#define HVM_NO_ERROR_CODE (-1)
#define hvm_inject_gp(v)  hvm_inject_exception(v, 13, 0)
#define hvm_inject_ud(v)  hvm_inject_exception(v, 6, HVM_NO_ERROR_CODE)

/* Writes with the checks of the manuals; return 0, or -EINVAL after they queued #GP. Used
 * by exits, the emulator and domctl alike. */
int hvm_set_cr0(struct vcpu *v, uint64_t val);
int hvm_set_cr3(struct vcpu *v, uint64_t val);
int hvm_set_cr4(struct vcpu *v, uint64_t val);
int hvm_set_efer(struct vcpu *v, uint64_t val);
int hvm_set_xcr0(struct vcpu *v, uint64_t val);

/* 0, 16, 32 or 64: code size; and whether paging is on. */
static inline bool hvm_long_mode(const struct vcpu *v)
{
    return v->hvm->efer & (1u << 10);
}
static inline bool hvm_paging(const struct vcpu *v)
{
    return v->hvm->cr0 >> 31 & 1;
}
/* An instruction ended: no STI or MOV SS shadow any more. */
static inline void hvm_end_shadow(struct vcpu *v)
{
    if (unlikely(v->hvm->shadow & (HVM_SHADOW_STI | HVM_SHADOW_MOVSS)))
        hvm_ops->set_shadow(v, v->hvm->shadow & HVM_SHADOW_NMI);
}

#define DR6_BS       0x4000ull
#define DR6_BT       0x8000ull
#define DEBUGCTL_BTF 0x2ull
/* A #DB behind an instruction, for these bits of DR6. */
void hvm_debug_trap(struct vcpu *v, uint64_t why);
/* The single-step trap behind an instruction; `branch`: it goes on elsewhere. */
void hvm_single_step(struct vcpu *v, bool branch);
/* Step over the current instruction: RIP, interrupt shadow, single-step trap. */
static inline void hvm_skip_insn(struct vcpu *v, unsigned int len)
{
    struct hvm_vcpu *h = v->hvm;

    h->regs.rip += len;
    if (unlikely(!hvm_long_mode(v)))
        h->regs.rip &= 0xffffffffu;
    hvm_end_shadow(v);
    h->regs.rflags &= ~(uint64_t)RFLAGS_RF;
    if (unlikely(h->regs.rflags & RFLAGS_TF))
        hvm_single_step(v, false);
}

uint64_t hvm_guest_tsc(const struct vcpu *v);

/* General register by its number in an instruction: 0 RAX, 1 RCX, ... 15 R15. */
static inline uint64_t *hvm_gpr(struct vcpu *v, unsigned int n)
{
    static const uint8_t place[16] = {
        offsetof(struct cpu_regs, rax) / 8, offsetof(struct cpu_regs, rcx) / 8,
        offsetof(struct cpu_regs, rdx) / 8, offsetof(struct cpu_regs, rbx) / 8,
        offsetof(struct cpu_regs, rsp) / 8, offsetof(struct cpu_regs, rbp) / 8,
        offsetof(struct cpu_regs, rsi) / 8, offsetof(struct cpu_regs, rdi) / 8,
        offsetof(struct cpu_regs, r8) / 8,  offsetof(struct cpu_regs, r9) / 8,
        offsetof(struct cpu_regs, r10) / 8, offsetof(struct cpu_regs, r11) / 8,
        offsetof(struct cpu_regs, r12) / 8, offsetof(struct cpu_regs, r13) / 8,
        offsetof(struct cpu_regs, r14) / 8, offsetof(struct cpu_regs, r15) / 8,
    };

    return (uint64_t *)&v->hvm->regs + place[n & 15];
}

/* Option hvm_fep: guests may have any instruction emulated. */
bool hvm_forced_emulation(void);

/* MSR access by the guest: 0, -EINVAL for #GP. hvm/msr.c */
int hvm_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *val);
int hvm_wrmsr(struct vcpu *v, uint32_t msr, uint64_t val);
/* CPUID as the guest sees it; hvm/cpuid.c. */
void hvm_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* Page walk of the guest's tables (hvm/guest_walk.c). Access bits PFEC_*. On failure
 * returns -EFAULT and the error code for #PF in *pfec. Sets accessed and dirty bits. */
#define PFEC_PRESENT  1u
#define PFEC_WRITE    2u
#define PFEC_USER     4u
#define PFEC_RSVD     8u
#define PFEC_FETCH    16u
#define PFEC_IMPLICIT 0x10000u /* implicit supervisor access (descriptor tables) */
int guest_walk(struct vcpu *v, uint64_t gva, uint32_t *pfec, uint64_t *gpa);

/* Guest memory by physical address, from the hypervisor; -EFAULT where there is no RAM.
 */
int guest_read_phys(struct domain *d, uint64_t gpa, void *buf, size_t bytes);
int guest_write_phys(struct domain *d, uint64_t gpa, const void *buf, size_t bytes);
/* Hypercall buffers: guest virtual addresses of the current vCPU, as its kernel. -EFAULT.
 */
int copy_from_guest(void *dst, uint64_t gva, size_t bytes);
int copy_to_guest(uint64_t gva, const void *src, size_t bytes);
int clear_guest(uint64_t gva, size_t bytes);

#endif
