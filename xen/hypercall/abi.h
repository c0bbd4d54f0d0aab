/* What the files of hypercall/ share: a call under way, its target, and copies from and
 * to the caller. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A handler gets struct hcall, copies each of its arguments once, checks the copy, acts,
 * and returns 0 or more, or a negative errno. It runs on its vCPU's own stack with no
 * lock held, so long work calls preempt_point() in its loops instead of returning to the
 * guest in the middle.
 */
#ifndef CORBEL_HYPERCALL_ABI_H
#define CORBEL_HYPERCALL_ABI_H

#include "domain/domain.h"
#include "hvm/hvm.h"
#include "lib/errno.h"

/* Who may make a call. What is not in table.c is WHO_NOBODY. */
enum hcall_who {
    WHO_NOBODY, /* -ENOSYS, as if it did not exist */
    WHO_ANY,    /* any domain, about itself or about nobody */
    WHO_TARGET, /* the target itself, its device model, Dom0 */
    WHO_DM,     /* the target's device model, Dom0 */
    WHO_DOM0,   /* Dom0 */
};

struct hcall {
    struct vcpu *v;
    uint64_t arg[6]; /* zero-extended for a 32-bit caller */
    uint32_t nr;     /* __HYPERVISOR_* */
    bool compat;     /* the caller runs 32-bit code: longs and handles are 32 bits */
    uint8_t who;     /* enum hcall_who that table.c asks for this sub-op */
};

typedef long (*hcall_fn)(struct hcall *c);

/* Bits of the first argument that are the sub-op, where the ABI keeps others for where a
 * continued call goes on. */
#define MEMOP_SUBOP 0x3fu
#define HVMOP_SUBOP 0xffu
#define GNTOP_SUBOP 0xfffu

/* The whole call with number and arguments in *c, as hypercall_dispatch() and multicall
 * do it. */
long hcall_run(struct hcall *c);

/* For calls whose sub-op is in memory (domctl, sysctl, platform_op, dm_op): looks up who
 * may, refuses with -ENOSYS or -EPERM, sets c->who. */
int hcall_check(struct hcall *c, unsigned int subop);

/* The domain that a call is aimed at, with a reference (domain_put), if c->who lets the
 * caller. -ESRCH: no such domain, -EPERM. */
int hcall_target(const struct hcall *c, domid_t id, struct domain **d);
/* The same, but never the caller itself (-EPERM; -ESRCH for DOMID_SELF, as on Xen). */
int hcall_remote(const struct hcall *c, domid_t id, struct domain **d);
/* May the caller act on d as `who` says? */
bool hcall_may(const struct domain *caller, const struct domain *d, enum hcall_who who);

/* A handle of the caller: plain ones are as wide as its pointers, those in domctl, sysctl
 * and dm_op 64 bits always. Null handles are often requests for a size. */
#define HANDLE(h) ((uint64_t)(uintptr_t)(h).p)

/* Array of xen_ulong_t or xen_pfn_t in the caller's memory, element `i`. */
int hcall_read_long(const struct hcall *c, uint64_t array, uint64_t i, uint64_t *val);
int hcall_write_long(const struct hcall *c, uint64_t array, uint64_t i, uint64_t val);

/* Copy a bitmap between a mask of at most 64 bits and a struct xenctl_bitmap; what the
 * mask does not reach reads as 0. */
struct xenctl_bitmap;
int hcall_bitmap_get(const struct xenctl_bitmap *map, uint64_t *mask);
int hcall_bitmap_put(const struct xenctl_bitmap *map, uint64_t mask, unsigned int bits);

/* Look for interrupts and other vCPUs every 2^n rounds of a loop. */
void preempt_point(void);
static inline void hcall_breathe(uint64_t round)
{
    if ((round & 31) == 31)
        preempt_point();
}

/* Room for what only the ABI keeps of a domain, allocated at the first use. */
#define ABI_WATCHDOGS 2
struct abi_domain {
    uint32_t vm_assist; /* bit = VMASST_TYPE_* */
    uint64_t shared_info_gfn;
    bool shared_info_mapped;
    struct spinlock watchdog_lock; /* guards watchdog_inuse */
    uint32_t watchdog_inuse;
    struct timer watchdog[ABI_WATCHDOGS];
    int shutdown_code; /* SCHEDOP_shutdown_code; -1: not given */
    uint32_t suspend_port;
    uint32_t tsc_incarnation;
    bool debugging;
    uint64_t paging_mempool;   /* bytes, as the tools set it */
    struct spinlock vram_lock; /* guards vram_* */
    uint64_t vram_first;       /* range that a device model watches for writes */
    uint32_t vram_nr;
    bool vram_missed; /* pages of it may have been written that the next bitmap would not
                         show: it shows all */
    struct vnuma *vnuma; /* hypercall/vnuma.c */
};
/* physdev_op.c: did Dom0 tell us of this PCI device (segment, bus, devfn)? */
bool physdev_known(uint16_t segment, uint8_t bus, uint8_t devfn);

/* NULL if there is no memory. */
struct abi_domain *abi_of(struct domain *d);

/* Handlers, by file. */
long do_console_io(struct hcall *c);
long do_dm_op(struct hcall *c);
long do_domctl(struct hcall *c);
long do_event_channel_op(struct hcall *c);
long do_grant_table_op(struct hcall *c);
long do_hvm_op(struct hcall *c);
long do_memory_op(struct hcall *c);
long do_multicall(struct hcall *c);
long do_physdev_op(struct hcall *c);
long do_platform_op(struct hcall *c);
long do_sched_op(struct hcall *c);
long do_set_timer_op(struct hcall *c);
long do_sysctl(struct hcall *c);
long do_vcpu_op(struct hcall *c);
long do_vm_assist(struct hcall *c);
long do_xen_version(struct hcall *c);
long do_xenpmu_op(struct hcall *c);

#endif
