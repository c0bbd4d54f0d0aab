/*
 * hvm_op on ourselves, the ways an upcall comes, multicall, physdev_op, console_io, an
 * operation of platform_op, and what an unprivileged caller may not do (xen/hvm/hvm_op.h,
 * xen/hvm/params.h, xen/platform.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"
#include "apic.h"

#include <xen/platform.h>

const char test_title[] = "hvmops";

#define VECTOR_PARAM  0x51
#define VECTOR_UPCALL 0x52
#define NOWHERE       0x700000000000ul
#define WAIT_MS       500
#define PIC_COMMAND   0x20
#define PIC_READ_IRR  0x0a /* OCW3 */
#define PIC_LINE      5

static struct shared_info *shared;
static volatile uint32_t by_param, by_upcall;

static void on_param(struct regs *regs)
{
    by_param++;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
}

static void on_upcall(struct regs *regs)
{
    by_upcall++;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    apic_eoi();
}

static uint32_t ipi_port(void)
{
    struct evtchn_bind_ipi bind = {.vcpu = 0};

    evtchn_op(EVTCHNOP_bind_ipi, &bind);
    shared->evtchn_mask[bind.port / 64] &= ~(1ul << bind.port % 64);
    return bind.port;
}

static void send(uint32_t port)
{
    struct evtchn_send arg = {.port = port};

    shared->evtchn_pending[port / 64] = 0;
    shared->vcpu_info[0].evtchn_pending_sel = 0;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    evtchn_op(EVTCHNOP_send, &arg);
}

static void params(void)
{
    struct xen_hvm_param bad = {.domid = DOMID_SELF, .index = HVM_NR_PARAMS};
    uint64_t value = (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | VECTOR_PARAM;

    check_eq((uint64_t)hvm_param_set(HVM_PARAM_CALLBACK_IRQ, value), 0,
             "set CALLBACK_IRQ");
    check_eq(hvm_param_get(HVM_PARAM_CALLBACK_IRQ), value, "get it back");
    check_eq((uint64_t)hvm_op(HVMOP_get_param, &bad), (uint64_t)-XEN_EINVAL,
             "get a parameter that does not exist");
    check_eq((uint64_t)hvm_op(HVMOP_set_param, &bad), (uint64_t)-XEN_EINVAL,
             "set a parameter that does not exist");
    bad = (struct xen_hvm_param){.domid = 0x1234, .index = HVM_PARAM_CALLBACK_IRQ};
    check_eq((uint64_t)hvm_op(HVMOP_get_param, &bad), (uint64_t)-XEN_ESRCH,
             "get a parameter of nobody");
    check_eq((uint64_t)hvm_op(HVMOP_get_param, (void *)NOWHERE), (uint64_t)-XEN_EFAULT,
             "get to nowhere");
    check_eq((uint64_t)hvm_op(1000, &bad), (uint64_t)-XEN_ENOSYS, "unknown sub-op");
}

/* Linux names its upcall vector on the way out of a suspend, before it enables its local
 * APIC, and then asks for a line, too (HVM_PARAM_CALLBACK_IRQ 1, a GSI). */
static void upcall_of_a_disabled_apic(uint32_t port)
{
    struct xen_hvm_evtchn_upcall_vector vector = {.vcpu = 0, .vector = VECTOR_UPCALL};
    uint32_t svr = apic_read(APIC_SVR), before = by_upcall;
    uint8_t requests;

    check_eq((uint64_t)hvm_param_set(HVM_PARAM_CALLBACK_IRQ, 0), 0, "no CALLBACK_IRQ");
    apic_write(APIC_SVR, svr & ~APIC_SVR_ENABLE);
    shared->vcpu_info[0].evtchn_upcall_pending = 1;
    check_eq((uint64_t)hvm_op(HVMOP_set_evtchn_upcall_vector, &vector), 0,
             "an upcall vector while the APIC is disabled");
    check_eq((uint64_t)hvm_param_set(HVM_PARAM_CALLBACK_IRQ, PIC_LINE), 0,
             "and a line beside it");
    outb(PIC_COMMAND, PIC_READ_IRR);
    requests = inb(PIC_COMMAND);
    check(env.dom0 || requests == 0xff || !(requests >> PIC_LINE & 1),
          "the line stays low beside a vector: IRR %x", requests);
    apic_write(APIC_SVR, svr);
    check(wait_change(&by_upcall, before, WAIT_MS),
          "the upcall comes when the APIC is enabled");
    before = by_upcall;
    send(port);
    check(wait_change(&by_upcall, before, WAIT_MS), "and the next one, too");
}

static void upcalls(void)
{
    struct xen_hvm_evtchn_upcall_vector vector = {.vcpu = 0, .vector = VECTOR_UPCALL};
    uint32_t port = ipi_port(), before = by_param;

    send(port);
    check(wait_change(&by_param, before, WAIT_MS), "callback by HVM_PARAM_CALLBACK_IRQ");
    check_eq((uint64_t)hvm_op(HVMOP_set_evtchn_upcall_vector, &vector), 0,
             "set_evtchn_upcall_vector");
    before = by_upcall;
    send(port);
    check(wait_change(&by_upcall, before, WAIT_MS),
          "the upcall vector comes by the APIC");
    before = by_upcall;
    send(port);
    check(wait_change(&by_upcall, before, WAIT_MS), "and again after the EOI");
    upcall_of_a_disabled_apic(port);
    vector.vector = 5;
    check_eq((uint64_t)hvm_op(HVMOP_set_evtchn_upcall_vector, &vector),
             (uint64_t)-XEN_EINVAL, "a vector below 16 is refused");
    vector = (struct xen_hvm_evtchn_upcall_vector){.vcpu = 4000, .vector = VECTOR_UPCALL};
    check_eq((uint64_t)hvm_op(HVMOP_set_evtchn_upcall_vector, &vector),
             (uint64_t)-XEN_ENOENT, "no such vCPU");
}

static void multicalls(void)
{
    static struct multicall_entry calls[3];

    calls[0] = (struct multicall_entry){.op = __HYPERVISOR_xen_version,
                                        .args = {XENVER_version, 0}};
    calls[1] = (struct multicall_entry){.op = 63};
    calls[2] =
        (struct multicall_entry){.op = __HYPERVISOR_sched_op, .args = {SCHEDOP_yield, 0}};
    check_eq((uint64_t)multicall(calls, 3), 0, "multicall of three");
    check_eq(calls[0].result, env.xen_version, "multicall: the first result");
    check_eq(calls[1].result, (uint64_t)-XEN_ENOSYS, "multicall: the bad one");
    check_eq(calls[2].result, 0, "multicall: the third result");
    check_eq((uint64_t)multicall(calls, 0), 0, "multicall of none");
    check_eq((uint64_t)multicall((void *)NOWHERE, 1), (uint64_t)-XEN_EFAULT,
             "multicall of nowhere");
}

static uint64_t user_hypercall(uint64_t arg)
{
    return (uint64_t)xen_version_op(XENVER_version, NULL);
}

static void privileges(void)
{
    struct fault f;
    uint64_t result = user_call(user_hypercall, 0, &f);

    check(f.vector != VEC_NONE || result == (uint64_t)-XEN_EPERM,
          "a hypercall from ring 3 is refused");
    check_eq((uint64_t)hypercall(63, 0, 0, 0, 0, 0), (uint64_t)-XEN_ENOSYS,
             "hypercall 63 does not exist");
    check_eq((uint64_t)hypercall(__HYPERVISOR_mmu_update, 0, 0, 0, 0, 0),
             (uint64_t)-XEN_ENOSYS, "mmu_update is for PV guests");
    check_eq((uint64_t)hypercall(__HYPERVISOR_set_trap_table, 0, 0, 0, 0, 0),
             (uint64_t)-XEN_ENOSYS, "set_trap_table, too");
}

static void physdev(void)
{
    struct physdev_get_free_pirq pirq = {.type = MAP_PIRQ_TYPE_GSI};
    long rc = physdev_op(1000, &pirq);

    check(rc == -XEN_ENOSYS, "unknown physdev_op: %ld", rc);
}

/* Entries that are wrong, each behind a good one (TSC) and as the first. */
static void resource(void)
{
    static const struct {
        struct xenpf_resource_entry entry;
        int error;
        const char *name;
    } bad[] = {
        {{.u.cmd = XEN_RESOURCE_OP_MSR_READ, .idx = MSR_EFER}, -XEN_EPERM, "EFER"},
        {{.u.cmd = XEN_RESOURCE_OP_MSR_WRITE, .idx = MSR_TSC}, -XEN_EPERM, "a write"},
        {{.u.cmd = XEN_RESOURCE_OP_MSR_READ, .idx = 1ul << 32 | MSR_TSC},
         -XEN_EINVAL,
         "an MSR of 33 bits"},
        {{.u.cmd = XEN_RESOURCE_OP_MSR_READ, .idx = MSR_TSC, .rsvd = 1},
         -XEN_EINVAL,
         "a reserved field"},
        {{.u.cmd = 77, .idx = MSR_TSC}, -XEN_EOPNOTSUPP, "an unknown command"},
    };
    struct xenpf_resource_entry entries[2];
    struct xen_platform_op op = {.cmd = XENPF_resource_op,
                                 .interface_version = XENPF_INTERFACE_VERSION};
    struct xenpf_resource_op *arg = &op.u.resource_op;

    set_xen_guest_handle(arg->entries, entries);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        entries[0] = (struct xenpf_resource_entry){.u.cmd = XEN_RESOURCE_OP_MSR_READ,
                                                   .idx = MSR_TSC};
        entries[1] = bad[i].entry;
        arg->nr_entries = 2;
        arg->cpu = 0;
        check_eq((uint64_t)hypercall(__HYPERVISOR_platform_op, PTR(&op), 0, 0, 0, 0), 1,
                 "resource_op: one done, then %s", bad[i].name);
        check(entries[0].u.ret == 0 && entries[0].val && entries[1].u.ret == bad[i].error,
              "it has the error (%d)", entries[1].u.ret);
        entries[0] = bad[i].entry;
        arg->cpu = 9999; /* the entries come first */
        check_eq((uint64_t)hypercall(__HYPERVISOR_platform_op, PTR(&op), 0, 0, 0, 0), 0,
                 "resource_op: none done");
        check_eq((uint64_t)entries[0].u.ret, (uint64_t)bad[i].error, "the error");
    }
    entries[0] =
        (struct xenpf_resource_entry){.u.cmd = XEN_RESOURCE_OP_MSR_READ, .idx = MSR_TSC};
    arg->nr_entries = 1;
    check_eq((uint64_t)hypercall(__HYPERVISOR_platform_op, PTR(&op), 0, 0, 0, 0),
             (uint64_t)-XEN_ENODEV, "resource_op: no such CPU");
    arg->nr_entries = 1000;
    check_eq((uint64_t)hypercall(__HYPERVISOR_platform_op, PTR(&op), 0, 0, 0, 0),
             (uint64_t)-XEN_E2BIG, "resource_op: too many entries");
}

static void console(void)
{
    char text[] = "# this line went through console_io\n";
    long rc = console_io(CONSOLEIO_write, sizeof(text) - 1, text);

    check(rc >= 0 || !env.dom0, "console_io write: %ld", rc);
    if (env.dom0) {
        check_eq((uint64_t)console_io(CONSOLEIO_write, 16, (void *)NOWHERE),
                 (uint64_t)-XEN_EFAULT, "console_io from nowhere");
        check_eq((uint64_t)console_io(77, 0, text), (uint64_t)-XEN_ENOSYS,
                 "unknown console_io");
        rc = console_io(CONSOLEIO_read, sizeof(text), text);
        check(rc >= 0, "console_io read: %ld", rc);
        return;
    }
    /* tests/system/hvm-kernels looks for these in the hypervisor's log. */
    for (char c = 'a'; rc >= 0 && c <= 'z'; c++) {
        text[sizeof(text) - 3] = c;
        rc = console_io(CONSOLEIO_write, sizeof(text) - 1, text);
    }
}

void test_main(void)
{
    if (!env.xen) {
        skip("no Xen here", "hvm_op");
        return;
    }
    shared = xen_shared_info();
    time_init();
    apic_enable();
    set_handler(VECTOR_PARAM, on_param);
    set_handler(VECTOR_UPCALL, on_upcall);
    params();
    upcalls();
    multicalls();
    privileges();
    physdev();
    if (env.dom0)
        resource();
    console();
}
