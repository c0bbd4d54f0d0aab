/* The PV clock, the runstate and vcpu_info: areas in a guest's memory that we write
 * (public/xen.h, vcpu.h). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest registers an area by virtual address. It is looked up once, then and there, and
 * its pages are held: a kernel does not move its per-CPU data. An area may lie across two
 * pages.
 */
#include "hypercall/pvclock.h"
#include "hypercall/abi.h"
#include "hypercall/vcpu_timer.h"
#include "cpu/percpu.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "mm/frame.h"
#include "lib/string.h"
#include "hvm/tsc.h"
#include <xen/vcpu.h>

#define PVCLOCK_MAX_AGE NS_PER_S

struct guest_area {
    uint8_t *part[2]; /* where it starts, and where it goes on */
    mfn_t mfn[2];
    uint32_t split; /* bytes in the first part */
};

static struct spinlock wallclock_lock; /* guards the wall clock of the machine */
static uint32_t wallclock_boot_ns;

static void area_write(const struct guest_area *a, uint32_t offset, const void *from,
                       uint32_t bytes)
{
    uint32_t first = offset < a->split ? min(bytes, a->split - offset) : 0;

    if (first)
        memcpy(a->part[0] + offset, from, first);
    if (bytes > first)
        memcpy(a->part[1] + (offset + first - a->split), (const char *)from + first,
               bytes - first);
}

static void area_free(struct guest_area *a)
{
    if (!a)
        return;
    for (int i = 0; i < 2; i++)
        if (mfn_valid_number(a->mfn[i]))
            frame_put(a->mfn[i]);
    zfree(a);
}

/* The page at a virtual address of the caller, referenced, as plain writable RAM. */
static int hold_gva(uint64_t gva, mfn_t *mfn)
{
    uint32_t pfec = PFEC_WRITE;
    enum p2m_type type;
    uint64_t gpa;

    *mfn = INVALID_MFN;
    if (guest_walk(current, gva, &pfec, &gpa))
        return -EFAULT;
    *mfn = p2m_get_frame(current->domain, gpa_to_gfn(gpa), true, &type);
    if (!mfn_valid_number(*mfn))
        return -EFAULT;
    if (p2m_is_ram(type))
        return 0;
    frame_put(*mfn);
    *mfn = INVALID_MFN;
    return -EFAULT;
}

static int area_map(uint64_t gva, uint32_t bytes, struct guest_area **out)
{
    struct guest_area *a = zalloc(sizeof(*a));
    uint32_t offset = gva & (PAGE_SIZE - 1);
    int rc;

    if (!a)
        return -ENOMEM;
    a->mfn[0] = a->mfn[1] = INVALID_MFN;
    a->split = min(bytes, (uint32_t)PAGE_SIZE - offset);
    rc = hold_gva(gva, &a->mfn[0]);
    if (!rc && a->split < bytes)
        rc = hold_gva(gva + a->split, &a->mfn[1]);
    if (rc) {
        area_free(a);
        return rc;
    }
    a->part[0] = (uint8_t *)mfn_to_virt(a->mfn[0]) + offset;
    a->part[1] = mfn_valid_number(a->mfn[1]) ? mfn_to_virt(a->mfn[1]) : NULL;
    *out = a;
    return 0;
}

/* Put a new area in the place of v's old one. v is kept off its CPU meanwhile, so that
 * nobody writes to the old one. */
static void area_replace(struct vcpu *v, struct guest_area **slot, struct guest_area *a)
{
    struct guest_area *old;

    if (v != current)
        vcpu_pause(v);
    old = *slot;
    *slot = a;
    if (v != current)
        vcpu_unpause(v);
    area_free(old);
}

/*
 * Runstate
 */

static uint32_t runstate_to_guest(const struct vcpu *v,
                                  const struct vcpu_runstate_info *from, uint8_t *to,
                                  uint32_t *time_offset)
{
    bool compat = evtchn_layout_32bit(v->domain);

    /* int state; uint64_t entry time, times: a 32-bit guest has no hole behind state. */
    *time_offset = compat ? 4 : 8;
    memset(to, 0, sizeof(*from));
    memcpy(to, &from->state, 4);
    memcpy(to + *time_offset, &from->state_entry_time, 40);
    return *time_offset + 40;
}

static void runstate_write(struct vcpu *v, const struct vcpu_runstate_info *now)
{
    const struct guest_area *a = v->runstate_guest;
    const struct abi_domain *abi = v->domain->abi;
    bool announce = abi && abi->vm_assist & BIT(VMASST_TYPE_runstate_update_flag);
    struct vcpu_runstate_info copy = *now;
    uint32_t time_offset, bytes;
    uint8_t image[sizeof(copy)];

    if (announce)
        copy.state_entry_time |= XEN_RUNSTATE_UPDATE;
    bytes = runstate_to_guest(v, &copy, image, &time_offset);
    if (announce) { /* the mark first, then the rest, then take the mark away */
        area_write(a, time_offset, image + time_offset, 8);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    area_write(a, 0, image, bytes);
    if (announce) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        copy.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
        area_write(a, time_offset, &copy.state_entry_time, 8);
    }
}

void runstate_update(struct vcpu *v)
{
    if (v->runstate_guest)
        runstate_write(v, &v->runstate);
}

int runstate_register(struct vcpu *v, uint64_t gva)
{
    uint32_t bytes = evtchn_layout_32bit(v->domain) ? 44 : 48;
    struct vcpu_runstate_info now;
    struct guest_area *a = NULL;
    int rc = gva ? area_map(gva, bytes, &a) : 0;

    if (rc)
        return rc;
    area_replace(v, &v->runstate_guest, a);
    if (a) {
        vcpu_runstate_get(v, &now);
        runstate_write(v, &now);
    }
    return 0;
}

/*
 * PV clock
 */

/* The version is odd while the rest changes. */
static void time_write(const struct vcpu_time_info *t, struct vcpu_time_info *to)
{
    uint32_t version = (READ_ONCE(to->version) + 1) | 1;

    WRITE_ONCE(to->version, version);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy((char *)to + 4, (const char *)t + 4, sizeof(*t) - 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    WRITE_ONCE(to->version, version + 1);
}

static void time_write_area(const struct vcpu_time_info *t, const struct guest_area *a)
{
    static uint32_t version; /* races only make it skip */
    uint32_t v = (__atomic_add_fetch(&version, 2, __ATOMIC_RELAXED)) | 1;

    area_write(a, 0, &v, 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    area_write(a, 4, (const char *)t + 4, sizeof(*t) - 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    v++;
    area_write(a, 0, &v, 4);
}

void pvclock_update(struct vcpu *v)
{
    struct vcpu_time_info t = {0};
    uint64_t tsc = rdtsc();
    ns_t now = tsc_to_ns(tsc);

    if (v->pvclock_updated && v->pvclock_tsc_offset == v->hvm->tsc_offset &&
        now - v->pvclock_updated < PVCLOCK_MAX_AGE)
        return;
    v->pvclock_updated = now;
    v->pvclock_tsc_offset = v->hvm->tsc_offset;
    t.tsc_timestamp = hvm_guest_tsc_at(v, tsc);
    t.system_time = now;
    hvm_tsc_pv_scale(v->domain, &t.tsc_to_system_mul, &t.tsc_shift);
    t.flags = XEN_PVCLOCK_TSC_STABLE_BIT; /* system time is the TSC, on all CPUs */
    time_write(&t, &v->info->time);
    if (v->time_guest)
        time_write_area(&t, v->time_guest);
}

int pvclock_register(struct vcpu *v, uint64_t gva)
{
    struct guest_area *a = NULL;
    int rc = gva ? area_map(gva, sizeof(struct vcpu_time_info), &a) : 0;

    if (rc)
        return rc;
    area_replace(v, &v->time_guest, a);
    v->pvclock_updated = 0;
    if (v == current)
        pvclock_update(v);
    return 0;
}

/*
 * Wall clock: of system time 0, in seconds and nanoseconds
 */

/* Words of the shared info page behind the two bitmaps (xen.h, arch-x86/xen.h). */
struct wallclock_place {
    uint32_t *version, *sec, *nsec, *sec_hi;
};

static struct wallclock_place wallclock_of(struct domain *d)
{
    bool compat = evtchn_layout_32bit(d);
    char *si = (char *)d->shared_info;
    uint32_t *wc;

    if (!compat)
        return (struct wallclock_place){&d->shared_info->wc_version,
                                        &d->shared_info->wc_sec, &d->shared_info->wc_nsec,
                                        &d->shared_info->wc_sec_hi};
    /* 32 words of 32 bits each; wc_sec_hi is the last of arch_shared_info, behind
     * max_pfn, the frame list, nmi_reason, p2m_cr3, p2m_vaddr, p2m_generation. */
    wc = (uint32_t *)(si + offsetof(struct shared_info, evtchn_pending) + 2 * 128);
    return (struct wallclock_place){&wc[0], &wc[1], &wc[2], &wc[9]};
}

void wallclock_update(struct domain *d)
{
    struct wallclock_place p;
    uint32_t version, nsec;
    uint64_t sec;

    if (!d->shared_info)
        return;
    p = wallclock_of(d);
    spin_lock(&wallclock_lock);
    sec = wallclock_boot_s + d->time_offset_s;
    nsec = wallclock_boot_ns;
    version = (READ_ONCE(*p.version) + 1) | 1;
    WRITE_ONCE(*p.version, version);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *p.sec = (uint32_t)sec;
    *p.nsec = nsec;
    *p.sec_hi = sec >> 32;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    WRITE_ONCE(*p.version, version + 1);
    spin_unlock(&wallclock_lock);
}

void wallclock_set(uint64_t s, uint32_t ns, ns_t system_time)
{
    int64_t at_boot_ns = (int64_t)ns - system_time % NS_PER_S;

    s -= system_time / NS_PER_S;
    if (at_boot_ns < 0) {
        at_boot_ns += NS_PER_S;
        s--;
    }
    spin_lock(&wallclock_lock);
    wallclock_boot_s = s;
    wallclock_boot_ns = at_boot_ns;
    spin_unlock(&wallclock_lock);
    for (unsigned int id = 0; id < MAX_DOMAINS; id++) {
        struct domain *d = domain_peek(id) ? domain_get_by_id(id) : NULL;

        if (!d)
            continue;
        if (!domain_is_dying(d))
            wallclock_update(d);
        domain_put(d);
    }
}

/*
 * vcpu_info
 */

/* It does not look at its vcpu_info: off line, in wait for SIPI, or in HLT with
 * interrupts off, which is how a BIOS leaves the processors that it does not boot from.
 */
static bool is_down(const struct vcpu *v)
{
    return v->state == VCPU_OFFLINE || v->hvm->wait_sipi ||
           (v->hvm->hlt && !(v->hvm->regs.rflags & RFLAGS_IF));
}

int vcpu_info_register(struct vcpu *v, uint64_t gfn, uint32_t offset)
{
    enum p2m_type type;
    mfn_t mfn;

    /* Aligned, so that it does not cross a cache line and our bit operations on it lock
     * no bus. */
    if (offset > PAGE_SIZE - sizeof(struct vcpu_info) || offset & 7)
        return -ENXIO;
    if (mfn_valid_number(v->info_mfn) || (v != current && !is_down(v)))
        return -EINVAL;
    mfn = p2m_get_frame(v->domain, GFN(gfn), true, &type);
    if (!mfn_valid_number(mfn))
        return -EINVAL;
    if (!p2m_is_ram(type)) {
        frame_put(mfn);
        return -EINVAL;
    }
    v->info_mfn = mfn;
    evtchn_vcpu_info_moved(v, (void *)((char *)mfn_to_virt(mfn) + offset));
    v->pvclock_updated = 0;
    if (v == current)
        pvclock_update(v);
    return 0;
}

void vcpu_unmap_guest_areas(struct vcpu *v)
{
    area_free(v->runstate_guest);
    area_free(v->time_guest);
    v->runstate_guest = v->time_guest = NULL;
    v->info = evtchn_default_info(v);
    if (mfn_valid_number(v->info_mfn))
        frame_put(v->info_mfn);
    v->info_mfn = INVALID_MFN;
}
