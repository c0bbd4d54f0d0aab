/* Domains and virtual CPUs. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain lives from domain_create() to the last domain_put(). Between, `state` only
 * moves forward. Every vCPU has a stack of its own in the hypervisor, so code that runs
 * for a vCPU may block (domain/sched.h).
 */
#ifndef CORBEL_DOMAIN_DOMAIN_H
#define CORBEL_DOMAIN_DOMAIN_H

#include "lib/types.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "cpu/time.h"
#include "cpu/regs.h"
#include "mm/p2m.h"
#include <xen/xen.h>
#include <xen/vcpu.h>

struct evtchn_domain; /* domain/evtchn.c */
struct grant_table;   /* domain/grant.c */
struct hvm_domain;    /* hvm/hvm.h */
struct hvm_vcpu;      /* hvm/hvm.h */
struct ioreq_domain;  /* hvm/ioreq.c */
struct abi_domain;    /* hypercall/abi.h */
struct guest_area;    /* hypercall/pvclock.c */
struct xen_domctl_createdomain;

#define MAX_DOMAINS      4096 /* domain ids 1 .. MAX_DOMAINS - 1 for guests */
#define VCPU_STACK_ORDER 2    /* 16 KiB */

enum domain_state {
    DOMAIN_BUILDING,
    DOMAIN_ALIVE,
    DOMAIN_DYING, /* being torn down: no new references, blocked vCPUs return -EINTR */
    DOMAIN_DEAD,  /* resources are gone; waits for the last reference */
};

enum vcpu_state {
    VCPU_OFFLINE,  /* not brought up, or stopped by the guest */
    VCPU_RUNNABLE, /* in a run queue or running */
    VCPU_BLOCKED,  /* waits for vcpu_wake() */
};

struct vcpu {
    unsigned int id;
    struct domain *domain;
    struct hvm_vcpu *hvm; /* NULL for idle */

    /* Scheduling; guarded by the lock of the run queue (domain/sched.c). */
    enum vcpu_state state;
    bool running;         /* on a CPU now */
    bool wakeup_pending;  /* vcpu_wake() came while it was not yet blocked */
    bool waits_for_woken; /* wakes whom it will block for: they may share its CPU */
    unsigned int cpu;     /* where it runs, or ran last */
    int pause_count;      /* > 0: not scheduled */
    uint64_t hard_affinity, soft_affinity; /* bit = cpu */
    struct list run_entry;
    uint64_t vruntime; /* ns of weighted run time */
    ns_t run_start;
    void *stack;                        /* lowest address, 2^VCPU_STACK_ORDER pages */
    uint64_t saved_rsp;                 /* while not running */
    struct vcpu_runstate_info runstate; /* kept by the scheduler */
    ns_t runstate_since;

    /* Event channels (domain/evtchn.c): upcall pending and mask live in *info. */
    struct vcpu_info *info; /* in the shared info page or where the guest registered it */
    mfn_t info_mfn;         /* the registered page, referenced; INVALID_MFN if none */
    struct guest_area *runstate_guest; /* where the guest wants its runstate, or NULL */
    struct guest_area *time_guest;     /* and a second vcpu_time_info */
    uint64_t pvclock_tsc_offset;       /* of the last pvclock_update() */
    ns_t pvclock_updated;              /* when that was; 0: not yet, or not valid */
    uint32_t virq_to_evtchn[24];
    void *evtchn_fifo;      /* control block state of the FIFO ABI, or NULL */
    struct list poll_entry; /* in SCHEDOP_poll */
    int poll_evtchn;        /* -1: not polling, 0: several ports, else the port */

    /* PV timers (hypercall/vcpu_op.c). */
    struct timer singleshot_timer, periodic_timer, poll_timer;
    ns_t periodic_period;

    bool initialised;     /* has a register state */
    bool in_ioreq;        /* waits for a device model: a shutdown waits for it */
    bool shutdown_parked; /* stopped for the domain's shutdown */
    bool parked_dying;    /* will not run again */
};

struct domain {
    domid_t id;
    enum domain_state state;
    bool is_privileged;       /* Dom0 */
    bool is_pvh;              /* no device model: PVH; else HVM */
    bool is_dom0_identity;    /* guest-physical = machine address for RAM */
    uint32_t ref_count;       /* domain_get() */
    struct list all_entry;    /* in domain_list, in order of creation */
    struct domain *target_of; /* device-model domain that may act on this one, or NULL */

    struct vcpu **vcpus; /* nr_vcpus slots, set by max_vcpus; entries may be NULL */
    unsigned int nr_vcpus;

    struct spinlock lock; /* guards shutdown_*, paused_by_tool, max_pages */
    bool paused_by_controller;
    int controller_pause_count;
    bool is_shutting_down; /* asked for */
    bool is_shut_down;     /* and all vCPUs have stopped */
    uint8_t shutdown_code; /* SHUTDOWN_* */
    const char *crash_reason;

    uint64_t tot_pages; /* frames of FRAME_DOMAIN; atomic */
    uint64_t max_pages;
    uint64_t xen_pages;       /* FRAME_SHARED frames */
    uint8_t handle[16];       /* UUID */
    uint32_t create_flags;    /* XEN_DOMCTL_CDF_* */
    uint32_t emulation_flags; /* XEN_X86_EMU_* */
    uint32_t ssidref;
    uint32_t weight; /* 256 = one share */
    /* Limit on the time of all its vCPUs (domain/sched.c): percent of a CPU, 0: none. */
    uint32_t cap;
    bool cap_reached;       /* its vCPUs do not run until the period ends; atomic */
    uint64_t cap_used;      /* ns of this period; atomic */
    ns_t cap_until;         /* end of the period */
    struct timer cap_timer; /* set when cap_reached is */

    struct p2m p2m;
    struct shared_info *shared_info;
    struct evtchn_domain *evtchn;
    struct grant_table *grant;
    struct hvm_domain *hvm;
    struct ioreq_domain *ioreq;
    struct abi_domain *abi; /* NULL until it is needed: abi_of() */

    int64_t time_offset_s; /* wall clock of the guest minus that of the machine */
    uint32_t tsc_mode;     /* XEN_CPUID_TSC_MODE_* as of settscinfo */
    uint8_t *memory_map;   /* e820 set by XENMEM_set_memory_map */
    uint32_t memory_map_entries;
    uint64_t frames_mapped_foreign; /* statistics */
    unsigned int max_evtchn_port, max_grant_frames, max_maptrack_frames;
    uint8_t grant_version_max;
};

extern struct list domain_list; /* of domain.all_entry; domlist_lock */
extern struct spinlock domlist_lock;
extern struct domain *dom0;
extern struct domain *idle_domain;

/* Create a domain with no vCPU and no memory. -ENOMEM, -EEXIST, -EINVAL. */
int domain_create(domid_t id, const struct xen_domctl_createdomain *config,
                  bool privileged, struct domain **out);
/* Allocate n vCPU slots and the vCPUs, all offline. */
int domain_set_max_vcpus(struct domain *d, unsigned int n);
/* By id, with a reference; NULL if there is none. DOMID_SELF is the caller's. */
struct domain *domain_get_by_id(domid_t id);
/* The same without a reference: only to see whether there is one. */
struct domain *domain_peek(domid_t id);
void domain_put(struct domain *d);
static inline void domain_get(struct domain *d)
{
    __atomic_add_fetch(&d->ref_count, 1, __ATOMIC_RELAXED);
}

/* Stop it for good and free what it has. Blocks. -EINVAL for Dom0. */
int domain_kill(struct domain *d);
/* All vCPUs stop at the next entry; nested; domain_pause waits until none runs. A domain
 * must not pause itself. */
void domain_pause(struct domain *d);
void domain_pause_nosync(struct domain *d);
void domain_unpause(struct domain *d);
int domain_pause_by_controller(struct domain *d);
int domain_unpause_by_controller(struct domain *d);
/* The guest ended: SHUTDOWN_*. All its vCPUs stop; Dom0 gets VIRQ_DOM_EXC. Of Dom0: the
 * machine reboots or powers off. */
void domain_shutdown(struct domain *d, unsigned int code);
void domain_resume(struct domain *d);
/* Something is wrong with this guest: logged with state of the current vCPU if it is d's,
 * and SHUTDOWN_crash. Never for the hypervisor's own faults. */
void domain_crash(struct domain *d, const char *why);

/* On the way into the guest: stop here if the domain shuts down or dies. */
void vcpu_check_stop(struct vcpu *v);
/* Does vcpu_check_stop() have something to do? */
static inline bool vcpu_should_stop(const struct vcpu *v)
{
    return READ_ONCE(v->domain->is_shutting_down) ||
           READ_ONCE(v->domain->state) >= DOMAIN_DYING;
}

static inline bool domain_is_dying(const struct domain *d)
{
    return READ_ONCE(d->state) >= DOMAIN_DYING;
}

static inline struct vcpu *domain_vcpu(const struct domain *d, unsigned int id)
{
    return id < d->nr_vcpus ? d->vcpus[id] : NULL;
}
#define for_each_vcpu(d, v)                                                              \
    for (unsigned int v##_i = 0; v##_i < (d)->nr_vcpus; v##_i++)                         \
        for (struct vcpu *v = (d)->vcpus[v##_i]; v; v = NULL)

/* Build Dom0 from the boot modules and start it (domain/dom0_build.c). */
void dom0_build(void);

#endif
