/* Side channels of the processor: what it suffers from, what we do about it, for both
 * vendors. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Facts (CPUID and MSRs) and the administrator's wishes go in, a plan comes out: a pure
 * function, which the unit tests call with the facts of known processors. The plan is
 * carried out by patching the entry code and the indirect branches once at boot, so that
 * a processor that needs nothing executes nothing.
 */
#ifndef CORBEL_CPU_MITIGATION_MITIGATION_H
#define CORBEL_CPU_MITIGATION_MITIGATION_H

#include "lib/types.h"

struct vcpu;

#define MSR_SPEC_CTRL 0x48
#define MSR_PRED_CMD  0x49
#define MSR_ARCH_CAPS 0x10a
#define MSR_FLUSH_CMD 0x10b

/* IA32_SPEC_CTRL (Intel SDM vol 4; AMD APM vol 2, 3.2.9). */
#define SPEC_CTRL_IBRS        BIT(0)
#define SPEC_CTRL_STIBP       BIT(1)
#define SPEC_CTRL_SSBD        BIT(2)
#define SPEC_CTRL_IPRED_DIS_U BIT(3)
#define SPEC_CTRL_IPRED_DIS_S BIT(4)
#define SPEC_CTRL_RRSBA_DIS_U BIT(5)
#define SPEC_CTRL_RRSBA_DIS_S BIT(6)
#define SPEC_CTRL_PSFD        BIT(7)
#define SPEC_CTRL_BHI_DIS_S   BIT(10)

enum cpu_vendor { CPU_OTHER, CPU_INTEL, CPU_AMD /* Hygon too */ };

/* What a processor says of itself. Words as CPUID gives them; 0 where there is no leaf.
 */
struct cpu_facts {
    enum cpu_vendor vendor;
    unsigned int family, model, stepping;
    uint32_t leaf7_ebx, leaf7_edx; /* leaf 7, subleaf 0 */
    uint32_t leaf7_2_edx;
    uint32_t ext8_ebx;             /* 0x80000008 */
    uint32_t ext21_eax, ext21_ecx; /* 0x80000021 */
    uint64_t arch_caps;            /* IA32_ARCH_CAPABILITIES, 0 if it is not there */
    uint32_t microcode;            /* for the report */
    bool hypervisor;               /* a hypervisor below us owns the chicken bits */
    bool emulated;           /* an interpreter or translator: no speculation at all */
    bool smt;                /* sibling threads are in use */
    bool spec_ctrl_switched; /* entries and exits switch SPEC_CTRL by themselves */
    bool gds_locked_off;     /* IA32_MCU_OPT_CTRL: GDS_MITG_DIS and the lock */
};

/* Weaknesses; bits of a mask. */
enum cpu_bug {
    BUG_BTI,   /* branch target injection (Spectre v2) */
    BUG_RSBA,  /* returns fall back to the BTB when the RSB is empty: no retpolines */
    BUG_PBRSB, /* one RET after an exit may be predicted by the guest's RSB */
    BUG_BHI,   /* branch history of the guest steers the hypervisor's branches */
    BUG_BTC,   /* branch type confusion, Retbleed */
    BUG_SRSO,  /* return stack overflow, Inception */
    BUG_SSB,   /* speculative store bypass */
    BUG_L1TF,  /* L1 terminal fault */
    BUG_MDS,   /* microarchitectural data sampling */
    BUG_TAA,   /* TSX asynchronous abort */
    BUG_MMIO,  /* stale data of MMIO */
    BUG_RFDS,  /* register file data sampling */
    BUG_TSA,   /* transient scheduler attacks */
    BUG_GDS,   /* gather data sampling */
    BUG_ITS,   /* indirect target selection */
    BUG_ZENBLEED,
    BUG_ITLB_MULTIHIT, /* code in large pages whose size changes: machine check */
    CPU_BUGS,
};

enum bti_thunk { THUNK_JMP, THUNK_LFENCE, THUNK_RETPOLINE };

/* -1: as the table says; else 0 or 1. */
struct mitigation_wishes {
    int all;    /* spec-ctrl=no: nothing at all */
    int own;    /* xen=: what protects the hypervisor itself */
    int guests; /* hvm=: what is done at exits and entries */
    int msr;    /* msr-sc=: SPEC_CTRL at exits and entries, and for guests */
    int rsb, verw, ibpb_entry, ibpb, ibrs, stibp, ssbd, psfd, l1d_flush, bhi_seq, bhi_dis;
    int gds, bp_spec_reduce;
    int thunk; /* enum bti_thunk */
};

/* Things that the entry code does or does not; sites in it are patched. Known to
 * mitigation/guard.inc. */
enum mitigation_site {
    SITE_EXIT_IBPB,
    SITE_EXIT_RSB,
    SITE_EXIT_PBRSB,
    SITE_EXIT_BHB,
    SITE_SPEC_CTRL,
    SITE_SPEC_CTRL_ALWAYS, /* also if the guest's value is ours: IBRS is an event */
    SITE_ENTRY_VERW,
    MITIGATION_SITES,
};

struct mitigations {
    uint32_t bugs; /* bit = enum cpu_bug */
    uint32_t open; /* those of them that stay open */
    enum bti_thunk thunk;
    bool eibrs, auto_ibrs;
    bool has_spec_ctrl; /* the MSR is there, guests may have it */
    uint32_t spec_ctrl; /* its value in the hypervisor */
    uint32_t sites;     /* bit = enum mitigation_site */
    bool switch_ibpb;   /* when a CPU goes from one domain's vCPU to another's */
    bool l1d_flush;     /* at entries of guests */
    bool zenbleed_chicken, bp_spec_reduce, gds_unlock;
    bool lfence_serializes; /* AMD: LFENCE waits until all before it is done */
    bool smt_leaks;         /* sibling threads can spy on each other, whatever we do */
};

/* The plan that was made for this machine. */
extern struct mitigations mitigations;

/* Weaknesses of a processor by its model and what it says (mitigation/bugs.c). */
uint32_t cpu_bugs(const struct cpu_facts *f);
/* The plan. `wishes` has been set up by mitigation_wishes_init(). (decide.c) */
void mitigation_decide(const struct cpu_facts *f, const struct mitigation_wishes *wishes,
                       struct mitigations *out);
void mitigation_wishes_init(struct mitigation_wishes *w);
/* One value of the option spec-ctrl, a comma-separated list; -EINVAL if a word is not
 * known (what came before it holds). (options.c) */
int mitigation_wishes_parse(struct mitigation_wishes *w, const char *list);
/* Name of a weakness; as the literature has it. */
const char *cpu_bug_name(enum cpu_bug bug);
void mitigation_report(const struct cpu_facts *f, const struct mitigations *m);

/* On the boot processor, before the others start and before guests: decide, report,
 * patch. */
void mitigation_init(void);
/* On each CPU: the MSRs. */
void mitigation_cpu_up(void);
/* The next vCPU comes to this CPU; called with the last one's state saved. */
void mitigation_switch_to(struct vcpu *next);
/* A vCPU's memory goes. */
void mitigation_forget(const struct vcpu *v);

/* patch.c: carry the plan out in the code; interrupts off, one CPU runs. */
void mitigation_patch(const struct mitigations *m);

/* Bits of SPEC_CTRL that exist with these features (cpu_facts words). */
uint32_t spec_ctrl_valid(uint32_t leaf7_edx, uint32_t leaf7_2_edx, uint32_t ext8_ebx);

#endif
