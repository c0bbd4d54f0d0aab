/*
 * Start of day in C: what booted us, the command line, Xen, console, CPU state; then the
 * test. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

#include <xen/arch-x86/hvm/start_info.h>

#define MB1_BOOT_MAGIC   0x2badb002
#define MB1_FLAG_CMDLINE (1u << 2)
#define MB1_CMDLINE      16
#define PIC_MASTER_MASK  0x21
#define PIC_SLAVE_MASK   0xa1

void kit_main(void);

extern uint32_t boot_eax, boot_ebx;
struct environment env = {.boot = BOOT_UNKNOWN};

static void copy_cmdline(uint64_t from)
{
    const char *text = (const char *)from;
    size_t n = 0;

    for (; text && text[n] && n < sizeof(env.cmdline) - 1; n++)
        env.cmdline[n] = text[n];
    env.cmdline[n] = 0;
}

/* The loaders' structures lie anywhere below 4 GiB: use them before any page is
 * allocated. */
static void read_boot_info(void)
{
    const struct hvm_start_info *info = (const void *)(uintptr_t)boot_ebx;
    const uint8_t *mbi = (const void *)(uintptr_t)boot_ebx;
    uint32_t word;

    if (boot_eax == MB1_BOOT_MAGIC) {
        env.boot = BOOT_MULTIBOOT;
        memcpy(&word, mbi, 4);
        if (word & MB1_FLAG_CMDLINE) {
            memcpy(&word, mbi + MB1_CMDLINE, 4);
            copy_cmdline(word);
        }
    } else if (boot_ebx && info->magic == XEN_HVM_START_MAGIC_VALUE) {
        env.boot = BOOT_PVH;
        env.dom0 = info->flags & SIF_INITDOMAIN;
        env.rsdp = info->rsdp_paddr;
        copy_cmdline(info->cmdline_paddr);
    }
}

static const char *find_option(const char *name)
{
    size_t n = strlen(name);

    for (const char *c = env.cmdline; *c; c++)
        if ((c == env.cmdline || c[-1] == ' ') && !strncmp(c, name, n) &&
            (c[n] == '=' || c[n] == ' ' || !c[n]))
            return c + n;
    return NULL;
}

bool option_present(const char *name)
{
    return find_option(name) != NULL;
}

uint64_t option_u64(const char *name, uint64_t fallback)
{
    const char *at = find_option(name);
    uint64_t value = 0;

    if (!at || *at != '=' || at[1] < '0' || at[1] > '9')
        return fallback;
    for (at++; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

/* A BIOS leaves the PIC's vectors on those of exceptions: nothing may come from there. */
static void mask_pics(void)
{
    outb(PIC_MASTER_MASK, 0xff);
    outb(PIC_SLAVE_MASK, 0xff);
}

void kit_main(void)
{
    static const char *const protocols[] = {"Multiboot", "PVH", "unknown"};

    read_boot_info();
    wrmsr(MSR_GS_BASE, PTR(&cpus[0]));
    cpus[0].self = &cpus[0];
    cpus[0].online = true;
    cpu_count = 1;
    traps_init();
    traps_init_cpu(0);
    if (env.boot == BOOT_MULTIBOOT)
        mask_pics();
    xen_init();
    console_init();
    print("# %s: booted by %s%s, Xen %s%u.%u, command line: %s\n", test_title,
          protocols[env.boot], env.dom0 ? " as Dom0" : "", env.xen ? "" : "absent ",
          env.xen_version >> 16, env.xen_version & 0xffff, env.cmdline);
    test_main();
    finish();
}
