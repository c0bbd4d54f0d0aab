/* HVM context records of the platform's devices. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * PIC, IOAPIC, PCI_IRQ, ISA_IRQ, PCI_LINK, PIT, RTC, HPET, PMTIMER and Hyper-V state in
 * the public ABI's layouts (arch-x86/hvm/save.h). Lines are counted anew from their
 * sources' levels after each record that holds some, so the order of the records does not
 * matter.
 */
#include "hvm/save.h"
#include "hvm/vhpet.h"
#include "hvm/vioapic.h"
#include "hvm/synic.h"
#include "hvm/viridian.h"
#include "hvm/vpic.h"
#include "hvm/vpit.h"
#include "hvm/vpmtimer.h"
#include "hvm/vrtc.h"
#include "lib/errno.h"
#include "lib/string.h"

static int save_pic(struct vcpu *v, struct hvm_context *c)
{
    const struct vpic *pic = v->domain->hvm->vpic;
    int rc = 0;

    for (unsigned int i = 0; pic && i < 2 && !rc; i++) {
        const struct vpic_chip *p = &pic->chip[i];
        struct hvm_hw_vpic hw = {
            .irr = p->irr,
            .imr = p->imr,
            .isr = p->isr,
            .irq_base = p->irq_base,
            .init_state = p->init_step
                              ? (p->init_step - 1) | p->wants_icw4 << 2 | p->single << 3
                              : 0,
            .priority_add = p->priority_add,
            .readsel_isr = p->read_isr,
            .poll = p->poll,
            .auto_eoi = p->auto_eoi,
            .rotate_on_auto_eoi = p->rotate_on_auto_eoi,
            .special_fully_nested_mode = p->special_nested,
            .special_mask_mode = p->special_mask,
            .is_master = p->is_master,
            .elcr = p->elcr,
            .int_output = p->output,
        };

        rc = hvm_save_put(c, HVM_SAVE_CODE(PIC), i, &hw, sizeof(hw));
    }
    return rc;
}

static int load_pic(struct vcpu *v, const struct hvm_record *r)
{
    struct vpic *pic = v->domain->hvm->vpic;
    struct hvm_hw_vpic hw;
    struct vpic_chip *p;

    if (!pic)
        return -ENODEV;
    if (r->instance > 1 || hvm_load_payload(r, &hw, sizeof(hw)) || hw.priority_add > 7)
        return -EINVAL;
    p = &pic->chip[r->instance];
    *p = (struct vpic_chip){
        .irr = hw.irr,
        .imr = hw.imr,
        .isr = hw.isr,
        .irq_base = hw.irq_base & 0xf8,
        .elcr = hw.elcr & vpic_elcr_mask[r->instance],
        .priority_add = hw.priority_add,
        .init_step = hw.init_state & 3 ? (hw.init_state & 3) + 1 : 0,
        .wants_icw4 = hw.init_state & 4,
        .single = hw.init_state & 8,
        .read_isr = hw.readsel_isr,
        .poll = hw.poll,
        .auto_eoi = hw.auto_eoi,
        .rotate_on_auto_eoi = hw.rotate_on_auto_eoi,
        .special_nested = hw.special_fully_nested_mode,
        .special_mask = hw.special_mask_mode,
        .is_master = r->instance == 0,
    };
    platform_lines_loaded(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(PIC, save_pic, load_pic, false);

static int save_ioapic(struct vcpu *v, struct hvm_context *c)
{
    const struct vioapic *io = v->domain->hvm->vioapic;
    struct hvm_hw_vioapic hw = {0};

    if (!io || io->mirror)
        return 0;
    hw.base_address = io->chip[0].gpa;
    hw.ioregsel = io->chip[0].select;
    hw.id = io->chip[0].id >> 24;
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        hw.redirtbl[i].bits = io->rte[i];
    return hvm_save_put(c, HVM_SAVE_CODE(IOAPIC), 0, &hw, sizeof(hw));
}

static int load_ioapic(struct vcpu *v, const struct hvm_record *r)
{
    struct vioapic *io = v->domain->hvm->vioapic;
    struct hvm_hw_vioapic hw;

    if (!io || io->mirror)
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)) || hw.base_address != VIOAPIC_BASE ||
        hw.id > 15)
        return -EINVAL;
    io->chip[0].select = hw.ioregsel;
    io->chip[0].id = hw.id << 24;
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        io->rte[i] = hw.redirtbl[i].bits & (RTE_WRITABLE | RTE_REMOTE_IRR);
    vioapic_loaded(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(IOAPIC, save_ioapic, load_ioapic, false);

/*
 * Lines. Dom0 and PVH guests have none.
 */
static bool has_lines(const struct vcpu *v)
{
    const struct vioapic *io = v->domain->hvm->vioapic;

    return io && !io->mirror;
}

static int save_pci_irq(struct vcpu *v, struct hvm_context *c)
{
    const struct platform *p = v->domain->hvm->platform;
    struct hvm_hw_pci_irqs hw = {0};

    if (!has_lines(v))
        return 0;
    for (unsigned int i = 0; i < 128; i++)
        if (p->pci_level[i % 4] >> i / 4 & 1)
            hw.pad[i / 64] |= BIT(i % 64);
    return hvm_save_put(c, HVM_SAVE_CODE(PCI_IRQ), 0, &hw, sizeof(hw));
}

static int load_pci_irq(struct vcpu *v, const struct hvm_record *r)
{
    struct platform *p = v->domain->hvm->platform;
    struct hvm_hw_pci_irqs hw;

    if (!has_lines(v))
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    memset(p->pci_level, 0, sizeof(p->pci_level));
    for (unsigned int i = 0; i < 128; i++)
        if (hw.pad[i / 64] >> i % 64 & 1)
            p->pci_level[i % 4] |= 1u << i / 4;
    platform_lines_loaded(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(PCI_IRQ, save_pci_irq, load_pci_irq, false);

static int save_isa_irq(struct vcpu *v, struct hvm_context *c)
{
    struct hvm_hw_isa_irqs hw = {.pad = {v->domain->hvm->platform->isa_level}};

    return has_lines(v) ? hvm_save_put(c, HVM_SAVE_CODE(ISA_IRQ), 0, &hw, sizeof(hw)) : 0;
}

static int load_isa_irq(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_hw_isa_irqs hw;

    if (!has_lines(v))
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    v->domain->hvm->platform->isa_level = hw.pad[0] & ~(1u << 2);
    platform_lines_loaded(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(ISA_IRQ, save_isa_irq, load_isa_irq, false);

static int save_pci_link(struct vcpu *v, struct hvm_context *c)
{
    struct hvm_hw_pci_link hw = {0};

    if (!has_lines(v))
        return 0;
    memcpy(hw.route, v->domain->hvm->pci_link_route, sizeof(hw.route));
    return hvm_save_put(c, HVM_SAVE_CODE(PCI_LINK), 0, &hw, sizeof(hw));
}

static int load_pci_link(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_hw_pci_link hw;

    if (!has_lines(v))
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    for (unsigned int i = 0; i < 4; i++)
        if (hw.route[i] >= PLATFORM_NR_ISA)
            return -EINVAL;
    memcpy(v->domain->hvm->pci_link_route, hw.route, sizeof(hw.route));
    platform_lines_loaded(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(PCI_LINK, save_pci_link, load_pci_link, false);

/*
 * Timers.
 */

/* Which byte of a PIT count is next, as stock Xen writes it: 1 the only one, low; 2 the
 * only one, high, or of a latched count the second; 3 and 4 the first and second of two.
 */
enum { PIT_LOW = 1, PIT_HIGH = 2, PIT_FIRST = 3, PIT_SECOND = 4 };
#define PIT_RW_BOTH    3
#define PIT_MODE_UNSET 0xff /* no mode was ever written */

static uint8_t pit_byte(const struct vpit_channel *ch, bool high)
{
    if (ch->rw_mode != PIT_RW_BOTH)
        return ch->rw_mode;
    return high ? PIT_SECOND : PIT_FIRST;
}

static uint8_t pit_latched(const struct vpit_channel *ch)
{
    if (ch->latched == 2)
        return PIT_FIRST;
    return !ch->latched ? 0 : ch->rw_mode == PIT_LOW ? PIT_LOW : PIT_HIGH;
}

static int save_pit(struct vcpu *v, struct hvm_context *c)
{
    const struct vpit *p = v->domain->hvm->vpit;
    struct hvm_hw_pit hw = {0};

    if (!p)
        return 0;
    for (unsigned int i = 0; i < PIT_CHANNELS; i++) {
        const struct vpit_channel *ch = &p->channel[i];
        struct hvm_hw_pit_channel *to = &hw.channels[i];

        to->count = ch->reload ? ch->next_count : ch->counting ? ch->count : 0;
        to->latched_count = ch->latch;
        to->count_latched = pit_latched(ch);
        to->status_latched = ch->status_latched;
        to->status = ch->status;
        to->read_state = pit_byte(ch, ch->read_high);
        to->write_state = pit_byte(ch, ch->write_high);
        to->write_latch = ch->write_low;
        to->rw_mode = ch->rw_mode;
        to->mode = ch->mode;
        to->bcd = ch->bcd;
        to->gate = ch->gate;
    }
    hw.speaker_data_on = p->speaker_data;
    return hvm_save_put(c, HVM_SAVE_CODE(PIT), 0, &hw, sizeof(hw));
}

static bool pit_channel_valid(const struct hvm_hw_pit_channel *ch)
{
    return ch->count <= 65536 && (ch->mode <= 5 || ch->mode == PIT_MODE_UNSET) &&
           ch->rw_mode <= PIT_RW_BOTH && !(ch->bcd && ch->count > 10000);
}

static int load_pit(struct vcpu *v, const struct hvm_record *r)
{
    struct vpit *p = v->domain->hvm->vpit;
    struct hvm_hw_pit hw;

    if (!p)
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    for (unsigned int i = 0; i < PIT_CHANNELS; i++)
        if (!pit_channel_valid(&hw.channels[i]))
            return -EINVAL;
    for (unsigned int i = 0; i < PIT_CHANNELS; i++) {
        const struct hvm_hw_pit_channel *from = &hw.channels[i];
        struct vpit_channel *ch = &p->channel[i];
        bool unset = from->mode == PIT_MODE_UNSET || !from->count;
        bool periodic = from->mode == 2 || from->mode == 3;

        *ch = (struct vpit_channel){
            .mode = from->mode == PIT_MODE_UNSET ? 0 : from->mode,
            .rw_mode = from->rw_mode ? from->rw_mode : PIT_RW_BOTH,
            .bcd = from->bcd,
            .gate = i == 2 ? from->gate != 0 : true,
            .counting = !unset,
            .null_count = unset,
            .count = max(from->count, periodic ? 2u : 1u),
            .latched = from->count_latched == PIT_FIRST ? 2 : from->count_latched != 0,
            .latch = from->latched_count,
            .status_latched = from->status_latched,
            .status = from->status,
            .read_high = from->read_state == PIT_SECOND,
            .write_high = from->write_state == PIT_SECOND,
            .write_low = from->write_latch,
        };
    }
    p->speaker_data = hw.speaker_data_on != 0;
    vpit_restart(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(PIT, save_pit, load_pit, false);

static int save_rtc(struct vcpu *v, struct hvm_context *c)
{
    const struct vrtc *rtc = v->domain->hvm->vrtc;
    struct hvm_hw_rtc hw = {0};

    if (!rtc)
        return 0;
    vrtc_snapshot(v->domain, hw.cmos_data);
    hw.cmos_index = rtc->index;
    hw.rtc_offset = rtc->offset_ns / NS_PER_S;
    return hvm_save_put(c, HVM_SAVE_CODE(RTC), 0, &hw, sizeof(hw));
}

static int load_rtc(struct vcpu *v, const struct hvm_record *r)
{
    const int64_t limit = 100ll * 366 * 86400; /* seconds: the clock's own range */
    struct vrtc *rtc = v->domain->hvm->vrtc;
    struct hvm_hw_rtc hw;

    if (!rtc)
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)) || hw.rtc_offset > limit ||
        hw.rtc_offset < -limit)
        return -EINVAL;
    memcpy(rtc->reg, hw.cmos_data, sizeof(rtc->reg));
    rtc->reg[10] &= 0x7f; /* UIP is computed */
    rtc->index = hw.cmos_index & 0x7f;
    rtc->offset_ns = hw.rtc_offset * NS_PER_S;
    vrtc_restart(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(RTC, save_rtc, load_rtc, false);

static int save_hpet(struct vcpu *v, struct hvm_context *c)
{
    const struct vhpet *h = v->domain->hvm->vhpet;
    struct hvm_hw_hpet hw = {0};

    if (!h)
        return 0;
    hw.capability = vhpet_capabilities;
    hw.config = h->config;
    hw.isr = h->isr;
    hw.mc64 = vhpet_counter(h, hvm_guest_time(v->domain));
    for (unsigned int i = 0; i < HPET_TIMERS; i++) {
        hw.timers[i].config = h->timer[i].config;
        hw.timers[i].cmp = h->timer[i].comparator;
        hw.period[i] = h->timer[i].period;
    }
    return hvm_save_put(c, HVM_SAVE_CODE(HPET), 0, &hw, sizeof(hw));
}

static int load_hpet(struct vcpu *v, const struct hvm_record *r)
{
    struct vhpet *h = v->domain->hvm->vhpet;
    struct hvm_hw_hpet hw;

    if (!h)
        return -ENODEV;
    /* Another tick length would change the guest's time. */
    if (hvm_load_payload(r, &hw, sizeof(hw)) ||
        hw.capability >> 32 != vhpet_capabilities >> 32)
        return -EINVAL;
    h->config = hw.config & (HPET_CFG_ON | HPET_CFG_LEG);
    h->isr = hw.isr & (BIT(HPET_TIMERS) - 1);
    for (unsigned int i = 0; i < HPET_TIMERS; i++) {
        h->timer[i].config = hw.timers[i].config;
        h->timer[i].comparator = hw.timers[i].cmp;
        h->timer[i].period = hw.period[i];
    }
    vhpet_restart(v->domain, hw.mc64);
    platform_lines_loaded(v->domain);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(HPET, save_hpet, load_hpet, false);

static int save_pmtimer(struct vcpu *v, struct hvm_context *c)
{
    struct hvm_hw_pmtimer hw = {0};

    if (!v->domain->hvm->pmtimer)
        return 0;
    hw.tmr_val = vpmtimer_count(v->domain);
    hw.pm1a_sts = v->domain->hvm->pmtimer->pm1_status;
    hw.pm1a_en = v->domain->hvm->pmtimer->pm1_enable;
    return hvm_save_put(c, HVM_SAVE_CODE(PMTIMER), 0, &hw, sizeof(hw));
}

static int load_pmtimer(struct vcpu *v, const struct hvm_record *r)
{
    struct vpmtimer *p = v->domain->hvm->pmtimer;
    struct hvm_hw_pmtimer hw;

    if (!p)
        return -ENODEV;
    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    /* Rounded up, so that the count is the same again. */
    p->base = hvm_guest_time(v->domain) -
              (ns_t)((uint64_t)hw.tmr_val * NS_PER_S / PM_TIMER_HZ + 1);
    if (p->pm1_port) {
        p->pm1_status = hw.pm1a_sts;
        p->pm1_enable = hw.pm1a_en;
        vpmtimer_update_sci(v->domain);
    }
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(PMTIMER, save_pmtimer, load_pmtimer, false);

/*
 * Hyper-V.
 */
static int save_viridian(struct vcpu *v, struct hvm_context *c)
{
    const struct viridian *h = v->domain->hvm->viridian;
    struct hvm_viridian_domain_context hw = {0};

    if (!h || !viridian_enabled(v->domain))
        return 0;
    hw.hypercall_gpa = h->hypercall;
    hw.guest_os_id = h->guest_os_id;
    hw.reference_tsc = h->reference_tsc;
    hw.time_ref_count = viridian_reference_count(v->domain);
    return hvm_save_put(c, HVM_SAVE_CODE(VIRIDIAN_DOMAIN), 0, &hw, sizeof(hw));
}

static int load_viridian(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_viridian_domain_context hw;
    struct viridian *h;

    if (!viridian_enabled(v->domain))
        return -ENODEV;
    h = viridian_get(v->domain);
    if (!h)
        return -ENOMEM;
    if (hvm_load_payload(r, &hw, sizeof(hw)) || hw.time_ref_count > INT64_MAX / 100)
        return -EINVAL;
    h->hypercall = hw.hypercall_gpa;
    h->guest_os_id = hw.guest_os_id;
    h->reference_tsc = hw.reference_tsc;
    h->time_base = hvm_guest_time(v->domain) - (ns_t)hw.time_ref_count * 100;
    viridian_loaded(v);
    return 0;
}
HVM_REGISTER_SAVE_RESTORE(VIRIDIAN_DOMAIN, save_viridian, load_viridian, false);

static int save_viridian_vcpu(struct vcpu *v, struct hvm_context *c)
{
    const struct viridian *h = v->domain->hvm->viridian;
    struct hvm_viridian_vcpu_context hw = {0};

    if (!h || !viridian_enabled(v->domain))
        return 0;
    hw.vp_assist_msr = h->vp_assist[v->id];
    synic_save(v, &hw);
    return hvm_save_put(c, HVM_SAVE_CODE(VIRIDIAN_VCPU), v->id, &hw, sizeof(hw));
}

static int load_viridian_vcpu(struct vcpu *v, const struct hvm_record *r)
{
    struct hvm_viridian_vcpu_context hw;
    struct viridian *h;

    if (!viridian_enabled(v->domain))
        return -ENODEV;
    h = viridian_get(v->domain);
    if (!h)
        return -ENOMEM;
    /* The EOI assist is not offered, so no guest of ours has used it. */
    if (hvm_load_payload(r, &hw, sizeof(hw)) || hw.apic_assist_pending)
        return -EINVAL;
    h->vp_assist[v->id] = hw.vp_assist_msr;
    return synic_load(v, &hw);
}
HVM_REGISTER_SAVE_RESTORE(VIRIDIAN_VCPU, save_viridian_vcpu, load_viridian_vcpu, true);
