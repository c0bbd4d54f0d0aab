/* Descriptor tables of a CPU: GDT, TSS with interrupt stacks, the common IDT.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM volume 2, 4.8 and 8.9; Intel SDM volume 3, 6.14.
 */
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "mm/paging.h"
#include "lib/errno.h"
#include "lib/string.h"

#define IST_ORDER 1 /* 8 KiB */
#define IST_BYTES (PAGE_SIZE << IST_ORDER)

#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA   0x00cf93000000ffffull
#define DESC_CODE32 0x00cf9b000000ffffull
#define DESC_TSS    0x0000890000000000ull /* available 64-bit TSS */
#define GATE_INTR   0x8e00                /* present, DPL 0, interrupt gate */

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap_base;
} __packed;

struct idt_gate {
    uint16_t offset0, selector, type_and_ist, offset1;
    uint32_t offset2, reserved;
};

/* What describes one CPU. */
struct cpu_desc {
    uint64_t gdt[6]; /* null, SEL_CODE64, SEL_DATA, SEL_CODE32, SEL_TSS (two) */
    struct tss tss;
};

struct table_ptr {
    uint16_t limit;
    uint64_t base;
} __packed;

extern char trap_stubs[];

static struct idt_gate idt[256] __aligned(16);
static struct cpu_desc descs[MAX_CPUS] __aligned(16);
static uint8_t early_ist[4096] __aligned(16);

static void idt_init(void)
{
    for (unsigned int v = 0; v < 256; v++) {
        uint64_t addr = (uintptr_t)trap_stubs + v * 16;
        uint16_t ist = v == X86_DF    ? IST_DF
                       : v == X86_NMI ? IST_NMI
                       : v == X86_MC  ? IST_MC
                                      : 0;

        idt[v] = (struct idt_gate){.offset0 = (uint16_t)addr,
                                   .selector = SEL_CODE64,
                                   .offset1 = (uint16_t)(addr >> 16),
                                   .offset2 = (uint32_t)(addr >> 32)};
        idt[v].type_and_ist = (uint16_t)(GATE_INTR | ist);
    }
}

int desc_alloc(struct percpu *p)
{
    struct tss *tss = &descs[p->id].tss;

    for (unsigned int i = IST_DF; i < ISTS; i++) {
        char *stack = stack_alloc(IST_ORDER);

        if (!stack)
            return -ENOMEM;
        tss->ist[i - 1] = (uintptr_t)stack + IST_BYTES;
    }
    return 0;
}

void desc_init_cpu(struct percpu *p, bool early)
{
    struct cpu_desc *d = &descs[p->id];
    uint64_t tss = (uintptr_t)&d->tss;
    struct table_ptr gdtr = {sizeof(d->gdt) - 1, (uintptr_t)d->gdt};
    struct table_ptr idtr = {sizeof(idt) - 1, (uintptr_t)idt};

    if (early) {
        idt_init();
        for (unsigned int i = IST_DF; i < ISTS; i++)
            d->tss.ist[i - 1] = (uintptr_t)early_ist + sizeof(early_ist);
    }
    d->gdt[SEL_CODE64 / 8] = DESC_CODE64;
    d->gdt[SEL_DATA / 8] = DESC_DATA;
    d->gdt[SEL_CODE32 / 8] = DESC_CODE32;
    d->gdt[SEL_TSS / 8] = DESC_TSS | (sizeof(d->tss) - 1) | (tss & 0xffffff) << 16 |
                          (tss >> 24 & 0xff) << 56;
    d->gdt[SEL_TSS / 8 + 1] = tss >> 32;
    d->tss.iomap_base = sizeof(d->tss);
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
    __asm__ volatile("lidt %0" : : "m"(idtr));
    __asm__ volatile(
        "mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs"
        :
        : "r"(SEL_DATA), "r"(0));
    __asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
                     :
                     : "i"(SEL_CODE64)
                     : "rax", "memory");
    __asm__ volatile("lldt %w0; ltr %w1" : : "r"(0), "r"(SEL_TSS));
    wrmsr(MSR_GS_BASE, (uintptr_t)p);
    wrmsr(MSR_FS_BASE, 0);
}
