/*
 * What an unprivileged guest must not reach: other domains, the hypervisor, the machine.
 * Every refusal carries the ABI's error; nothing here may end the guest.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "isolation";

#define DOM0           0
#define DOMCTL_VERSION 0x15
#define SYSCTL_VERSION 0x15
#define MSR_VM_HSAVE   0xc0010117u
#define EFER_SVME      (1ul << 12)
#define BEYOND         (1ul << 38)
#define REFUSED(rc)    ((rc) == -XEN_EPERM || (rc) == -XEN_ESRCH || (rc) == -XEN_ENOSYS)

static void memory_of_others(void)
{
    domid_t dom0 = DOM0;
    struct xen_add_to_physmap foreign = {
        .domid = DOM0, .space = XENMAPSPACE_shared_info, .gpfn = unused_gfn(1)};
    struct xen_memory_reservation reservation = {.nr_extents = 1, .domid = DOM0};
    xen_pfn_t frame = 0x100;
    xen_ulong_t idx[1] = {0x100};
    xen_pfn_t gfn[1] = {unused_gfn(2)};
    int error[1] = {0};
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn_foreign, .size = 1};
    struct xen_remove_from_physmap away = {.domid = DOM0, .gpfn = 0x100};
    long rc;

    rc = memory_op(XENMEM_add_to_physmap, &foreign);
    check(REFUSED(rc), "Dom0's map is not ours to change (%ld)", rc);
    set_xen_guest_handle(batch.idxs, idx);
    set_xen_guest_handle(batch.gpfns, gfn);
    set_xen_guest_handle(batch.errs, error);
    batch.u.foreign_domid = DOM0;
    rc = memory_op(XENMEM_add_to_physmap_batch, &batch);
    check(rc < 0 || error[0] < 0, "Dom0's page is not mapped (%ld, %d)", rc, error[0]);
    set_xen_guest_handle(reservation.extent_start, &frame);
    rc = memory_op(XENMEM_decrease_reservation, &reservation);
    check(rc <= 0, "Dom0's memory is not given up (%ld)", rc);
    rc = memory_op(XENMEM_remove_from_physmap, &away);
    check(REFUSED(rc), "nor removed (%ld)", rc);
    rc = memory_op(XENMEM_current_reservation, &dom0);
    check(REFUSED(rc), "its size is not told (%ld)", rc);
}

static void events_and_grants(void)
{
    struct evtchn_status status = {.dom = DOM0, .port = 1};
    struct evtchn_alloc_unbound alloc = {.dom = DOM0, .remote_dom = DOMID_SELF};
    struct evtchn_reset reset = {.dom = DOM0};
    struct evtchn_bind_pirq pirq = {.pirq = 9};
    unsigned bound = 0, mapped = 0;
    long rc;

    rc = evtchn_op(EVTCHNOP_status, &status);
    check(REFUSED(rc), "status of Dom0's port (%ld)", rc);
    rc = evtchn_op(EVTCHNOP_alloc_unbound, &alloc);
    check(REFUSED(rc), "a port in Dom0 (%ld)", rc);
    rc = evtchn_op(EVTCHNOP_reset, &reset);
    check(REFUSED(rc), "reset of Dom0 (%ld)", rc);
    for (uint32_t port = 1; port < 200; port++) {
        struct evtchn_bind_interdomain bind = {.remote_dom = DOM0, .remote_port = port};

        bound += evtchn_op(EVTCHNOP_bind_interdomain, &bind) == 0;
    }
    check_eq(bound, 0, "no port of Dom0 lets us bind");
    rc = evtchn_op(EVTCHNOP_bind_pirq, &pirq);
    check(rc < 0, "a physical interrupt (%ld)", rc);
    for (uint32_t ref = 0; ref < 64; ref++) {
        struct gnttab_map_grant_ref map = {.host_addr = unused_gfn(3) << 12,
                                           .flags = GNTMAP_host_map,
                                           .ref = ref,
                                           .dom = DOM0};

        if (grant_table_op(GNTTABOP_map_grant_ref, &map, 1) == 0)
            mapped += map.status == GNTST_okay;
    }
    check_eq(mapped, 0, "no grant of Dom0 lets itself be mapped");
}

static void control(void)
{
    static uint32_t op[64];
    struct xen_hvm_param param = {.domid = DOM0, .index = HVM_PARAM_CALLBACK_IRQ};
    struct sched_remote_shutdown shutdown = {.domain_id = DOM0, .reason = SHUTDOWN_crash};
    long rc;
    unsigned bad = 0;

    for (uint32_t cmd = 1; cmd < 90; cmd++) {
        memset(op, 0, sizeof(op));
        op[0] = cmd;
        op[1] = DOMCTL_VERSION;
        rc = hypercall(__HYPERVISOR_domctl, PTR(op), 0, 0, 0, 0);
        bad += !(REFUSED(rc) || rc == -XEN_EACCES);
    }
    check_eq(bad, 0, "no domctl");
    bad = 0;
    for (uint32_t cmd = 1; cmd < 40; cmd++) {
        memset(op, 0, sizeof(op));
        op[0] = cmd;
        op[1] = SYSCTL_VERSION;
        rc = hypercall(__HYPERVISOR_sysctl, PTR(op), 0, 0, 0, 0);
        bad += !(REFUSED(rc) || rc == -XEN_EACCES);
    }
    check_eq(bad, 0, "no sysctl");
    memset(op, 0, sizeof(op));
    op[0] = 58;
    op[1] = 0x03000001; /* XENPF_INTERFACE_VERSION */
    rc = hypercall(__HYPERVISOR_platform_op, PTR(op), 0, 0, 0, 0);
    check(REFUSED(rc), "no platform_op (%ld)", rc);
    rc = hvm_op(HVMOP_get_param, &param);
    check(REFUSED(rc), "no parameter of Dom0 (%ld)", rc);
    rc = hvm_op(HVMOP_set_param, &param);
    check(REFUSED(rc), "none to set either (%ld)", rc);
    param = (struct xen_hvm_param){
        .domid = DOMID_SELF, .index = HVM_PARAM_IOREQ_PFN, .value = 1};
    rc = hvm_op(HVMOP_set_param, &param);
    check(rc < 0, "nor the ioreq page of ourselves (%ld)", rc);
    rc = sched_op(SCHEDOP_remote_shutdown, &shutdown);
    check(REFUSED(rc), "Dom0 is not shut down (%ld)", rc);
    rc = hypercall(__HYPERVISOR_dm_op, DOM0, 0, 0, 0, 0);
    check(rc < 0, "no dm_op on Dom0 (%ld)", rc);
    rc = hypercall(__HYPERVISOR_kexec_op, 0, PTR(op), 0, 0, 0);
    check(REFUSED(rc), "no kexec (%ld)", rc);
    rc = physdev_op(PHYSDEVOP_pci_device_add, op);
    check(rc < 0, "no PCI device is added (%ld)", rc);
}

static void write_hsave(void *arg)
{
    wrmsr(MSR_VM_HSAVE, 0x1000);
}
static void set_svme(void *arg)
{
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
}
static void do_vmrun(void *arg)
{
    asm volatile("vmrun" ::"a"(0x1000) : "memory");
}
static void do_vmload(void *arg)
{
    asm volatile("vmload" ::"a"(0x1000) : "memory");
}
static void do_stgi(void *arg)
{
    asm volatile("stgi");
}
static void do_vmxon(void *arg)
{
    uint64_t at = 0x1000;

    asm volatile("vmxon %0" ::"m"(at));
}

static void processor(void)
{
    static const struct {
        const char *name;
        void (*fn)(void *);
    } forbidden[] = {{"EFER.SVME", set_svme},
                     {"VMRUN", do_vmrun},
                     {"VMLOAD", do_vmload},
                     {"STGI", do_stgi},
                     {"VMXON", do_vmxon}};
    uint64_t value = 0;

    for (unsigned i = 0; i < ARRAY_LEN(forbidden); i++)
        check(catch_call(forbidden[i].fn, NULL).vector != VEC_NONE, "%s faults",
              forbidden[i].name);
    check(!(rdmsr(MSR_EFER) & EFER_SVME), "EFER.SVME stays clear");
    catch_call(write_hsave, NULL);
    rdmsr_catch(MSR_VM_HSAVE, &value);
    check(value != 0x1000, "VM_HSAVE_PA is not ours");
}

static void beyond_memory(void)
{
    uint64_t seen = 0;

    map_identity(BEYOND, 1ul << 21, false);
    for (uint64_t at = BEYOND; at < BEYOND + 0x10000; at += 0x1000)
        seen |= *(volatile uint64_t *)at + 1;
    check_eq(seen, 0, "beyond our memory everything reads as ones");
    *(volatile uint64_t *)BEYOND = 0;
    check_eq(*(volatile uint64_t *)BEYOND, ~0ul, "and writes vanish");
}

void test_main(void)
{
    if (env.dom0) {
        skip("Dom0 may do all this", "isolation");
        return;
    }
    processor();
    beyond_memory();
    if (!env.xen) {
        skip("no Xen leaves here", "hypercalls");
        return;
    }
    memory_of_others();
    events_and_grants();
    control();
}
