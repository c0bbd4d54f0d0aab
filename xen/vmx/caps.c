/* What a processor's VMX offers, and switching it on (Intel SDM vol 3, chapter 24 and
 * appendix A). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each control has bits that must be 1 and bits that may be; what we need and a processor
 * lacks is named. All CPUs must offer what the first one does, for vCPUs move.
 */
#include "vmx/vmcs.h"
#include "boot/boot.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/time.h"
#include "cpu/x86.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

struct vmx_caps vmx_caps;

static unsigned int opt_timer_us = 2000;
option_uint("vmx_timer_us", opt_timer_us,
            "Intel: time in guest mode after which it ends for a moment; 0: never");

static bool opt_apicv = true;
option_bool("apicv", opt_apicv, "Intel: let the processor play the guests' local APICs");

static int opt_exec_sp = -1, opt_ad = -1;

/* ept=[no-]exec-sp,[no-]ad, as on Xen. */
static int parse_ept(const char *list)
{
    static const struct {
        const char *name;
        int *var;
    } words[] = {{"exec-sp", &opt_exec_sp}, {"ad", &opt_ad}};

    while (*list) {
        bool off = !strncmp(list, "no-", 3), known = false;

        list += off ? 3 : 0;
        for (unsigned int i = 0; i < ARRAY_SIZE(words) && !known; i++) {
            size_t n = strlen(words[i].name);

            known = !strncmp(list, words[i].name, n) && (!list[n] || list[n] == ',');
            if (known) {
                *words[i].var = !off;
                list += n + (list[n] == ',');
            }
        }
        if (!known)
            return -EINVAL;
    }
    return 0;
}
option_custom("ept", parse_ept,
              "Intel: exec-sp: code in large pages; ad: accessed and dirty bits");

#define FEATURE_CONTROL_LOCK   BIT(0)
#define FEATURE_CONTROL_VMX    BIT(2) /* outside of SMX */
#define BASIC_TRUE_CONTROLS    BIT(55)
#define BASIC_MEMTYPE(basic)   ((basic) >> 50 & 15)
#define BASIC_REGION_BYTES(b)  ((b) >> 32 & 0x1fff)
#define MISC_TIMER_SHIFT_MASK  31
#define BASIC_REVISION_MASK    0x7fffffffu
#define VPID_MIN_INVALIDATIONS (CAP_INVVPID | CAP_INVVPID_ALL)

struct need {
    uint32_t bit;
    const char *name;
};

static const struct need pin_needs[] = {
    {PIN_EXTINT, "exits on interrupts"},
    {PIN_NMI, "exits on NMIs"},
    {PIN_VIRTUAL_NMI, "virtual NMIs"},
    {0, NULL},
};
static const struct need proc_needs[] = {
    {PROC_INTR_WINDOW, "interrupt-window exits"},
    {PROC_TSC_OFFSET, "TSC offsetting"},
    {PROC_HLT, "HLT exits"},
    {PROC_MWAIT, "MWAIT exits"},
    {PROC_RDPMC, "RDPMC exits"},
    {PROC_RDTSC, "RDTSC exits"},
    {PROC_NMI_WINDOW, "NMI-window exits"},
    {PROC_MOV_DR, "MOV DR exits"},
    {PROC_IO_BITMAPS, "I/O bitmaps"},
    {PROC_MSR_BITMAPS, "MSR bitmaps"},
    {PROC_MONITOR, "MONITOR exits"},
    {PROC_SECONDARY, "secondary controls (and so EPT and unrestricted guest)"},
    {0, NULL},
};
static const struct need proc2_needs[] = {
    {PROC2_EPT, "extended page tables (EPT)"},
    {PROC2_UNRESTRICTED, "unrestricted guest"},
    {PROC2_WBINVD, "WBINVD exits"},
    {0, NULL},
};
static const struct need exit_needs[] = {
    {EXIT_SAVE_DEBUG, "saving debug controls"},
    {EXIT_HOST_64, "a 64-bit host"},
    {EXIT_LOAD_PAT, "loading PAT on exits"},
    {EXIT_LOAD_EFER, "loading EFER on exits"},
    {0, NULL},
};
static const struct need entry_needs[] = {
    {ENTRY_LOAD_DEBUG, "loading debug controls"},
    {ENTRY_IA32E, "64-bit guests"},
    {ENTRY_LOAD_PAT, "loading PAT on entries"},
    {ENTRY_LOAD_EFER, "loading EFER on entries"},
    {0, NULL},
};

/* Bits that must be 1, what we need, and what of `wanted` there is. False, with messages,
 * if something that we need is not there. */
static bool choose(uint32_t msr, const struct need *needs, uint32_t wanted, uint32_t *out)
{
    uint64_t cap = rdmsr(msr);
    uint32_t must = cap, may = cap >> 32;
    bool good = true;

    *out = must | (wanted & may);
    for (; needs->bit; needs++) {
        if (!(may & needs->bit)) {
            printk("VMX: this processor lacks %s\n", needs->name);
            good = false;
        }
        *out |= needs->bit;
    }
    return good;
}

static bool read_ept_caps(struct vmx_caps *c)
{
    static const struct {
        uint64_t bits;
        const char *name;
    } needs[] = {
        {CAP_EPT_WALK_4, "EPT with four levels"},
        {CAP_EPT_WB, "EPT tables in write-back memory"},
        {CAP_EPT_2M, "EPT with 2 MiB pages"},
        {CAP_INVEPT, "INVEPT"},
    };
    bool good = true;

    c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
    for (unsigned int i = 0; i < ARRAY_SIZE(needs); i++)
        if (!(c->ept_vpid & needs[i].bits)) {
            printk("VMX: this processor lacks %s\n", needs[i].name);
            good = false;
        }
    if (!(c->ept_vpid & (CAP_INVEPT_SINGLE | CAP_INVEPT_ALL))) {
        printk("VMX: this processor lacks a usable type of INVEPT\n");
        good = false;
    }
    if ((c->ept_vpid & VPID_MIN_INVALIDATIONS) != VPID_MIN_INVALIDATIONS)
        c->proc2 &= ~PROC2_VPID;
    if (!opt_ad)
        c->ept_vpid &= ~CAP_EPT_AD;
    /* A change of the size of a page that code is fetched from can be a machine check
     * (erratum "machine check error on page size change"): a guest could stop the
     * machine.
     */
    c->exec_large =
        opt_exec_sp >= 0 ? opt_exec_sp : !(mitigations.bugs & (1u << BUG_ITLB_MULTIHIT));
    return good;
}

/* All of it or nothing (apic.c). */
static void choose_apic(struct vmx_caps *c)
{
    const uint32_t parts = PROC2_APIC_REGS | PROC2_VIRTUAL_INTR;
    const uint32_t all = parts | PROC2_APIC_ACCESS | PROC2_X2APIC;

    c->vid = opt_apicv && (c->proc & PROC_TPR_SHADOW) && (c->proc2 & parts) == parts;
    if (!c->vid)
        c->proc2 &= ~all;
    c->posted = c->vid && (c->pin & PIN_POSTED) && (c->exit & EXIT_ACK_INTR);
    if (!c->posted) {
        c->pin &= ~PIN_POSTED;
        c->exit &= ~EXIT_ACK_INTR;
    }
}

/* Interrupts of the machine end guest mode whatever the guest's IF is. Bochs (2.7, 3.0)
 * forgets those that come while a guest keeps IF clear that was entered so: a guest that
 * spins or polls like that would keep its CPU for ever. The timer counts time in guest
 * mode, over exits; at its end interrupts are let in. */
static void choose_timer(struct vmx_caps *c)
{
    uint64_t ticks =
        (tsc_hz * opt_timer_us / 1000000) >> (c->misc & MISC_TIMER_SHIFT_MASK);

    if (!ticks || ticks > UINT32_MAX || !(c->pin & PIN_TIMER) ||
        !(c->exit & EXIT_SAVE_TIMER)) {
        c->pin &= ~PIN_TIMER;
        c->exit &= ~EXIT_SAVE_TIMER;
        return;
    }
    c->timer_ticks = ticks;
}

/* -ENODEV with a message for each thing that is missing. */
static int read_caps(struct vmx_caps *c)
{
    uint64_t basic = rdmsr(MSR_VMX_BASIC);
    bool has_true = basic & BASIC_TRUE_CONTROLS, good;

    memset(c, 0, sizeof(*c));
    c->revision = basic & BASIC_REVISION_MASK;
    if (BASIC_REGION_BYTES(basic) > PAGE_SIZE || BASIC_MEMTYPE(basic) != 6) {
        printk("VMX: VMCS of %lu bytes, memory type %lu: not supported\n",
               BASIC_REGION_BYTES(basic), BASIC_MEMTYPE(basic));
        return -ENODEV;
    }
    good = choose(has_true ? MSR_VMX_TRUE_BASE : MSR_VMX_PINBASED, pin_needs,
                  PIN_TIMER | PIN_POSTED, &c->pin);
    good &= choose(has_true ? MSR_VMX_TRUE_BASE + 1 : MSR_VMX_PROCBASED, proc_needs,
                   PROC_TPR_SHADOW, &c->proc);
    good &= choose(has_true ? MSR_VMX_TRUE_BASE + 2 : MSR_VMX_EXIT, exit_needs,
                   EXIT_SAVE_TIMER | EXIT_ACK_INTR, &c->exit);
    good &= choose(has_true ? MSR_VMX_TRUE_BASE + 3 : MSR_VMX_ENTRY, entry_needs, 0,
                   &c->entry);
    /* Windows open by request; MOV CR8 exits only where there is no TPR shadow. */
    c->proc &= ~(PROC_INTR_WINDOW | PROC_NMI_WINDOW | PROC_RDTSC);
    if (!(c->proc & PROC_TPR_SHADOW))
        c->proc |= PROC_CR8_LOAD | PROC_CR8_STORE;
    c->entry &= ~ENTRY_IA32E;
    c->misc = rdmsr(MSR_VMX_MISC);
    choose_timer(c);
    c->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
    c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
    if (!(c->proc & PROC_SECONDARY) || !(rdmsr(MSR_VMX_PROCBASED) >> 63))
        return -ENODEV;
    good &= choose(MSR_VMX_PROCBASED2, proc2_needs,
                   PROC2_VPID | PROC2_RDTSCP | PROC2_INVPCID | PROC2_PLE | PROC2_XSAVES |
                       PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS |
                       PROC2_VIRTUAL_INTR | PROC2_TSC_SCALING,
                   &c->proc2);
    choose_apic(c);
    if (good) /* the MSR exists only with EPT or VPID */
        good = read_ept_caps(c);
    return good ? 0 : -ENODEV;
}

static void print_caps(const struct vmx_caps *c)
{
    static const struct need optional[] = {
        {PROC2_VPID, " VPID"},     {PROC2_PLE, " pause-loop-exiting"},
        {PROC2_RDTSCP, " RDTSCP"}, {PROC2_INVPCID, " INVPCID"},
        {PROC2_XSAVES, " XSAVES"}, {PROC2_TSC_SCALING, " TSC-scaling"},
    };

    printk("VMX: EPT unrestricted-guest");
    for (unsigned int i = 0; i < ARRAY_SIZE(optional); i++)
        if (c->proc2 & optional[i].bit)
            printk("%s", optional[i].name);
    if (c->proc & PROC_TPR_SHADOW)
        printk(" TPR-shadow");
    if (c->vid)
        printk(" virtual-APIC");
    if (c->posted)
        printk(" posted-interrupts");
    if (c->ept_vpid & CAP_EPT_AD)
        printk(" EPT-A/D");
    if (!c->exec_large)
        printk(" no-code-in-large-pages");
    printk("\n");
}

/* The firmware may have left the choice to us, or have taken it (24.7). */
static int unlock(void)
{
    uint64_t control = rdmsr(MSR_FEATURE_CONTROL);

    if (!(control & FEATURE_CONTROL_LOCK)) {
        wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
        return 0;
    }
    if (control & FEATURE_CONTROL_VMX)
        return 0;
    printk("VMX: locked off by the firmware (IA32_FEATURE_CONTROL is %#lx): switch "
           "virtualization on in its set-up\n",
           control);
    return -ENODEV;
}

static int vmxon(uint64_t maddr)
{
    uint8_t failed;

    __asm__ volatile("vmxon %1\n\tsetbe %0" : "=q"(failed) : "m"(maddr) : "cc", "memory");
    return failed ? -EIO : 0;
}

/* The CPUs come here at the same time: the first one decides. */
static int adopt_caps(const struct vmx_caps *caps)
{
    static struct spinlock lock; /* guards vmx_caps while CPUs come up */
    int rc = 0;

    spin_lock(&lock);
    if (!vmx_caps.pin) {
        vmx_caps = *caps;
        print_caps(caps);
        hvm_ops->tsc_ratio_bits =
            caps->proc2 & PROC2_TSC_SCALING ? VMX_TSC_RATIO_BITS : 0;
        vmx_read_memtypes();
        ept_init_format();
    } else if (memcmp(caps, &vmx_caps, sizeof(*caps))) {
        printk("VMX: CPU %u offers something else than the first one\n", this_cpu()->id);
        rc = -ENODEV;
    }
    spin_unlock(&lock);
    return rc;
}

int vmx_cpu_up(void)
{
    struct vmx_caps caps;
    struct vmx_cpu *c;
    uint32_t *region;
    int rc = unlock();

    if (rc)
        return rc;
    rc = read_caps(&caps);
    if (rc)
        return rc;
    rc = adopt_caps(&caps);
    if (rc)
        return rc;
    c = zalloc(sizeof(*c));
    region = alloc_pages(0);
    if (!c || !region)
        return -ENOMEM;
    *region = caps.revision;
    c->vmxon_maddr = virt_to_maddr(region);
    c->vpid_generation = 1;
    c->next_vpid = 1;
    write_cr4(read_cr4() | CR4_VMXE);
    if ((read_cr0() & caps.cr0_fixed0) != caps.cr0_fixed0 ||
        (read_cr4() & caps.cr4_fixed0) != caps.cr4_fixed0) {
        printk("VMX: CR0 %lx and CR4 %lx lack bits of %lx and %lx\n", read_cr0(),
               read_cr4(), caps.cr0_fixed0, caps.cr4_fixed0);
        return -ENODEV;
    }
    if (vmxon(c->vmxon_maddr)) {
        printk("VMX: VMXON fails on CPU %u\n", this_cpu()->id);
        return -ENODEV;
    }
    this_cpu()->hvm_private = c;
    ept_invalidate_all(); /* what is left of whoever had VMX on before us */
    if (caps.proc2 & PROC2_VPID)
        vpid_invalidate_all();
    return 0;
}

/* Before INIT, which VMX root operation blocks, and before another kernel takes over. */
void vmx_cpu_down(void)
{
    if (!vmx_this_cpu())
        return;
    this_cpu()->hvm_private = NULL;
    __asm__ volatile("vmxoff" ::: "cc");
    write_cr4(read_cr4() & ~CR4_VMXE);
}
