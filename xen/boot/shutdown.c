/* Ending: reboot, power off, panic. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reset: ACPI 6.4, 4.8.3.6; port 0xcf9; keyboard controller; triple fault. Power off: the
 * sleep type of \_S5 to the PM1 control registers, ACPI 6.4, 4.8.3.2.
 */
#include "boot/boot.h"
#include "cpu/nmi.h"
#include "cpu/time.h"
#include "cpu/x86.h"
#include "hvm/hvm.h"
#include "mm/frame.h"
#include "lib/console.h"
#include "lib/printk.h"
#include "lib/string.h"

#define PM1_SCI_EN    BIT(0)
#define PM1_SLP_TYP   10 /* shift */
#define PANIC_WAIT_MS 3000

static bool opt_noreboot;
option_bool("noreboot", opt_noreboot, "after a panic stop instead of rebooting");
static char opt_reboot[8] = "";
option_string("reboot", opt_reboot,
              "how: acpi, cf9, kbd or triple; all in turn if not given");

static bool wanted(const char *how)
{
    return !opt_reboot[0] || !strcmp(opt_reboot, how);
}

static void reset_acpi(void)
{
    if (!acpi.reset_addr)
        return;
    if (acpi.reset_space == ACPI_SPACE_IO) {
        outb((uint16_t)acpi.reset_addr, acpi.reset_value);
    } else if (acpi.reset_space == ACPI_SPACE_MEMORY) {
        *(volatile uint8_t *)map_mmio(acpi.reset_addr, 1) = acpi.reset_value;
    } else if (acpi.reset_space == ACPI_SPACE_PCI) {
        /* Bus 0: device, function, offset. */
        uint32_t dev = acpi.reset_addr >> 32 & 31, fn = acpi.reset_addr >> 16 & 7;

        outl(0xcf8, 0x80000000u | dev << 11 | fn << 8 | (acpi.reset_addr & 0xfc));
        outb(0xcfc + (acpi.reset_addr & 3), acpi.reset_value);
    }
    udelay(10000);
}

static void reset_cf9(void)
{
    outb(0xcf9, 2); /* full reset ... */
    udelay(50);
    outb(0xcf9, 6); /* ... now */
    udelay(10000);
}

static void reset_keyboard(void)
{
    for (int i = 0; i < 10000 && (inb(0x64) & 2); i++)
        udelay(1);
    outb(0x64, 0xfe);
    udelay(10000);
}

static void __noreturn reset_triple_fault(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __packed none = {0, 0};

    for (;;)
        __asm__ volatile("lidt %0; int3" : : "m"(none));
}

/* Ours is off, and the others' when their NMI comes: INIT would be blocked, and who comes
 * next finds the processors as they were. */
static void virtualization_off(void)
{
    if (hvm_ops->name)
        hvm_ops->cpu_down();
}

void machine_reboot(void)
{
    irq_disable();
    nmi_stop_others();
    console_flush();
    virtualization_off();
    if (wanted("acpi"))
        reset_acpi();
    if (wanted("cf9"))
        reset_cf9();
    if (wanted("kbd"))
        reset_keyboard();
    reset_triple_fault();
}

static void pm1_sleep(uint16_t port, uint8_t type)
{
    if (port)
        outw(port, (uint16_t)((inw(port) & ~(7u << PM1_SLP_TYP)) | type << PM1_SLP_TYP |
                              PM1_SLP_EN));
}

void machine_poweroff(void)
{
    irq_disable();
    nmi_stop_others();
    console_flush();
    virtualization_off();
    if (acpi.pm1a_cnt) {
        if (!(inw(acpi.pm1a_cnt) & PM1_SCI_EN) && acpi.smi_cmd && acpi.acpi_enable) {
            outb(acpi.smi_cmd, acpi.acpi_enable);
            for (int i = 0; i < 300 && !(inw(acpi.pm1a_cnt) & PM1_SCI_EN); i++)
                udelay(1000);
        }
        pm1_sleep(acpi.pm1a_cnt, acpi.s5_slp_typ[0]);
        pm1_sleep(acpi.pm1b_cnt, acpi.s5_slp_typ[1]);
        udelay(1000000);
    }
    printk("The machine does not power off by ACPI: switch it off\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

void panic(const char *format, ...)
{
    char text[256];
    va_list ap;

    panic_begin();
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    printk("\n****************************************\n"
           "Panic on CPU %u: %s\n"
           "****************************************\n",
           this_cpu()->id, text);
    if (opt_noreboot) {
        printk("Stopped (option noreboot)\n");
        console_flush();
        for (;;)
            __asm__ volatile("cli; hlt");
    }
    printk("Rebooting in %u seconds\n\n", PANIC_WAIT_MS / 1000);
    console_flush();
    udelay(PANIC_WAIT_MS * 1000);
    machine_reboot();
}
