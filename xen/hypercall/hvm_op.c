/* hvm_op: parameters of a domain, upcall vectors, odds and ends (public/hvm/hvm_op.h,
 * params.h). The layouts are the same for 32-bit callers. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Refused as not there: altp2m, and of the deprecated parameters each.
 */
#include "hypercall/abi.h"
#include "hypercall/hypercall.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "hvm/intr.h"
#include "hvm/platform.h"
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>

#define FIRST_USABLE_VECTOR 16
#define TSS32_BYTES         104        /* the smallest TSS that VM86_TSS_SIZED may name */
#define VM86_TSS_REST       (32 + 128) /* redirection and I/O bitmaps it needs */

/* Values of HVM_PARAM_ACPI_S_STATE. */
#define S0 0
#define S3 3

/* What may be done with a parameter, besides what the call's right says. */
#define P_EXISTS     0x01
#define P_GUEST_GET  0x02 /* by the domain itself */
#define P_GUEST_SET  0x04
#define P_SET_ONCE   0x08 /* not changed again once it is not 0 */
#define P_READ_ONLY  0x10
#define P_GONE       0x20 /* of other architectures or gone: refused as if not allowed */
#define P_TOOL       P_EXISTS
#define P_GUEST_READ (P_EXISTS | P_GUEST_GET)
#define P_GUEST      (P_EXISTS | P_GUEST_GET | P_GUEST_SET)

static const uint8_t params[HVM_NR_PARAMS] = {
    [HVM_PARAM_CALLBACK_IRQ] = P_GUEST,
    [HVM_PARAM_STORE_PFN] = P_GUEST_READ,
    [HVM_PARAM_STORE_EVTCHN] = P_GUEST,
    [3] = P_GONE, /* APIC_ENABLED */
    [HVM_PARAM_IOREQ_PFN] = P_TOOL,
    [HVM_PARAM_BUFIOREQ_PFN] = P_TOOL,
    [7] = P_GONE, /* VHPT_ADDR */
    [8] = P_GONE, /* BUFPIOREQ_PFN */
    [HVM_PARAM_VIRIDIAN] = P_TOOL | P_SET_ONCE,
    [HVM_PARAM_TIMER_MODE] = P_TOOL,
    [HVM_PARAM_HPET_ENABLED] = P_TOOL,
    [HVM_PARAM_IDENT_PT] = P_TOOL,
    [HVM_PARAM_ACPI_S_STATE] = P_TOOL,
    [HVM_PARAM_VM86_TSS] = P_GUEST,
    [HVM_PARAM_VPT_ALIGN] = P_TOOL,
    [HVM_PARAM_CONSOLE_PFN] = P_GUEST_READ,
    [HVM_PARAM_CONSOLE_EVTCHN] = P_GUEST,
    [HVM_PARAM_ACPI_IOPORTS_LOCATION] = P_GUEST,
    [HVM_PARAM_BUFIOREQ_EVTCHN] = P_TOOL | P_READ_ONLY,
    [HVM_PARAM_PAGING_RING_PFN] = P_TOOL,
    [HVM_PARAM_MONITOR_RING_PFN] = P_TOOL,
    [HVM_PARAM_SHARING_RING_PFN] = P_TOOL,
    [HVM_PARAM_TRIPLE_FAULT_REASON] = P_TOOL,
    [HVM_PARAM_IOREQ_SERVER_PFN] = P_TOOL | P_SET_ONCE,
    [HVM_PARAM_NR_IOREQ_SERVER_PAGES] = P_TOOL | P_SET_ONCE,
    [HVM_PARAM_VM_GENERATION_ID_ADDR] = P_GUEST,
    [HVM_PARAM_ALTP2M] = P_GUEST_READ | P_SET_ONCE,
    [HVM_PARAM_X87_FIP_WIDTH] = P_GUEST,
    [HVM_PARAM_VM86_TSS_SIZED] = P_GUEST,
    [HVM_PARAM_MCA_CAP] = P_TOOL | P_SET_ONCE,
};

static void set_callback(struct vcpu *caller, struct domain *d, uint64_t value)
{
    enum callback_via_type via = CALLBACK_NONE;
    uint32_t what = (uint8_t)value;

    switch (value >> 56) {
    case HVM_PARAM_CALLBACK_TYPE_GSI:
        if (what)
            via = CALLBACK_GSI;
        break;
    case HVM_PARAM_CALLBACK_TYPE_PCI_INTX:
        via = CALLBACK_PCI_INTX;
        what = (uint8_t)(value >> 11 & 31) << 2 | (value & 3);
        break;
    case HVM_PARAM_CALLBACK_TYPE_VECTOR:
        via = CALLBACK_VECTOR;
        break;
    }
    if (caller->domain == d)
        hypercall_latch_layout(caller);
    hvm_set_callback(d, via, what);
}

/* Is this value one that the parameter can have? Returns what to store in *value. */
static int check_value(uint32_t index, uint64_t *value)
{
    switch (index) {
    case HVM_PARAM_VIRIDIAN:
        if (*value & ~(uint64_t)HVMPV_feature_mask || !(*value & HVMPV_base_freq))
            return -EINVAL;
        break;
    case HVM_PARAM_TIMER_MODE:
        if (*value > HVMPTM_one_missed_tick_pending)
            return -EINVAL;
        break;
    case HVM_PARAM_ACPI_S_STATE:
        if (*value != S0 && *value != S3)
            return -EINVAL;
        break;
    case HVM_PARAM_TRIPLE_FAULT_REASON:
        if (*value > SHUTDOWN_MAX)
            return -EINVAL;
        break;
    case HVM_PARAM_NR_IOREQ_SERVER_PAGES:
        if (*value == 0 || *value > 64)
            return -EINVAL;
        break;
    case HVM_PARAM_ALTP2M:
    case HVM_PARAM_MCA_CAP:
        if (*value)
            return -EINVAL;
        break;
    case HVM_PARAM_X87_FIP_WIDTH:
        if (*value != 0 && *value != 4 && *value != 8)
            return -EINVAL;
        break;
    case HVM_PARAM_VM86_TSS:
        if (*value >> 32)
            return -EINVAL;
        break;
    case HVM_PARAM_VM86_TSS_SIZED:
        if (*value >> 32 < TSS32_BYTES)
            return -EINVAL;
        *value = (uint32_t)*value |
                 min(*value >> 32, (uint64_t)TSS32_BYTES + VM86_TSS_REST) << 32;
        break;
    }
    return 0;
}

static long set_one(struct hcall *c, struct domain *d, uint32_t index, uint64_t value)
{
    unsigned int p = params[index];
    int rc;

    if (p & P_GONE)
        return d == c->v->domain ? -EPERM : -EINVAL;
    if (!(p & P_EXISTS) || p & P_READ_ONLY)
        return -EINVAL;
    if (d == c->v->domain && !(p & P_GUEST_SET))
        return -EPERM;
    if (p & P_SET_ONCE && d->hvm->params[index] && d->hvm->params[index] != value)
        return -EEXIST;
    rc = check_value(index, &value);
    if (rc)
        return rc;
    if (index == HVM_PARAM_ACPI_IOPORTS_LOCATION) {
        rc = platform_set_acpi_location(d, value);
        if (rc)
            return rc;
    }
    WRITE_ONCE(d->hvm->params[index], value);
    if (index == HVM_PARAM_CALLBACK_IRQ)
        set_callback(c->v, d, value);
    else if (index == HVM_PARAM_ACPI_S_STATE && value == S3)
        hvm_sleep(d);
    else if (index == HVM_PARAM_ACPI_S_STATE)
        hvm_wake(d);
    else if (index == HVM_PARAM_VM86_TSS)
        WRITE_ONCE(d->hvm->params[HVM_PARAM_VM86_TSS_SIZED],
                   value | (uint64_t)TSS32_BYTES << 32);
    return 0;
}

static long set_param(struct hcall *c)
{
    struct xen_hvm_param arg;
    struct domain *d;
    long rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.index >= HVM_NR_PARAMS)
        return -EINVAL;
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    rc = set_one(c, d, arg.index, arg.value);
    domain_put(d);
    return rc;
}

static long get_param(struct hcall *c)
{
    struct xen_hvm_param arg;
    struct domain *d;
    long rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.index >= HVM_NR_PARAMS)
        return -EINVAL;
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    if (params[arg.index] & P_GONE)
        rc = d == c->v->domain ? -EPERM : -EINVAL;
    else if (!(params[arg.index] & P_EXISTS))
        rc = -EINVAL;
    else if (d == c->v->domain && !(params[arg.index] & P_GUEST_GET))
        rc = -EPERM;
    else if (arg.index == HVM_PARAM_ACPI_S_STATE)
        arg.value = hvm_is_asleep(d) ? S3 : S0;
    else
        arg.value = READ_ONCE(d->hvm->params[arg.index]);
    domain_put(d);
    return rc ? rc : copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

static long set_upcall_vector(struct hcall *c)
{
    struct xen_hvm_evtchn_upcall_vector arg;
    struct vcpu *v;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.vector < FIRST_USABLE_VECTOR)
        return -EINVAL;
    v = domain_vcpu(c->v->domain, arg.vcpu);
    if (!v)
        return -ENOENT;
    hvm_set_upcall_vector(v, arg.vector);
    return 0;
}

static long get_time(struct hcall *c)
{
    struct xen_hvm_get_time arg = {.now = now_ns()};

    return copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

static uint16_t mem_type_of(enum p2m_type type)
{
    switch (type) {
    case P2M_RAM_RO:
    case P2M_GRANT_RO:
        return HVMMEM_ram_ro;
    case P2M_IOREQ_WRITE:
        return HVMMEM_ioreq_server;
    case P2M_INVALID:
    case P2M_MMIO_DM:
    case P2M_MMIO_DIRECT:
        return HVMMEM_mmio_dm;
    default:
        return HVMMEM_ram_rw;
    }
}

static long get_mem_type(struct hcall *c)
{
    struct xen_hvm_get_mem_type arg;
    enum p2m_type type;
    struct domain *d;
    long rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    rc = hcall_target(c, arg.domid, &d);
    if (rc)
        return rc;
    p2m_lookup(d, GFN(arg.pfn), &type, NULL);
    arg.mem_type = mem_type_of(type);
    domain_put(d);
    return copy_to_guest(c->arg[1], &arg, sizeof(arg));
}

/* Nobody traces, but a wrong argument is one. */
static long xentrace(struct hcall *c)
{
    struct xen_hvm_xentrace arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    return arg.extra_bytes > sizeof(arg.extra) ? -EINVAL : 0;
}

/* A hint for shadow paging. */
static long pagetable_dying(struct hcall *c)
{
    struct xen_hvm_pagetable_dying arg;

    return copy_from_guest(&arg, c->arg[1], sizeof(arg)) ? -EFAULT : -EINVAL;
}

static long flush_tlbs(struct hcall *c)
{
    if (c->arg[1])
        return -EINVAL;
    c->v->hvm->flush_tlb = true;
    p2m_flush(c->v->domain);
    return 0;
}

long do_hvm_op(struct hcall *c)
{
    switch ((uint8_t)c->arg[0]) {
    case HVMOP_set_param:
        return set_param(c);
    case HVMOP_get_param:
        return get_param(c);
    case HVMOP_set_evtchn_upcall_vector:
        return set_upcall_vector(c);
    case HVMOP_flush_tlbs:
        return flush_tlbs(c);
    case HVMOP_get_time:
        return get_time(c);
    case HVMOP_get_mem_type:
        return get_mem_type(c);
    case HVMOP_xentrace:
        return xentrace(c);
    case HVMOP_pagetable_dying:
        return pagetable_dying(c);
    case HVMOP_guest_request_vm_event: /* nobody listens */
        return c->arg[1] ? -EINVAL : 0;
    case HVMOP_altp2m:
        return -EOPNOTSUPP;
    }
    return -ENOSYS;
}
