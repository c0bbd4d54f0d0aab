/* Who may call what: the table and the dispatcher, with handlers that only say that they
 * were called. SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"
#include "domain/evtchn.h"
#include "hypercall/abi.h"
#include "hypercall/hypercall.h"
#include "hypercall/table.h"
#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#define CALLED 4711

static struct hcall last;
static unsigned int calls;
static bool layout32;
static struct hvm_vcpu hvm;
static uint16_t cs_attr;

static long called(struct hcall *c)
{
    last = *c;
    calls++;
    return CALLED;
}

#define HANDLER(name)                                                                    \
    long name(struct hcall *c)                                                           \
    {                                                                                    \
        return called(c);                                                                \
    }
HANDLER(do_console_io)
HANDLER(do_dm_op)
HANDLER(do_domctl)
HANDLER(do_event_channel_op)
HANDLER(do_grant_table_op)
HANDLER(do_hvm_op)
HANDLER(do_memory_op)
HANDLER(do_multicall)
HANDLER(do_physdev_op)
HANDLER(do_platform_op)
HANDLER(do_sched_op)
HANDLER(do_set_timer_op)
HANDLER(do_sysctl)
HANDLER(do_vcpu_op)
HANDLER(do_vm_assist)
HANDLER(do_xen_version)
HANDLER(do_xenpmu_op)

int copy_from_guest(void *dst, uint64_t gva, size_t bytes)
{
    memcpy(dst, (void *)gva, bytes);
    return 0;
}
int copy_to_guest(uint64_t gva, const void *src, size_t bytes)
{
    memcpy((void *)gva, src, bytes);
    return 0;
}
int clear_guest(uint64_t gva, size_t bytes)
{
    memset((void *)gva, 0, bytes);
    return 0;
}
void preempt_point(void)
{
}
void evtchn_set_layout(struct domain *d, bool is_32bit)
{
    layout32 = is_32bit;
}
static void get_segment(struct vcpu *v, unsigned int seg, struct emul_seg *out)
{
    assert_int_equal(seg, EMUL_CS);
    *out = (struct emul_seg){.attr = cs_attr};
}
struct hvm_ops hvm_ops[1] = {{.get_segment = get_segment}};

static struct domain *zero, *guest, *model, *other;

static int setup(void **state)
{
    zero = fake_domain(0, 1, 0);
    guest = fake_domain(1, 1, 0);
    model = fake_domain(2, 1, 0);
    other = fake_domain(3, 1, 0);
    model->target_of = guest;
    for_each_vcpu(guest, v) v->hvm = &hvm;
    for_each_vcpu(zero, v) v->hvm = &hvm;
    calls = 0;
    return 0;
}

static int teardown(void **state)
{
    fake_domain_end(zero);
    fake_domain_end(guest);
    fake_domain_end(model);
    fake_domain_end(other);
    return 0;
}

static long run(struct domain *d, uint32_t nr, uint64_t arg)
{
    struct hcall c = {.v = d->vcpus[0], .nr = nr, .arg = {arg}};

    return hcall_run(&c);
}

static int check(struct domain *d, uint32_t nr, unsigned int subop)
{
    struct hcall c = {.v = d->vcpus[0], .nr = nr};

    return hcall_check(&c, subop);
}

static void numbers(void **state)
{
    static const uint8_t absent[] = {__HYPERVISOR_set_trap_table,
                                     __HYPERVISOR_mmu_update,
                                     __HYPERVISOR_iret,
                                     __HYPERVISOR_mmuext_op,
                                     __HYPERVISOR_kexec_op,
                                     __HYPERVISOR_tmem_op,
                                     __HYPERVISOR_xsm_op,
                                     __HYPERVISOR_argo_op,
                                     __HYPERVISOR_hypfs_op,
                                     __HYPERVISOR_xenoprof_op,
                                     __HYPERVISOR_callback_op,
                                     __HYPERVISOR_nmi_op,
                                     __HYPERVISOR_arch_0 /* mca */,
                                     11,
                                     63};

    for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++)
        assert_int_equal(run(zero, absent[i], 0), -ENOSYS);
    assert_int_equal(run(zero, 64, 0), -ENOSYS);
    assert_int_equal(run(zero, 1000, 0), -ENOSYS);
    assert_int_equal(run(zero, ~0u, 0), -ENOSYS);
    assert_int_equal(calls, 0);
}

static void subops(void **state)
{
    assert_int_equal(run(guest, __HYPERVISOR_xen_version, XENVER_version), CALLED);
    assert_int_equal(run(guest, __HYPERVISOR_xen_version, XENVER_build_id), -EPERM);
    assert_int_equal(run(zero, __HYPERVISOR_xen_version, XENVER_build_id), CALLED);
    assert_int_equal(run(guest, __HYPERVISOR_xen_version, 11), -ENOSYS);
    assert_int_equal(run(guest, __HYPERVISOR_xen_version, ~0ull), -ENOSYS);
    assert_int_equal(run(guest, __HYPERVISOR_console_io, CONSOLEIO_read), -EPERM);
    assert_int_equal(run(guest, __HYPERVISOR_sched_op, SCHEDOP_pin_override), -EPERM);
    assert_int_equal(run(guest, __HYPERVISOR_memory_op, XENMEM_claim_pages), -EPERM);
    assert_int_equal(run(guest, __HYPERVISOR_memory_op, XENMEM_exchange), CALLED);
    assert_int_equal(run(guest, __HYPERVISOR_memory_op, XENMEM_machphys_mapping),
                     -ENOSYS);
    assert_int_equal(run(guest, __HYPERVISOR_memory_op, XENMEM_machine_memory_map),
                     -ENOSYS);
    /* Bits of a continuation do not count. */
    assert_int_equal(run(guest, __HYPERVISOR_memory_op, XENMEM_populate_physmap | 5 << 6),
                     CALLED);
    assert_int_equal(last.who, WHO_TARGET);
    assert_int_equal(run(guest, __HYPERVISOR_grant_table_op, GNTTABOP_transfer), -ENOSYS);
    assert_int_equal(run(guest, __HYPERVISOR_grant_table_op, GNTTABOP_cache_flush),
                     -ENOSYS);
    assert_int_equal(run(guest, __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq), CALLED);
    assert_int_equal(run(guest, __HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl), -ENOSYS);
    assert_int_equal(run(guest, __HYPERVISOR_hvm_op, HVMOP_set_param), CALLED);
    assert_int_equal(run(guest, __HYPERVISOR_hvm_op, 2), -ENOSYS);
}

/* Each control op is Dom0's, or its device model's; none is a guest's. */
static void control(void **state)
{
    for (unsigned int i = 0; i < 2000; i++) {
        assert_int_equal(check(guest, __HYPERVISOR_domctl, i), -EPERM);
        assert_int_equal(check(guest, __HYPERVISOR_sysctl, i), -EPERM);
        assert_int_equal(check(guest, __HYPERVISOR_platform_op, i), -EPERM);
        assert_int_equal(check(guest, __HYPERVISOR_dm_op, i), -EPERM);
    }
    for (unsigned int i = 0; i < 2000; i++) {
        assert_int_not_equal(check(model, __HYPERVISOR_sysctl, i), 0);
        assert_int_not_equal(check(model, __HYPERVISOR_platform_op, i), 0);
        if (i != XEN_DOMCTL_bind_pt_irq && i != XEN_DOMCTL_unbind_pt_irq &&
            i != XEN_DOMCTL_memory_mapping && i != XEN_DOMCTL_ioport_mapping)
            assert_int_not_equal(check(model, __HYPERVISOR_domctl, i), 0);
    }
    assert_int_equal(check(model, __HYPERVISOR_dm_op, XEN_DMOP_inject_msi), 0);
    assert_int_equal(check(zero, __HYPERVISOR_domctl, XEN_DOMCTL_createdomain), 0);
    assert_int_equal(check(zero, __HYPERVISOR_domctl, 6), -ENOSYS);
    assert_int_equal(check(zero, __HYPERVISOR_domctl, 1000), -ENOSYS);
    assert_int_equal(check(zero, __HYPERVISOR_sysctl, XEN_SYSCTL_physinfo), 0);
    assert_int_equal(check(zero, __HYPERVISOR_sysctl, XEN_SYSCTL_livepatch_op), -ENOSYS);
}

static int target(struct domain *caller, domid_t id, enum hcall_who who)
{
    struct hcall c = {.v = caller->vcpus[0], .who = who};
    struct domain *d;
    int rc = hcall_target(&c, id, &d);

    if (!rc) {
        assert_int_equal(d->id, id);
        domain_put(d);
    }
    return rc;
}

static void targets(void **state)
{
    struct hcall c = {.v = zero->vcpus[0], .who = WHO_DM};
    struct domain *d;

    assert_int_equal(target(guest, 1, WHO_TARGET), 0);
    assert_int_equal(target(guest, 3, WHO_TARGET), -EPERM);
    assert_int_equal(target(guest, 77, WHO_TARGET), -ESRCH);
    assert_int_equal(target(guest, 1, WHO_DM), -EPERM);
    assert_int_equal(target(guest, 1, WHO_DOM0), -EPERM);
    assert_int_equal(target(guest, 0, WHO_TARGET), -EPERM);
    assert_int_equal(target(model, 1, WHO_TARGET), 0);
    assert_int_equal(target(model, 1, WHO_DM), 0);
    assert_int_equal(target(model, 1, WHO_DOM0), -EPERM);
    assert_int_equal(target(model, 3, WHO_DM), -EPERM);
    assert_int_equal(target(model, 0, WHO_DM), -EPERM);
    assert_int_equal(target(zero, 3, WHO_DOM0), 0);
    assert_int_equal(target(zero, 3, WHO_NOBODY), -EPERM);
    assert_int_equal(hcall_remote(&c, 0, &d), -EPERM); /* not itself */
    assert_int_equal(hcall_remote(&c, 1, &d), 0);
    domain_put(d);
    assert_int_equal(zero->ref_count, 1);
}

static void registers(void **state)
{
    struct vcpu *v = guest->vcpus[0];

    hvm.efer = 1u << 10;
    cs_attr = EMUL_ATTR_L;
    hvm.regs = (struct cpu_regs){.rax = 0xffffffff00000000ull | __HYPERVISOR_vcpu_op,
                                 .rdi = 1,
                                 .rsi = ~0ull,
                                 .rdx = 3,
                                 .r10 = 4,
                                 .r8 = 5,
                                 .r9 = 6};
    hypercall_dispatch(v, true);
    assert_int_equal(hvm.regs.rax, CALLED);
    assert_false(last.compat);
    assert_int_equal(last.arg[1], ~0ull);
    assert_int_equal(last.arg[5], 6);

    cs_attr = EMUL_ATTR_DB; /* compatibility mode: 32-bit convention */
    hvm.regs = (struct cpu_regs){.rax = __HYPERVISOR_vcpu_op,
                                 .rbx = 1 | 7ull << 32,
                                 .rcx = 2,
                                 .rdx = 3,
                                 .rsi = 4,
                                 .rdi = 5,
                                 .rbp = 6};
    hypercall_dispatch(v, false);
    assert_true(last.compat);
    assert_int_equal(last.arg[0], 1);
    assert_int_equal(last.arg[4], 5);
    hvm.regs.rax = 63;
    hypercall_dispatch(v, false);
    assert_int_equal(hvm.regs.rax, (uint32_t)-ENOSYS);
    hypercall_latch_layout(v);
    assert_true(layout32);
    cs_attr = EMUL_ATTR_L;
    hypercall_latch_layout(v);
    assert_false(layout32);
}

static void bitmaps(void **state)
{
    uint8_t bytes[16];
    struct xenctl_bitmap map = {.bitmap = {.p = bytes}, .nr_bits = 100};
    uint64_t mask;

    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(hcall_bitmap_put(&map, 0x155, 9), 0);
    assert_int_equal(bytes[0], 0x55);
    assert_int_equal(bytes[1], 0x01);
    for (int i = 2; i < 13; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(bytes[13], 0xff); /* not its */
    assert_int_equal(hcall_bitmap_get(&map, &mask), 0);
    assert_int_equal(mask, 0x155);
    map.nr_bits = 3;
    assert_int_equal(hcall_bitmap_get(&map, &mask), 0);
    assert_int_equal(mask, 5);
    map.nr_bits = 0;
    assert_int_equal(hcall_bitmap_get(&map, &mask), 0);
    assert_int_equal(mask, 0);
}

static void page(void **state)
{
    static const uint8_t insn[3] = {0x0f, 0x01, 0xd9};
    uint8_t stubs[PAGE_SIZE];

    hypercall_page_fill(stubs, insn);
    for (unsigned int i = 0; i < 128; i++) {
        const uint8_t *p = stubs + 32 * i;

        if (i == __HYPERVISOR_iret) {
            assert_int_equal(p[0] | p[1] << 8, 0x0b0f);
            continue;
        }
        assert_int_equal(p[0], 0xb8);
        assert_int_equal(p[1] | p[2] << 8, i);
        assert_memory_equal(p + 5, insn, 3);
        assert_int_equal(p[8], 0xc3);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(numbers), T(subops), T(control), T(targets), T(registers), T(bitmaps), T(page),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("hypercall table", tests, NULL, NULL);
}
