/* Hyper-V enlightenments: what makes Windows ask the hypervisor less often.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Hypervisor Top Level Functional Specification 6.0: CPUID leaves (2.4), hypercall page
 * (3.13), partition reference time (12), local APIC MSRs (10.2). No hypercall is offered:
 * the hypercall page answers "invalid code" without leaving the guest. SynIC and
 * synthetic timers are in synic.c. No TLB-flush hypercalls, no EOI assist.
 */
#include "hvm/viridian.h"
#include "hvm/cpuid.h"
#include "hvm/synic.h"
#include "hvm/vlapic.h"
#include "hvm/tsc.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/printk.h"
#include "mm/frame.h"

#define HV_GUEST_OS_ID    0x40000000
#define HV_HYPERCALL      0x40000001
#define HV_VP_INDEX       0x40000002
#define HV_TIME_REF_COUNT 0x40000020
#define HV_REFERENCE_TSC  0x40000021
#define HV_TSC_FREQUENCY  0x40000022
#define HV_APIC_FREQUENCY 0x40000023
#define HV_EOI            0x40000070
#define HV_ICR            0x40000071
#define HV_TPR            0x40000072
#define HV_VP_ASSIST      0x40000073
#define HV_SYNIC          0x40000080
#define HV_SYNIC_END      0x400000bf
#define HV_CRASH_P0       0x40000100
#define HV_CRASH_CTL      0x40000105

#define PAGE_ENABLE  1u
#define HV_TICK_NS   100
#define CRASH_NOTIFY BIT(63)

static bool wants(const struct domain *d, uint32_t feature)
{
    return d->hvm->params[HVM_PARAM_VIRIDIAN] & feature;
}

static bool has_frequencies(const struct domain *d)
{
    return !wants(d, HVMPV_no_freq);
}

/* Two vCPUs may get here at once: the second's is thrown away. */
struct viridian *viridian_get(struct domain *d)
{
    struct viridian *h = __atomic_load_n(&d->hvm->viridian, __ATOMIC_ACQUIRE),
                    *none = NULL;

    if (h)
        return h;
    h = zalloc(sizeof(*h));
    if (!h)
        return NULL;
    h->time_base = hvm_guest_time(d);
    if (!__atomic_compare_exchange_n(&d->hvm->viridian, &none, h, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        zfree(h);
        h = none;
    }
    return h;
}

void viridian_domain_destroy(struct domain *d)
{
    zfree(d->hvm->viridian);
    d->hvm->viridian = NULL;
}

void viridian_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t out[4])
{
    const struct domain *d = v->domain;

    switch (leaf) {
    case 0x40000000:
        out[0] = 0x40000006;
        out[1] = 0x7263694d; /* Microsoft Hv */
        out[2] = 0x666f736f;
        out[3] = 0x76482074;
        break;
    case 0x40000001:
        out[0] = 0x31237648; /* Hv#1 */
        break;
    case 0x40000002: /* version of the interface that is modelled: that of Server 2008 */
        out[0] = 0x1772;
        out[1] = 6 << 16;
        break;
    case 0x40000003:
        out[0] = BIT(4) | BIT(5) | BIT(6); /* APIC, hypercall, VP index MSRs */
        if (wants(d, HVMPV_time_ref_count))
            out[0] |= BIT(1);
        if (wants(d, HVMPV_synic))
            out[0] |= BIT(2);
        if (wants(d, HVMPV_stimer))
            out[0] |= BIT(3);
        if (wants(d, HVMPV_reference_tsc))
            out[0] |= BIT(9);
        if (has_frequencies(d)) {
            out[0] |= BIT(11);
            out[3] |= BIT(8);
        }
        if (wants(d, HVMPV_crash_ctl))
            out[3] |= BIT(10);
        break;
    case 0x40000004:
        out[0] = BIT(5); /* relaxed timing: no watchdogs on a busy machine */
        if (!v->hvm->vlapic->x2apic)
            out[0] |= BIT(3); /* APIC through MSRs, not through its page */
        if (v->hvm->vlapic->page)
            out[0] |= BIT(9); /* no automatic EOI: the processor delivers vectors */
        out[1] = 2047;        /* spins before a long wait is told: never is */
        break;
    case 0x40000005:
        out[0] = out[1] = MAX_GUEST_VCPUS;
        break;
    case 0x40000006:
        out[0] = BIT(1) | BIT(3); /* MSR bitmaps, nested paging */
        break;
    }
}

static uint64_t count_at(const struct domain *d, ns_t time)
{
    return (uint64_t)(time - d->hvm->viridian->time_base) / HV_TICK_NS;
}

uint64_t viridian_reference_count(const struct domain *d)
{
    return count_at(d, hvm_guest_time(d));
}

/* Reference TSC page: count = (TSC * scale >> 64) + offset while sequence is not 0; with
 * 0 the guest reads the MSR instead. */
static void write_tsc_page(struct vcpu *v, const struct viridian *h)
{
    struct {
        uint32_t sequence, reserved;
        uint64_t scale;
        int64_t offset;
    } page = {0};
    uint64_t gpa = h->reference_tsc & PAGE_MASK;

    if (domain_has_feature(v->domain, XEN_X86_FEATURE_ITSC) &&
        hvm_tsc_hz(v->domain) > NS_PER_S / HV_TICK_NS) {
        uint64_t quotient, remainder, now = rdtsc();

        /* 2^64 * 10^7 / Hz; the quotient fits, for the TSC is faster than 10 MHz. */
        __asm__("divq %4"
                : "=a"(quotient), "=d"(remainder)
                : "a"(0ull), "d"((uint64_t)(NS_PER_S / HV_TICK_NS)),
                  "r"(hvm_tsc_hz(v->domain))
                : "cc");
        page.sequence = 1;
        page.scale = quotient;
        /* Both of the same moment. */
        page.offset =
            count_at(v->domain, tsc_to_ns(now)) -
            (uint64_t)(((unsigned __int128)hvm_guest_tsc_at(v, now) * quotient) >> 64);
    }
    (void)guest_write_phys(v->domain, gpa, &page, sizeof(page));
}

void viridian_loaded(struct vcpu *v)
{
    const struct viridian *h = v->domain->hvm->viridian;

    if (h->reference_tsc & PAGE_ENABLE)
        write_tsc_page(v, h);
}

/* mov $2 (HV_STATUS_INVALID_HYPERCALL_CODE), %eax; xor %edx, %edx; ret */
static void write_hypercall_page(struct domain *d, uint64_t msr)
{
    static const uint8_t code[] = {0xb8, 2, 0, 0, 0, 0x31, 0xd2, 0xc3};

    (void)guest_write_phys(d, msr & PAGE_MASK, code, sizeof(code));
}

int viridian_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    struct viridian *h = viridian_get(v->domain);
    struct vlapic *s = v->hvm->vlapic;

    if (!h)
        return -EINVAL;
    switch (msr) {
    case HV_GUEST_OS_ID:
        *val = h->guest_os_id;
        return 0;
    case HV_HYPERCALL:
        *val = h->hypercall;
        return 0;
    case HV_VP_INDEX:
        *val = v->id;
        return 0;
    case HV_TIME_REF_COUNT:
        *val = viridian_reference_count(v->domain);
        return wants(v->domain, HVMPV_time_ref_count) ? 0 : -EINVAL;
    case HV_REFERENCE_TSC:
        *val = h->reference_tsc;
        return wants(v->domain, HVMPV_reference_tsc) ? 0 : -EINVAL;
    case HV_TSC_FREQUENCY:
        *val = hvm_tsc_hz(v->domain);
        return has_frequencies(v->domain) ? 0 : -EINVAL;
    case HV_APIC_FREQUENCY:
        *val = NS_PER_S / APIC_BUS_NS;
        return has_frequencies(v->domain) ? 0 : -EINVAL;
    case HV_ICR:
        vlapic_pull(s);
        *val = (uint64_t)s->icr_hi << 32 | s->icr_lo;
        return 0;
    case HV_TPR:
        *val = s->tpr;
        return 0;
    case HV_VP_ASSIST:
        *val = h->vp_assist[v->id];
        return 0;
    case HV_SYNIC ... HV_SYNIC_END:
        return wants(v->domain, HVMPV_synic) ? synic_msr_read(v, msr, val) : -EINVAL;
    case HV_CRASH_P0 ... HV_CRASH_P0 + 4:
        *val = h->crash[msr - HV_CRASH_P0];
        return wants(v->domain, HVMPV_crash_ctl) ? 0 : -EINVAL;
    case HV_CRASH_CTL:
        *val = CRASH_NOTIFY;
        return wants(v->domain, HVMPV_crash_ctl) ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static int write_crash(struct domain *d, struct viridian *h, uint32_t msr, uint64_t val)
{
    if (!wants(d, HVMPV_crash_ctl))
        return -EINVAL;
    if (msr != HV_CRASH_CTL)
        h->crash[msr - HV_CRASH_P0] = val;
    else if (val & CRASH_NOTIFY)
        printk_guest("d%d: the guest reports a crash: %#lx %#lx %#lx %#lx %#lx\n", d->id,
                     (unsigned long)h->crash[0], (unsigned long)h->crash[1],
                     (unsigned long)h->crash[2], (unsigned long)h->crash[3],
                     (unsigned long)h->crash[4]);
    return 0;
}

int viridian_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct viridian *h = viridian_get(v->domain);
    struct vlapic *s = v->hvm->vlapic;

    if (!h)
        return -EINVAL;
    switch (msr) {
    case HV_GUEST_OS_ID:
        h->guest_os_id = val;
        if (!val)
            h->hypercall &= ~(uint64_t)PAGE_ENABLE;
        return 0;
    case HV_HYPERCALL:
        h->hypercall = h->guest_os_id ? val : val & ~(uint64_t)PAGE_ENABLE;
        if (h->hypercall & PAGE_ENABLE)
            write_hypercall_page(v->domain, h->hypercall);
        return 0;
    case HV_REFERENCE_TSC:
        if (!wants(v->domain, HVMPV_reference_tsc))
            return -EINVAL;
        h->reference_tsc = val;
        if (val & PAGE_ENABLE)
            write_tsc_page(v, h);
        return 0;
    case HV_EOI:
        vlapic_eoi(s);
        return 0;
    case HV_ICR:
        if (s->x2apic) {
            s->icr_hi = val >> 32;
            vlapic_icr_write(s, val, val >> 32);
        } else {
            s->icr_hi = val >> 32 & 0xff000000;
            vlapic_icr_write(s, val, val >> 56);
        }
        return 0;
    case HV_TPR:
        vlapic_set_tpr_byte(s, val);
        return 0;
    case HV_VP_ASSIST:
        h->vp_assist[v->id] = val;
        if (val & PAGE_ENABLE) {
            uint32_t none = 0; /* no EOI assist */

            (void)guest_write_phys(v->domain, val & PAGE_MASK, &none, sizeof(none));
        }
        return 0;
    case HV_SYNIC ... HV_SYNIC_END:
        return wants(v->domain, HVMPV_synic) ? synic_msr_write(v, msr, val) : -EINVAL;
    case HV_CRASH_P0 ... HV_CRASH_CTL:
        return write_crash(v->domain, h, msr, val);
    }
    return -EINVAL;
}
