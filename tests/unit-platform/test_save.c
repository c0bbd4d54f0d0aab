/* HVM context records: what is saved comes back, what is wrong is refused.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"
#include "cpu/x86.h"

void *malloc(size_t bytes);
void free(void *p);

static uint8_t *buf;
static size_t used;

static int setup(void **state)
{
    buf = NULL;
    return 0;
}

static int teardown(void **state)
{
    free(buf);
    return 0;
}

static void save(struct domain *d)
{
    struct hvm_context c = {.size = hvm_save_size(d)};

    free(buf);
    buf = malloc(c.size);
    c.data = buf;
    assert_int_equal(hvm_save(d, &c), 0);
    assert_true(c.pos <= c.size);
    used = c.pos;
}

static int load(struct domain *d, const uint8_t *data, size_t bytes)
{
    struct hvm_context c = {.data = (uint8_t *)data, .size = bytes};

    return hvm_load(d, &c);
}

static void *find(uint16_t type, uint16_t instance, uint32_t *length)
{
    for (size_t pos = 0; pos < used;) {
        struct hvm_save_descriptor *desc = (void *)(buf + pos);

        if (desc->typecode == type && desc->instance == instance) {
            if (length)
                *length = desc->length;
            return desc + 1;
        }
        pos += sizeof(*desc) + desc->length;
    }
    return NULL;
}

static void run_vcpu(struct vcpu *v)
{
    v->initialised = true;
    v->state = VCPU_RUNNABLE;
    v->hvm->cr0 = 0x80050033;
    v->hvm->cr4 = 0x20;
    v->hvm->cr3 = 0x1000;
    v->hvm->efer = 0x500;
    v->hvm->xcr0 = 1;
    v->hvm->regs.rflags = 2;
    v->hvm->dr6 = 0xffff0ff0;
    v->hvm->dr7 = 0x400;
}

static void out_busy(struct vcpu *v)
{
    /* PICs, PIT, RTC, HPET, lines, APICs: everything away from its reset state. */
    static const uint16_t pic[][2] = {{0x20, 0x11}, {0x21, 0x20},  {0x21, 4},   {0x21, 1},
                                      {0x21, 0x12}, {0x4d0, 0x20}, {0x20, 0x0b}};

    for (unsigned int i = 0; i < ARRAY_SIZE(pic); i++)
        out8(v, pic[i][0], pic[i][1]);
    out8(v, 0x43, 0x34);
    out8(v, 0x40, 0x9c);
    out8(v, 0x40, 0x2e);
    out8(v, 0x61, 3);
    (void)platform_port_write(v, 0x70, 1, 11);
    out8(v, 0x71, 0x42);
    apic_enable(v);
    apic_write(v, APIC_TDCR, 0xb);
    apic_write(v, APIC_LVT_TIMER, 0x20000 | 0x40);
    apic_write(v, APIC_TMICT, 100000);
    ioapic_write_pin(v, 20, 0x8055);
    ioapic_write_pin(v, 2, 0x30);
    hvm_callback_gsi_set(v->domain, 4, true);
    hvm_isa_irq_set(v->domain, 5, true);
    hvm_pci_link_route(v->domain, 2, 10);
    hvm_pci_intx_set(v->domain, 2, 0, true);
    mmio_write(v, HPET_BASE + 0x10, 8, 1);
    mmio_write(v, HPET_BASE + 0x140, 8, 20 << 9 | 0x4e);
    mmio_write(v, HPET_BASE + 0x148, 8, 62500 * 100);
    assert_int_equal(hvm_wrmsr(v, 0x2ff, 0xc06), 0);
    assert_int_equal(hvm_wrmsr(v, 0x200, 0xc0000000), 0);
    assert_int_equal(hvm_wrmsr(v, 0x277, 0x0106040600070406ull), 0);
    assert_int_equal(hvm_wrmsr(v, 0x3b, 777), 0);
    pass(10 * NS_PER_MS + 400 * NS_PER_US);
    assert_int_not_equal(take_interrupt(v), -1);
}

/* All records of one domain, loaded into another and saved there, are the same. */
static void test_round_trip(void **state)
{
    struct domain *a = guest_create(2, GUEST_HVM), *b;
    uint8_t *first;
    size_t bytes;
    ns_t then;

    run_vcpu(a->vcpus[0]);
    a->vcpus[0]->hvm->regs.rip = 0x123456;
    a->vcpus[0]->hvm->inject = (struct hvm_event){
        .valid = true, .vector = 14, .type = 3, .has_error = true, .error = 2};
    a->hvm->params[HVM_PARAM_VIRIDIAN] = HVMPV_base_freq | HVMPV_time_ref_count;
    assert_int_equal(hvm_wrmsr(a->vcpus[0], 0x40000000, 0x55), 0);
    out_busy(a->vcpus[0]);
    apic_enable(a->vcpus[1]);
    assert_int_equal(hvm_wrmsr(a->vcpus[1], 0x1b, 0xfee00c00), 0);
    assert_int_equal(hvm_wrmsr(a->vcpus[1], 0x838, 5000), 0);
    /* Lines that are held up directly are not in any record: they are the callback's. */
    hvm_callback_gsi_set(a, 4, false);
    then = fake_now;
    save(a);
    first = buf;
    bytes = used;
    buf = NULL;
    assert_non_null(first);

    b = guest_create(2, GUEST_HVM);
    b->hvm->params[HVM_PARAM_VIRIDIAN] = HVMPV_base_freq | HVMPV_time_ref_count;
    fake_now = then;
    assert_int_equal(load(b, first, bytes), 0);
    assert_true(b->vcpus[0]->initialised);
    assert_false(b->vcpus[1]->initialised);
    assert_int_equal(b->vcpus[0]->hvm->regs.rip, 0x123456);
    assert_int_equal(b->vcpus[0]->hvm->inject.vector, 14);
    assert_int_equal(b->vcpus[0]->hvm->inject.error, 2);
    assert_true(platform_gsi_level(b, 5));
    assert_true(platform_gsi_level(b, 10));
    assert_true(platform_gsi_level(b, 24)); /* device 2, INTA */
    assert_false(platform_gsi_level(b, 4));
    save(b);
    assert_int_equal(used, bytes);
    for (size_t pos = 0; pos < used;) {
        struct hvm_save_descriptor *desc = (void *)(buf + pos);

        assert_memory_equal(buf + pos, first + pos, sizeof(*desc) + desc->length);
        pos += sizeof(*desc) + desc->length;
    }
    /* It goes on: APIC timer, PIT. */
    apic_write(b->vcpus[0], APIC_EOI, 0);
    while (take_interrupt(b->vcpus[0]) >= 0)
        apic_write(b->vcpus[0], APIC_EOI, 0);
    pass(NS_PER_MS);
    assert_int_equal(apic_read(b->vcpus[0], APIC_IRR + 2) & 1, 1);
    guest_destroy(b);
    guest_destroy(a);
    free(first);
}

static void test_records(void **state)
{
    struct domain *d = guest_create(2, GUEST_HVM);
    struct hvm_save_header *header;
    uint32_t length;
    static const struct {
        uint16_t type, instance;
        uint32_t length;
    } want[] = {
        {3, 0, 8},   {3, 1, 8},
        {4, 0, 400}, {5, 0, 24},
        {5, 1, 24},  {6, 1, 1024},
        {7, 0, 16},  {8, 0, 8},
        {9, 0, 8},   {10, 0, 56},
        {11, 0, 24}, {12, 0, sizeof(struct hvm_hw_hpet)},
        {13, 0, 8},  {14, 1, sizeof(struct hvm_hw_mtrr)},
        {18, 0, 32}, {19, 1, 8},
    };

    run_vcpu(d->vcpus[0]);
    save(d);
    header = find(1, 0, &length);
    assert_int_equal(length, 24);
    assert_int_equal(header->magic, HVM_FILE_MAGIC);
    assert_int_equal(header->gtsc_khz, 2000000);
    for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
        assert_non_null(find(want[i].type, want[i].instance, &length));
        assert_int_equal(length, want[i].length);
    }
    assert_non_null(find(2, 0, &length));
    assert_int_equal(length, sizeof(struct hvm_hw_cpu));
    assert_null(find(2, 1, NULL)); /* not started */
    assert_non_null(find(0, 0, &length));
    assert_int_equal(length, 0);
    guest_destroy(d);
}

static void test_save_one(void **state)
{
    struct domain *d = guest_create(2, GUEST_HVM);
    struct hvm_hw_vpic pic;
    size_t bytes = sizeof(pic);

    assert_int_equal(hvm_save_one(d, 3, 1, &pic, &bytes), 0);
    assert_int_equal(bytes, sizeof(pic));
    assert_false(pic.is_master);
    assert_int_equal(hvm_save_one(d, 3, 2, &pic, &bytes), -ENOENT);
    bytes = 3;
    assert_int_equal(hvm_save_one(d, 3, 0, &pic, &bytes), -ENOSPC);
    assert_int_equal(bytes, sizeof(pic));
    assert_int_equal(hvm_save_one(d, 5, 2, &pic, &bytes), -ENOENT);
    assert_int_equal(hvm_save_one(d, 2, 0, &pic, &bytes), -ENOENT); /* not started */
    assert_int_equal(hvm_save_one(d, 99, 0, &pic, &bytes), -ENOENT);
    guest_destroy(d);
}

static void test_small_buffer(void **state)
{
    struct domain *d = guest_create(1, GUEST_HVM);
    struct hvm_context c = {0};

    save(d);
    for (size_t size = 0; size < used; size += 13) {
        c = (struct hvm_context){.data = buf, .size = size};
        assert_int_equal(hvm_save(d, &c), -ENOSPC);
    }
    guest_destroy(d);
}

static void test_streams(void **state)
{
    struct domain *d = guest_create(1, GUEST_HVM);
    struct hvm_save_descriptor *desc;

    save(d);
    assert_int_equal(load(d, buf, used), 0);
    for (size_t size = 0; size < used; size += 7) /* cut off */
        assert_int_not_equal(load(d, buf, size), 0);
    desc = (void *)buf;
    desc->typecode = 3; /* no header */
    assert_int_equal(load(d, buf, used), -EINVAL);
    desc->typecode = 1;
    ((struct hvm_save_header *)(desc + 1))->magic++;
    assert_int_equal(load(d, buf, used), -EINVAL);
    ((struct hvm_save_header *)(desc + 1))->magic--;
    desc = (void *)(buf + sizeof(*desc) + desc->length);
    desc->typecode = 77; /* unknown */
    assert_int_equal(load(d, buf, used), -EINVAL);
    desc->typecode = 5;
    desc->instance = 9; /* no such vCPU */
    assert_int_equal(load(d, buf, used), -ENODEV);
    desc->length = ~0u;
    assert_int_equal(load(d, buf, used), -ENODATA);
    guest_destroy(d);
}

/* Changes one byte or word of a record and expects the load to fail. */
static void refuse(struct domain *d, uint16_t type, size_t offset, uint64_t val,
                   size_t bytes)
{
    uint8_t *record, *old;
    uint32_t length;

    save(d);
    record = find(type, 0, &length);
    assert_non_null(record);
    old = malloc(length);
    memcpy(old, record, length);
    memcpy(record + offset, &val, bytes);
    if (memcmp(old, record, length) == 0 || load(d, buf, used) == 0)
        fail_msg("type %u offset %zu value %#lx was loaded", type, offset,
                 (unsigned long)val);
    memcpy(record, old, length);
    assert_int_equal(load(d, buf, used), 0);
    free(old);
}
#define REFUSE(d, type, member, val)                                                     \
    refuse(d, HVM_SAVE_CODE(type), offsetof(HVM_SAVE_TYPE(type), member), val,           \
           sizeof(((HVM_SAVE_TYPE(type) *)0)->member))

static void test_hostile_cpu(void **state)
{
    struct domain *d = guest_create(1, GUEST_HVM);

    run_vcpu(d->vcpus[0]);
    REFUSE(d, CPU, cr0, 0x80000000); /* PG without PE */
    REFUSE(d, CPU, cr0, 0x20000001); /* NW without CD */
    REFUSE(d, CPU, cr0, 1ull << 40);
    REFUSE(d, CPU, cr4, 0x20 | CR4_VMXE);
    REFUSE(d, CPU, cr4, 0); /* long mode without PAE */
    REFUSE(d, CPU, cr4, 1ull << 50);
    REFUSE(d, CPU, cr3, 1ull << 60);
    REFUSE(d, CPU, msr_efer, 0x100);   /* LME and PG, not LMA */
    REFUSE(d, CPU, msr_efer, 0x1500);  /* SVME */
    REFUSE(d, CPU, cs_arbytes, 0x69b); /* L and D */
    REFUSE(d, CPU, dr6, 1ull << 32);
    REFUSE(d, CPU, dr7, 1ull << 32);
    REFUSE(d, CPU, msr_tsc_aux, 1ull << 32);
    REFUSE(d, CPU, msr_lstar, 1ull << 47);
    REFUSE(d, CPU, shadow_gs, 1ull << 63);
    REFUSE(d, CPU, gdtr_base, 1ull << 50);
    REFUSE(d, CPU, fs_base, 1ull << 50);
    refuse(d, HVM_SAVE_CODE(CPU), 24, 0xffffffff, 4); /* MXCSR */
    REFUSE(d, CPU, pending_event, 1u << 31 | 1 << 8);
    d->hvm->policy->amd = false;
    REFUSE(d, CPU, sysenter_eip, 1ull << 50);
    REFUSE(d, CPU, sysenter_esp, 1ull << 63);
    guest_destroy(d);
}

static void test_hostile_xsave(void **state)
{
    struct domain *d = guest_create(1, GUEST_HVM);
    const size_t area = offsetof(struct hvm_hw_cpu_xsave, save_area);

    if (!d->hvm->policy->xcr0_mask) {
        guest_destroy(d);
        skip();
    }
    run_vcpu(d->vcpus[0]);
    refuse(d, CPU_XSAVE_CODE, 8, 0, 8); /* xcr0 without x87 */
    refuse(d, CPU_XSAVE_CODE, 8, 5, 8); /* AVX without SSE */
    refuse(d, CPU_XSAVE_CODE, 8, 0x8000000000000001ull, 8);
    refuse(d, CPU_XSAVE_CODE, 16, 1ull << 40, 8);         /* xcr0_accum */
    refuse(d, CPU_XSAVE_CODE, area + 24, 0x10000, 4);     /* MXCSR */
    refuse(d, CPU_XSAVE_CODE, area + 512, 1ull << 62, 8); /* XSTATE_BV */
    refuse(d, CPU_XSAVE_CODE, area + 520, 1ull << 63, 8); /* XCOMP_BV */
    refuse(d, CPU_XSAVE_CODE, area + 528, 1, 8);
    refuse(d, CPU_XSAVE_CODE, area + 568, 1, 8);
    guest_destroy(d);
}

static void test_hostile_devices(void **state)
{
    struct domain *d = guest_create(1, GUEST_HVM);

    REFUSE(d, LAPIC, apic_base_msr, 0xfee00400);
    REFUSE(d, LAPIC, apic_base_msr, 0xfee00801);
    REFUSE(d, IOAPIC, base_address, 0xfed00000);
    REFUSE(d, IOAPIC, id, 16);
    REFUSE(d, PCI_LINK, route[2], 16);
    REFUSE(d, PIT, channels[1].mode, 6);
    REFUSE(d, PIT, channels[0].count, 65537);
    REFUSE(d, PIT, channels[0].rw_mode, 4);
    REFUSE(d, RTC, rtc_offset, INT64_MAX);
    REFUSE(d, RTC, rtc_offset, INT64_MIN);
    REFUSE(d, HPET, capability, 0x8086a201);
    REFUSE(d, MTRR, msr_mtrr_def_type, 0x402);
    REFUSE(d, MTRR, msr_pat_cr, 2);
    REFUSE(d, MTRR, msr_mtrr_fixed[3], 2);
    REFUSE(d, MTRR, msr_mtrr_var[5], ~0ull);
    REFUSE(d, MTRR, msr_mtrr_cap, 9);
    REFUSE(d, VMCE_VCPU, caps, 3);
    guest_destroy(d);
}

/* Random contents in every record: refused or survived, and time goes on. */
static void test_random(void **state)
{
    struct domain *d = guest_create(2, GUEST_HVM);
    uint64_t seed = 88172645463325252ull;

    run_vcpu(d->vcpus[0]);
    out_busy(d->vcpus[0]);
    for (int round = 0; round < 3000; round++) {
        save(d);
        for (int n = 0; n < 1 + round % 8; n++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            /* Descriptors are left alone, or nothing would ever get to the records. */
            for (size_t pos = 0; pos < used;) {
                struct hvm_save_descriptor *desc = (void *)(buf + pos);

                if (desc->length && desc->typecode != 1 &&
                    (seed >> 40) % 7 == desc->typecode % 7)
                    buf[pos + sizeof(*desc) + (seed >> 8) % desc->length] ^= seed;
                pos += sizeof(*desc) + desc->length;
            }
        }
        (void)load(d, buf, used);
        pass(300 * NS_PER_US);
        for (int i = 0; i < 3; i++) {
            (void)take_interrupt(d->vcpus[0]);
            vlapic_eoi(d->vcpus[0]->hvm->vlapic);
            if (platform_mmio_find(d->vcpus[0], HPET_BASE))
                (void)mmio_read(d->vcpus[0], HPET_BASE + 0x108, 8);
            (void)in8(d->vcpus[0], 0x40);
        }
    }
    guest_destroy(d);
}

static void test_pvh(void **state)
{
    struct domain *d = guest_create(1, XEN_X86_EMU_LAPIC), *hvm;
    uint32_t length;

    run_vcpu(d->vcpus[0]);
    save(d);
    assert_non_null(find(5, 0, &length));
    for (uint16_t type = 3; type <= 13; type++)
        if (type != 5 && type != 6)
            assert_null(find(type, 0, NULL));
    assert_int_equal(load(d, buf, used), 0);
    hvm = guest_create(1, GUEST_HVM);
    save(hvm);
    assert_int_equal(load(d, buf, used), -ENODEV); /* it has no PIC */
    guest_destroy(hvm);
    guest_destroy(d);
}

/* As libxenguest starts a PVH guest: header, CPU, MTRR, end. */
static void test_start_of_day(void **state)
{
    struct domain *d = guest_create(1, XEN_X86_EMU_LAPIC);
    struct {
        struct hvm_save_descriptor header_d;
        struct hvm_save_header header;
        struct hvm_save_descriptor cpu_d;
        struct hvm_hw_cpu cpu;
        struct hvm_save_descriptor end_d;
    } __attribute__((packed)) c = {
        .header_d = {1, 0, sizeof(c.header)},
        .header = {.magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION},
        .cpu_d = {2, 0, sizeof(c.cpu)},
        .cpu = {.cr0 = 0x11,
                .rip = 0x100000,
                .rbx = 0x5000,
                .cs_limit = ~0u,
                .cs_arbytes = 0xc9b,
                .ds_limit = ~0u,
                .ds_arbytes = 0xc93,
                .tr_limit = 0x67,
                .tr_arbytes = 0x8b},
        .end_d = {0, 0, 0},
    };
    struct emul_seg seg;

    assert_int_equal(load(d, (uint8_t *)&c, sizeof(c)), 0);
    assert_true(d->vcpus[0]->initialised);
    assert_int_equal(d->vcpus[0]->state, VCPU_RUNNABLE);
    assert_int_equal(d->vcpus[0]->hvm->regs.rip, 0x100000);
    assert_int_equal(d->vcpus[0]->hvm->regs.rflags, 2);
    hvm_ops->get_segment(d->vcpus[0], EMUL_CS, &seg);
    assert_int_equal(seg.attr, 0xc9b);
    assert_int_equal(*(uint16_t *)d->vcpus[0]->hvm->xsave, 0x37f);
    guest_destroy(d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(round_trip), T(records),     T(save_one),      T(small_buffer),
        T(streams),    T(hostile_cpu), T(hostile_xsave), T(hostile_devices),
        T(random),     T(pvh),         T(start_of_day),
    };

    return cmocka_run_group_tests_name("save", tests, NULL, NULL);
}
