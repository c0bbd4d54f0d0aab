/* From the boot loader to Dom0: the order in which the parts come up.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "boot/boot.h"
#include "boot/image.h"
#include "boot/multiboot.h"
#include "boot/options.h"
#include "cpu/apic.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/nmi.h"
#include "cpu/smp_call.h"
#include "cpu/time_init.h"
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "hvm/hvm.h"
#include "lib/keyhandler.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "lib/video.h"
#include "mm/frame_init.h"
#include "mm/paging.h"

#define MIN_MEMORY       MB(48)
#define MODULE_MOVE_FROM MB(512) /* modules below this address are in Dom0's way */

__noreturn void boot_main(uint32_t magic, uint32_t info, uint32_t load_address);

static uint64_t ram_bytes(void)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        if (boot_info.e820[i].type == E820_RAM)
            sum += boot_info.e820[i].size;
    }
    return sum;
}

static void print_memory_map(void)
{
    static const char *const types[] = {"",     "RAM",      "reserved",
                                        "ACPI", "ACPI NVS", "unusable"};

    printk("Memory map: %lu MiB of RAM\n", ram_bytes() >> 20);
    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        printk(" %012lx-%012lx %s\n", e->addr, e->addr + e->size - 1, types[e->type]);
    }
}

/* Modules out of low memory, where Dom0's kernel wants to be. One that there is no other
 * place for stays. */
static void move_modules(void)
{
    for (unsigned int i = 0; i < boot_info.module_count; i++) {
        struct boot_module *m = &boot_info.modules[i];
        uint64_t to;

        if (m->maddr >= MODULE_MOVE_FROM || !m->bytes)
            continue;
        to = early_try_alloc(m->bytes, PAGE_SIZE, GB(4));
        if (!to)
            continue;
        if (to < m->maddr) { /* no gain */
            early_unreserve(to, m->bytes);
            continue;
        }
        memcpy(maddr_to_virt(to), maddr_to_virt(m->maddr), m->bytes);
        early_unreserve(m->maddr, m->bytes);
        m->maddr = to;
    }
}

void boot_free_modules(void)
{
    for (unsigned int i = 0; i < boot_info.module_count; i++) {
        struct boot_module *m = &boot_info.modules[i];
        uint64_t mfn = m->maddr >> PAGE_SHIFT;
        uint64_t end = ALIGN_UP(m->maddr + m->bytes, PAGE_SIZE) >> PAGE_SHIFT;

        for (; mfn < end; mfn++) {
            if (mfn_valid(MFN(mfn)) && frame_table[mfn].state == FRAME_HYPERVISOR)
                frame_free(MFN(mfn), 0);
        }
        m->bytes = 0;
    }
    boot_info.module_count = 0;
}

/* What is in use, then the final place of everything, then the allocators. */
static void memory_init(uint64_t load_address)
{
    uint64_t bytes = ALIGN_UP(image_bytes(), PAGE_SIZE);

    if (ram_bytes() < MIN_MEMORY)
        panic(
            "Too little memory: %lu MiB; Corbel needs at least %llu MiB and Dom0 its own",
            ram_bytes() >> 20, MIN_MEMORY >> 20);
    early_reserve(load_address, bytes);
    for (unsigned int i = 0; i < boot_info.module_count; i++)
        early_reserve(boot_info.modules[i].maddr, boot_info.modules[i].bytes);
    boot_info.image_start = early_alloc(bytes, IMAGE_ALIGN);
    boot_info.image_end = boot_info.image_start + bytes;
    move_modules();
    paging_init(load_address, boot_info.image_start);
    early_unreserve(load_address, bytes);
    frame_init();
    if (desc_alloc(this_cpu()) || timers_init_cpu(this_cpu()))
        panic("No memory for the boot processor's stacks");
    desc_init_cpu(this_cpu(), false);
    video_remap();
    printk("Image moved from %lx to %lx; %lu MiB free\n", load_address,
           boot_info.image_start, frames_free() >> 8);
}

static void boot_percpu_init(void)
{
    struct percpu *p = cpus[0];

    p->self = p;
    wrmsr(MSR_GS_BASE, (uintptr_t)p);
    p->online = true;
    desc_init_cpu(p, true);
}

static void banner(void)
{
    printk("Corbel hypervisor, by %s\n", boot_info.loader);
    printk("Command line: %s\n", boot_info.cmdline);
    options_report();
    for (unsigned int i = 0; i < boot_info.module_count; i++)
        printk("Module %u: %lu KiB at %lx: %.100s\n", i, boot_info.modules[i].bytes >> 10,
               boot_info.modules[i].maddr, boot_info.modules[i].cmdline);
}

static void cpus_init(void)
{
    apic_init();
    pic_disable();
    cpus[0]->apic_id = apic_id_self();
    for (unsigned int i = 0; i < acpi.cpu_count; i++) {
        if (acpi.cpu[i].apic_id == cpus[0]->apic_id)
            cpus[0]->acpi_id = acpi.cpu[i].acpi_id;
    }
    apic_init_cpu();
    ioapic_init();
    time_init();
    apic_timer_init_cpu();
    mitigation_init();
    mitigation_cpu_up();
    smp_start_all();
}

void boot_main(uint32_t magic, uint32_t info, uint32_t load_address)
{
    int err;

    boot_percpu_init();
    time_init_early();
    err = boot_parse(magic, info);
    options_parse(boot_info.cmdline);
    console_init();
    banner();
    if (err)
        panic("Started by an unknown boot protocol (magic %x)", magic);
    print_memory_map();
    memory_init(load_address);
    acpi_init();
    cpus_init();
    keyhandler_init();
    console_init_irq();
    watchdog_init();
    hvm_init();
    sched_init();
    dom0_build();
    smp_release_others();
    idle_loop();
}
