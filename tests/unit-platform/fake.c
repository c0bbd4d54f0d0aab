/* The hypervisor around the platform devices, for tests. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "cpu/mitigation/mitigation.h"
#include "fake.h"
#include "cpu/percpu.h"
#include "cpu/irq.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "hypercall/hypercall.h"
#include "lib/printk.h"
#include "mm/frame.h"

void *calloc(size_t n, size_t bytes);
void free(void *p);
void *aligned_alloc(size_t align, size_t bytes);

#define MAX_TIMERS 256

struct percpu fake_cpu;
struct vcpu *fake_current;
ns_t fake_now;
uint8_t fake_ram[FAKE_RAM_BYTES];
unsigned int fake_kicks, fake_yields, fake_inits, fake_sipis;
unsigned int fake_gsi_updates, fake_gsi_eois, fake_last_gsi;
uint64_t fake_last_rte;
unsigned int fake_bound_pirq, fake_pirqs_sent;
uint64_t tsc_hz = 2000000000;
uint64_t wallclock_boot_s = 1700000000; /* 2023-11-14 22:13:20, a Tuesday */
struct acpi_info acpi;

static struct timer *armed[MAX_TIMERS];
static unsigned int nr_armed, nr_guests;

bool evtchn_pirq_bound(const struct domain *d, unsigned int pirq)
{
    return pirq == fake_bound_pirq;
}

void evtchn_send_pirq(struct domain *d, unsigned int pirq)
{
    assert_false(spin_is_locked(&d->hvm->platform->irq_lock));
    fake_pirqs_sent += pirq == fake_bound_pirq;
}

/*
 * Time.
 */
ns_t now_ns(void)
{
    return fake_now;
}

ns_t tsc_to_ns(uint64_t tsc)
{
    return tsc / (tsc_hz / NS_PER_S);
}

uint64_t fake_rdtsc(void)
{
    return fake_now * (tsc_hz / NS_PER_S);
}

void time_pv_scale(uint32_t *mul, int8_t *shift)
{
    *mul = 0x80000000;
    *shift = 0;
}

void timer_init(struct timer *t, void (*fn)(void *), void *opaque)
{
    t->fn = fn;
    t->opaque = opaque;
    t->cpu = -1;
}

void timer_stop(struct timer *t)
{
    if (t->cpu < 0)
        return;
    for (unsigned int i = 0; i < nr_armed; i++)
        if (armed[i] == t)
            armed[i] = armed[--nr_armed];
    t->cpu = -1;
}

void timer_kill(struct timer *t)
{
    timer_stop(t);
}

void timer_set(struct timer *t, ns_t expires)
{
    timer_stop(t);
    assert_true(nr_armed < MAX_TIMERS);
    t->expires = expires;
    t->cpu = 0;
    armed[nr_armed++] = t;
}

unsigned int timers_armed(void)
{
    return nr_armed;
}

void pass(ns_t ns)
{
    ns_t end = fake_now + ns;
    unsigned int fired = 0;

    for (;;) {
        struct timer *first = NULL;

        for (unsigned int i = 0; i < nr_armed; i++)
            if (!first || armed[i]->expires < first->expires)
                first = armed[i];
        if (!first || first->expires > end)
            break;
        fake_now = first->expires > fake_now ? first->expires : fake_now;
        timer_stop(first);
        first->fn(first->opaque);
        assert_true(++fired < 1000000); /* a storm */
    }
    fake_now = end;
}

/*
 * Scheduler, other parts of the hypervisor.
 */
void vcpu_kick(struct vcpu *v)
{
    fake_kicks++;
}

void vcpu_yield_to_waiting(void)
{
    fake_yields++;
}

void vcpu_online(struct vcpu *v)
{
    v->state = VCPU_RUNNABLE;
}

void hvm_vcpu_init_ipi(struct vcpu *v)
{
    fake_inits++;
    v->hvm->init_pending = true;
}

void hvm_vcpu_sipi(struct vcpu *v, uint8_t vector)
{
    fake_sipis++;
    v->hvm->sipi_vector = vector;
}

bool hvm_vcpu_is_up(const struct vcpu *v)
{
    return v->initialised && v->state != VCPU_OFFLINE;
}

unsigned int ioapic_nr_gsis(void)
{
    return 56;
}

void dom0_gsi_update(unsigned int gsi, uint64_t rte)
{
    fake_gsi_updates++;
    fake_last_gsi = gsi;
    fake_last_rte = rte;
}

void dom0_gsi_eoi(unsigned int gsi)
{
    fake_gsi_eois++;
    fake_last_gsi = gsi;
}

void printk(const char *format, ...)
{
}

void printk_guest(const char *format, ...)
{
}

void *zalloc(size_t bytes)
{
    return calloc(1, bytes);
}

void zfree(void *p)
{
    free(p);
}

void *alloc_pages(unsigned int order)
{
    void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

    memset(p, 0, PAGE_SIZE << order);
    return p;
}

void free_pages(void *p, unsigned int order)
{
    free(p);
}

int guest_read_phys(struct domain *d, uint64_t gpa, void *buf, size_t bytes)
{
    if (gpa >= FAKE_RAM_BYTES || FAKE_RAM_BYTES - gpa < bytes)
        return -EFAULT;
    memcpy(buf, fake_ram + gpa, bytes);
    return 0;
}

int guest_write_phys(struct domain *d, uint64_t gpa, const void *buf, size_t bytes)
{
    if (gpa >= FAKE_RAM_BYTES || FAKE_RAM_BYTES - gpa < bytes)
        return -EFAULT;
    memcpy(fake_ram + gpa, buf, bytes);
    return 0;
}

void hypercall_page_fill(void *page, const uint8_t insn[3])
{
    memcpy(page, insn, 3);
}

void hypercall_latch_layout(struct vcpu *v)
{
}

size_t hvm_fpu_area_size(void)
{
    return 4096;
}

uint64_t hvm_fpu_host_xcr0(void)
{
    return 7;
}

int hvm_set_efer(struct vcpu *v, uint64_t val)
{
    if (val & ~cpu_policy_efer_mask(v->domain))
        return -EINVAL;
    v->hvm->efer = val;
    return 0;
}

/*
 * A back end that keeps everything in memory.
 */
struct fake_vendor {
    struct emul_seg seg[EMUL_SEG_COUNT];
    struct hvm_msrs msrs;
};

static void get_segment(struct vcpu *v, unsigned int seg, struct emul_seg *out)
{
    *out = ((struct fake_vendor *)v->hvm->vendor)->seg[seg];
}

static void set_segment(struct vcpu *v, unsigned int seg, const struct emul_seg *in)
{
    ((struct fake_vendor *)v->hvm->vendor)->seg[seg] = *in;
}

static void get_msrs(struct vcpu *v, struct hvm_msrs *out)
{
    *out = ((struct fake_vendor *)v->hvm->vendor)->msrs;
}

static void set_msrs(struct vcpu *v, const struct hvm_msrs *in)
{
    ((struct fake_vendor *)v->hvm->vendor)->msrs = *in;
}

static void nothing(struct vcpu *v)
{
}

static void nothing_cr(struct vcpu *v, unsigned int cr)
{
}

static void nothing_msr(struct domain *d, uint32_t msr, bool read, bool write)
{
}

struct mitigations mitigations = {.has_spec_ctrl = true};

struct hvm_ops hvm_ops[1] = {{
    .name = "fake",
    .hypercall_insn = {0x0f, 0x01, 0xd9},
    .get_segment = get_segment,
    .set_segment = set_segment,
    .get_msrs = get_msrs,
    .set_msrs = set_msrs,
    .update_cr = nothing_cr,
    .intercept_msr = nothing_msr,
    .update_efer = nothing,
    .update_pat = nothing,
    .update_dr = nothing,
    .sync_dr = nothing,
    .update_tsc = nothing,
}};

/*
 * The guest.
 */
static void create_vcpu(struct domain *d, unsigned int id)
{
    struct vcpu *v = zalloc(sizeof(*v));

    v->id = id;
    v->domain = d;
    v->hvm = zalloc(sizeof(*v->hvm));
    v->hvm->vendor = zalloc(sizeof(struct fake_vendor));
    v->hvm->xsave = aligned_alloc(64, hvm_fpu_area_size());
    memset(v->hvm->xsave, 0, hvm_fpu_area_size());
    v->hvm->xcr0 = 1;
    assert_int_equal(platform_vcpu_init(v), 0);
    d->vcpus[id] = v;
    fake_current = v;
}

struct domain *guest_create(unsigned int vcpus, uint32_t flags)
{
    struct domain *d = zalloc(sizeof(*d));

    nr_guests++;
    fake_now = 5 * NS_PER_S;
    fake_kicks = fake_inits = fake_sipis = 0;
    d->id = 7;
    d->emulation_flags = flags;
    d->is_privileged = flags & XEN_X86_EMU_VPCI;
    d->hvm = zalloc(sizeof(*d->hvm));
    d->vcpus = zalloc(vcpus * sizeof(d->vcpus[0]));
    d->nr_vcpus = vcpus;
    assert_int_equal(platform_domain_init(d), 0);
    for (unsigned int i = 0; i < vcpus; i++)
        create_vcpu(d, i);
    cpu_policy_update_topology(d);
    fake_current = d->vcpus[0];
    return d;
}

void guest_destroy(struct domain *d)
{
    for (unsigned int i = 0; i < d->nr_vcpus; i++) {
        struct vcpu *v = d->vcpus[i];

        platform_vcpu_destroy(v);
        zfree(v->hvm->xsave);
        zfree(v->hvm->vendor);
        zfree(v->hvm);
        zfree(v);
    }
    platform_domain_destroy(d);
    if (--nr_guests == 0)
        assert_int_equal(timers_armed(), 0);
    zfree(d->vcpus);
    zfree(d->hvm);
    zfree(d);
}

void out8(struct vcpu *v, uint16_t port, uint8_t val)
{
    assert_true(platform_port_write(v, port, 1, val));
}

uint8_t in8(struct vcpu *v, uint16_t port)
{
    uint32_t val = 0;

    assert_true(platform_port_read(v, port, 1, &val));
    return val;
}

uint64_t mmio_read(struct vcpu *v, uint64_t gpa, unsigned int bytes)
{
    const struct mmio_handler *h = platform_mmio_find(v, gpa);
    uint64_t val;

    assert_non_null(h);
    val = h->read(v, gpa - h->gpa, bytes);
    return bytes < 8 ? val & (BIT(bytes * 8) - 1) : val;
}

void mmio_write(struct vcpu *v, uint64_t gpa, unsigned int bytes, uint64_t val)
{
    const struct mmio_handler *h = platform_mmio_find(v, gpa);

    assert_non_null(h);
    h->write(v, gpa - h->gpa, bytes, val);
}

uint32_t apic_read(struct vcpu *v, unsigned int reg)
{
    return mmio_read(v, v->hvm->vlapic->mmio.gpa + reg * 16, 4);
}

void apic_write(struct vcpu *v, unsigned int reg, uint32_t val)
{
    mmio_write(v, v->hvm->vlapic->mmio.gpa + reg * 16, 4, val);
}

void ioapic_write_pin(struct vcpu *v, unsigned int pin, uint64_t rte)
{
    mmio_write(v, VIOAPIC_BASE, 4, 0x10 + 2 * pin + 1);
    mmio_write(v, VIOAPIC_BASE + 0x10, 4, rte >> 32);
    mmio_write(v, VIOAPIC_BASE, 4, 0x10 + 2 * pin);
    mmio_write(v, VIOAPIC_BASE + 0x10, 4, rte);
}

int take_interrupt(struct vcpu *v)
{
    struct hvm_intack ack = hvm_intr_pending(v);

    return ack.source == INTACK_NONE ? -1 : hvm_intr_ack(v, ack);
}

void apic_enable(struct vcpu *v)
{
    apic_write(v, APIC_SVR, 0x1ff);
    apic_write(v, APIC_TPR, 0);
}
