/*
 * PIIX4 power management, function 3 (Intel 82371AB datasheet 290562, chapter 7;
 * ACPI 6.4, 4.8): PM1 event and control blocks, PM timer, general purpose events, APM
 * control, and an SMBus host that finds no device.
 *
 * Under a hypervisor the PM timer's port is answered by the hypervisor; the one here
 * serves front ends without.  There is no SMM: the chip says it has been set up already.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "pci_hotplug.h"

enum {
    /* configuration */
    PMBASE = 0x40,
    DEVACTB = 0x58,
    APMC_EN = 1 << 25,
    PMREGMISC = 0x80,
    SMBBASE = 0x90,
    SMBHSTCFG = 0xd2,

    /* PM I/O space */
    PM_BYTES = 0x40,
    PM1_STS = 0,
    PM1_EN = 2,
    PM1_CNT = 4,
    PM_TMR = 8,

    TMR_STS = 1 << 0,
    GBL_STS = 1 << 5,
    PWRBTN_STS = 1 << 8,
    RTC_STS = 1 << 10,
    WAK_STS = 1 << 15,
    PM1_STS_BITS = TMR_STS | 1 << 4 | GBL_STS | PWRBTN_STS | RTC_STS | WAK_STS,
    RTC_EN = RTC_STS,
    PM1_EN_BITS = TMR_STS | GBL_STS | PWRBTN_STS | RTC_STS,
    SCI_EN = 1 << 0,
    SLP_EN = 1 << 13,
    SLP_TYP_SHIFT = 10,
    SLP_TYP_OFF = 0,
    SLP_TYP_S3 = 1,

    GPE_BASE = 0xafe0,
    GPE_BYTES = 4,
    GPE_PCI = 1 << 1,  /* of event 1: the tables look at the PCI slots then */
    GPE_CPUS = 1 << 2, /* of event 2: hvmloader's tables look at the vCPUs then */

    /* Which vCPUs are online, one bit each; read by hvmloader's tables (PRST). */
    CPUS_BASE = 0xaf00,
    CPUS_BYTES = 32,

    APM_BASE = 0xb2,
    APM_ENABLE = 0xf1,
    APM_DISABLE = 0xf0,

    SMB_BYTES = 0x10,
    SMB_STATUS = 0,
    SMB_CONTROL = 2,
    SMB_START = 1 << 6,
    SMB_DEV_ERR = 1 << 2,

    SCI_IRQ = 9,
    PM_TIMER_HZ = 3579545,
    PM_TIMER_MASK = 0xffffff,

    STATE_VERSION = 3,
};

struct piix4_pm {
    struct pci_device pci;
    struct io_region pm, gpe, apm, smb, cpus;
    struct pci_hotplug hotplug;
    struct irq_line sci;
    struct vtimer overflow;
    uint16_t pm1_sts, pm1_en, pm1_cnt;
    uint8_t gpe_reg[GPE_BYTES]; /* status, then enable */
    uint8_t apm_control, apm_status;
    uint8_t smb_reg[SMB_BYTES];
};

static uint64_t timer_ticks(const struct piix4_pm *s)
{
    return (uint64_t)((__int128)clock_now(&s->pci.dev) * PM_TIMER_HZ / 1000000000);
}

static void update_sci(struct piix4_pm *s)
{
    bool level = s->pm1_sts & s->pm1_en & PM1_EN_BITS;

    level |= (s->gpe_reg[0] & s->gpe_reg[2]) || (s->gpe_reg[1] & s->gpe_reg[3]);
    irq_set(&s->sci, level && s->pm1_cnt & SCI_EN);
}

/* TMR_STS is set whenever bit 23 changes (4.8.3.3); only watched while somebody asks. */
static void arm_overflow(struct piix4_pm *s)
{
    if (!(s->pm1_en & TMR_STS) || s->pm1_sts & TMR_STS) {
        vtimer_cancel(&s->overflow);
        return;
    }
    uint64_t half = (PM_TIMER_MASK + 1) / 2;
    uint64_t next = (timer_ticks(s) / half + 1) * half;
    vtimer_set(&s->overflow, (int64_t)((__int128)next * 1000000000 / PM_TIMER_HZ + 1));
}

static void overflow(void *opaque)
{
    struct piix4_pm *s = opaque;

    s->pm1_sts |= TMR_STS;
    update_sci(s);
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *s = opaque;

    switch (offset) {
    case PM1_STS:
        return s->pm1_sts;
    case PM1_EN:
        return s->pm1_en;
    case PM1_CNT:
        return s->pm1_cnt;
    case PM_TMR:
        return timer_ticks(s) & 0xffff;
    case PM_TMR + 2:
        return (timer_ticks(s) & PM_TIMER_MASK) >> 16;
    default:
        return 0;
    }
}

/* A 32-bit read of the timer must not be cut in two. */
static uint64_t pm_read_whole(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *s = opaque;

    if (offset == PM_TMR && size == 4)
        return timer_ticks(s) & PM_TIMER_MASK;
    uint64_t value = pm_read(opaque, offset & ~1ull, 2) >> (offset & 1) * 8;
    if (size > 2)
        value |= pm_read(opaque, (offset & ~1ull) + 2, 2) << 16;
    return value;
}

static void write_control(struct piix4_pm *s, uint16_t value)
{
    s->pm1_cnt = value & ~SLP_EN;
    if (value & SLP_EN) {
        unsigned type = value >> SLP_TYP_SHIFT & 7;
        if (type == SLP_TYP_OFF)
            machine_shutdown_request(&s->pci.dev, "ACPI soft off");
        else if (type == SLP_TYP_S3)
            machine_sleep_request(&s->pci.dev);
        else
            guest_error(&s->pci.dev, "sleep type %u is not offered", type);
    }
    update_sci(s);
}

static void pm_write_word(struct piix4_pm *s, uint64_t offset, uint16_t mask,
                          uint16_t value)
{
    switch (offset) {
    case PM1_STS:
        s->pm1_sts &= (uint16_t) ~(value & mask);
        break;
    case PM1_EN:
        s->pm1_en = (uint16_t)((s->pm1_en & ~mask) | (value & mask)) & PM1_EN_BITS;
        break;
    case PM1_CNT:
        write_control(s, (uint16_t)((s->pm1_cnt & ~mask) | (value & mask)));
        break;
    default:
        break;
    }
    arm_overflow(s);
    update_sci(s);
}

static void pm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *s = opaque;

    for (unsigned i = 0; i < size; i++) {
        unsigned shift = (unsigned)(offset + i) % 2 * 8;
        uint64_t word = (offset + i) & ~1ull;
        uint16_t part = (uint16_t)(value >> (i * 8));
        if (shift == 0 && i + 1 < size) {
            pm_write_word(s, word, 0xffff, part);
            i++;
        } else {
            pm_write_word(s, word, (uint16_t)(0xff << shift),
                          (uint16_t)((part & 0xff) << shift));
        }
    }
}

static const struct io_ops pm_ops = {
    .read = pm_read_whole,
    .write = pm_write,
};

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((struct piix4_pm *)opaque)->gpe_reg[offset];
}

static void gpe_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *s = opaque;

    if (offset < GPE_BYTES / 2)
        s->gpe_reg[offset] &= (uint8_t)~value;
    else if (offset < GPE_BYTES)
        s->gpe_reg[offset] = (uint8_t)value;
    update_sci(s);
}

static const struct io_ops gpe_ops = {
    .read = gpe_read,
    .write = gpe_write,
    .max_size = 1,
};

static uint64_t cpus_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4_pm *s = opaque;

    return machine_board(&s->pci.dev)->online[offset];
}

/* Ejecting: vCPUs that the guest gave up stay with it. */
static void cpus_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
}

static const struct io_ops cpus_ops = {
    .read = cpus_read,
    .write = cpus_write,
    .max_size = 1,
};

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4_pm *s = opaque;

    return offset ? s->apm_status : s->apm_control;
}

/* What SMM code would do on real hardware: switch between legacy and ACPI mode. */
static void apm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *s = opaque;

    if (offset) {
        s->apm_status = (uint8_t)value;
        return;
    }
    s->apm_control = (uint8_t)value;
    if (value == APM_ENABLE)
        s->pm1_cnt |= SCI_EN;
    else if (value == APM_DISABLE)
        s->pm1_cnt &= (uint16_t)~SCI_EN;
    update_sci(s);
}

static const struct io_ops apm_ops = {
    .read = apm_read,
    .write = apm_write,
    .max_size = 1,
};

static uint64_t smb_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((struct piix4_pm *)opaque)->smb_reg[offset];
}

/* Every transaction ends at once with "no device answered". */
static void smb_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4_pm *s = opaque;

    if (offset == SMB_STATUS) {
        s->smb_reg[SMB_STATUS] &= (uint8_t)~value;
        return;
    }
    s->smb_reg[offset] = (uint8_t)value;
    if (offset == SMB_CONTROL && value & SMB_START) {
        s->smb_reg[SMB_CONTROL] &= (uint8_t)~SMB_START;
        s->smb_reg[SMB_STATUS] |= SMB_DEV_ERR;
    }
}

static const struct io_ops smb_ops = {
    .read = smb_read,
    .write = smb_write,
    .max_size = 1,
};

static void place(struct piix4_pm *s, struct io_region *r, bool enabled, uint32_t base)
{
    if (!enabled || !base) {
        io_region_unmap(r);
        return;
    }
    int err = io_region_map(r, base);
    if (err)
        guest_error(&s->pci.dev, "%s cannot decode port %#x", r->name, base);
}

static void update_mappings(struct piix4_pm *s)
{
    place(s, &s->pm, s->pci.config[PMREGMISC] & 1, pci_get32(&s->pci, PMBASE) & 0xffc0);
    place(s, &s->smb, s->pci.config[SMBHSTCFG] & 1, pci_get32(&s->pci, SMBBASE) & 0xffc0);
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    update_mappings((struct piix4_pm *)pci);
}

static void power_button(void *opaque)
{
    struct piix4_pm *s = opaque;

    s->pm1_sts |= PWRBTN_STS;
    update_sci(s);
}

/* On Xen's platform the enables are the hypervisor's. */
static bool alarm_wakes(void *opaque)
{
    const struct piix4_pm *s = opaque;

    return machine_board(&s->pci.dev)->xenfv || s->pm1_en & RTC_EN;
}

static void woken(void *opaque, enum wake_reason why)
{
    struct piix4_pm *s = opaque;

    s->pm1_sts |= WAK_STS;
    if (why == WAKE_BUTTON)
        s->pm1_sts |= PWRBTN_STS;
    else if (why == WAKE_ALARM)
        s->pm1_sts |= RTC_STS;
    update_sci(s);
}

static void cpus_changed(void *opaque)
{
    struct piix4_pm *s = opaque;

    s->gpe_reg[0] |= GPE_CPUS;
    update_sci(s);
}

static void slots_changed(void *opaque)
{
    struct piix4_pm *s = opaque;

    s->gpe_reg[0] |= GPE_PCI;
    update_sci(s);
}

static const struct power_ops power_ops = {
    .power_button = power_button,
    .alarm_wakes = alarm_wakes,
    .woken = woken,
    .slots_changed = slots_changed,
};
/* On Xen's platform the tables have room for vCPUs that come later. */
static const struct power_ops power_ops_xen = {
    .power_button = power_button,
    .alarm_wakes = alarm_wakes,
    .woken = woken,
    .cpus_changed = cpus_changed,
    .slots_changed = slots_changed,
};

/* After S3 the native board's firmware places the block again, that of Xen's platform
 * does not. */
static bool keeps_place(const struct piix4_pm *s)
{
    return machine_asleep(&s->pci.dev) && machine_board(&s->pci.dev)->xenfv;
}

static void pm_reset(struct device *dev)
{
    struct piix4_pm *s = (struct piix4_pm *)dev;

    s->pm1_sts = s->pm1_en = s->pm1_cnt = 0;
    for (unsigned i = 0; i < GPE_BYTES; i++)
        s->gpe_reg[i] = 0;
    for (unsigned i = 0; i < SMB_BYTES; i++)
        s->smb_reg[i] = 0;
    s->apm_control = s->apm_status = 0;
    pci_set16(&s->pci, 0x06, 0x0280);
    if (!keeps_place(s)) {
        pci_set32(&s->pci, PMBASE, 1);
        s->pci.config[PMREGMISC] = 0;
    }
    pci_set32(&s->pci, DEVACTB, APMC_EN);
    pci_set32(&s->pci, SMBBASE, 1);
    s->pci.config[SMBHSTCFG] = 0;
    s->pci.config[0x3c] = SCI_IRQ;
    update_mappings(s);
    arm_overflow(s);
    update_sci(s);
}

static int pm_create(struct device *dev, struct error *error)
{
    struct piix4_pm *s = (struct piix4_pm *)dev;

    pci_setup(&s->pci, &(struct pci_ids){
                           .vendor = 0x8086,
                           .device = 0x7113,
                           .subsystem_vendor = 0x1af4,
                           .subsystem = 0x1100,
                           .class_code = 0x068000,
                           .revision = 3,
                           .interrupt_pin = 1,
                       });
    s->pci.writable[0x04] = 0x01;
    s->pci.writable[PMBASE] = 0xc0;
    s->pci.writable[PMBASE + 1] = 0xff;
    for (unsigned i = DEVACTB; i < DEVACTB + 4; i++)
        s->pci.writable[i] = 0xff;
    s->pci.writable[PMREGMISC] = 1;
    s->pci.writable[SMBBASE] = 0xc0;
    s->pci.writable[SMBBASE + 1] = 0xff;
    s->pci.writable[SMBHSTCFG] = 0x0f;
    s->pci.config_written = config_written;
    io_region_init(&s->pm, dev, "pm", IO_PORT, PM_BYTES, &pm_ops, s);
    io_region_init(&s->gpe, dev, "gpe", IO_PORT, GPE_BYTES, &gpe_ops, s);
    io_region_init(&s->apm, dev, "apm", IO_PORT, 2, &apm_ops, s);
    io_region_init(&s->smb, dev, "smbus", IO_PORT, SMB_BYTES, &smb_ops, s);
    io_region_init(&s->cpus, dev, "cpus", IO_PORT, CPUS_BYTES, &cpus_ops, s);
    irq_line_init(&s->sci, dev, SCI_IRQ);
    vtimer_init(&s->overflow, dev, overflow, s);
    bool xen = machine_board(dev)->xenfv;
    int err = io_region_map(&s->gpe, GPE_BASE);
    if (!err)
        err = io_region_map(&s->apm, APM_BASE);
    if (!err && xen)
        err = io_region_map(&s->cpus, CPUS_BASE);
    if (!err)
        err = pci_hotplug_init(&s->hotplug, dev, xen);
    if (err) {
        io_region_unmap(&s->gpe);
        io_region_unmap(&s->apm);
        io_region_unmap(&s->cpus);
        return err;
    }
    machine_power_register(dev, xen ? &power_ops_xen : &power_ops, s);
    return 0;
}

/* Version 1 had no vCPUs that come later. */
static void online_state(struct piix4_pm *s, struct state *state, uint32_t version)
{
    uint8_t online[CPUS_BYTES];

    memcpy(online, machine_board(&s->pci.dev)->online, sizeof(online));
    if (version > 1 && !state_bytes(state, "cpus-online", online, sizeof(online)) &&
        state_loading(state))
        machine_set_online(&s->pci.dev, online);
}

static int pm_state(struct device *dev, struct state *state, uint32_t version)
{
    struct piix4_pm *s = (struct piix4_pm *)dev;

    pci_state(&s->pci, state);
    state_u16(state, "pm1-sts", &s->pm1_sts);
    state_u16(state, "pm1-en", &s->pm1_en);
    state_u16(state, "pm1-cnt", &s->pm1_cnt);
    state_bytes(state, "gpe", s->gpe_reg, sizeof(s->gpe_reg));
    state_u8(state, "apm-control", &s->apm_control);
    state_u8(state, "apm-status", &s->apm_status);
    state_bytes(state, "smbus", s->smb_reg, sizeof(s->smb_reg));
    online_state(s, state, version);
    if (version > 2) /* before, no device could come later */
        pci_hotplug_state(&s->hotplug, state);
    int err = state_error(state);
    if (!err && state_loading(state)) {
        update_mappings(s);
        arm_overflow(s);
        update_sci(s);
    }
    return err;
}

static int pm_save(struct device *dev, struct state *state)
{
    return pm_state(dev, state, STATE_VERSION);
}

static int pm_load(struct device *dev, struct state *state, uint32_t version)
{
    return pm_state(dev, state, version);
}

static void pm_destroy(struct device *dev)
{
    struct piix4_pm *s = (struct piix4_pm *)dev;

    machine_power_register(dev, NULL, NULL);
    vtimer_cancel(&s->overflow);
    irq_set(&s->sci, false);
    io_region_unmap(&s->pm);
    io_region_unmap(&s->gpe);
    io_region_unmap(&s->apm);
    io_region_unmap(&s->smb);
    io_region_unmap(&s->cpus);
    pci_hotplug_fini(&s->hotplug);
}

static const struct device_ops piix4_pm_ops = {
    .name = "piix4-pm",
    .bus = BUS_PCI,
    .size = sizeof(struct piix4_pm),
    .version = STATE_VERSION,
    .create = pm_create,
    .reset = pm_reset,
    .save = pm_save,
    .load = pm_load,
    .destroy = pm_destroy,
};
REGISTER_DEVICE(piix4_pm_ops);
