/*
 * The ways in which a guest's processor runs into the ground, one for each of its
 * memory sizes (MiB modulo 16): a triple fault, code where there is no memory, code in a
 * device's registers, page tables where there is no memory, a stack there, HLT for ever
 * by an interrupt descriptor table in a device, an exception with its stack in one.
 * Nothing is right or wrong here; whoever started it looks whether anybody else noticed.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "nowhere";

#define RTC_INDEX  0x70
#define RTC_DATA   0x71
#define EXT_MEMORY 0x34 /* above 16 MiB, in 64 KiB */
#define NOTHING    0xc0000000ul
#define VGA_MEMORY 0xa0000ul
#define HPET       0xfed00000ul
#define LAPIC      0xfee00000ul

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static uint8_t cmos(uint8_t reg)
{
    outb(RTC_INDEX, reg);
    return inb(RTC_DATA);
}

static void load_idt(uint64_t base, uint16_t limit)
{
    struct table_pointer idt = {limit, base};

    asm volatile("lidt %0" ::"m"(idt));
}

static void jump(uint64_t to)
{
    asm volatile("jmp *%0" ::"r"(to));
}

static void end(unsigned how)
{
    switch (how) {
    case 0:
        load_idt(0, 0);
        asm volatile("ud2");
        break;
    case 1:
        jump(NOTHING);
        break;
    case 2:
        jump(VGA_MEMORY);
        break;
    case 3:
        jump(HPET);
        break;
    case 4:
        write_cr3(NOTHING);
        break;
    case 5:
        asm volatile("mov %0, %%rsp; push %%rax; int3" ::"r"(NOTHING));
        break;
    case 6:
        load_idt(HPET, 0xfff);
        asm volatile("int3");
        break;
    case 7:
        asm volatile("lgdt (%0); mov %1, %%ss" ::"r"(HPET), "r"(0x18));
        break;
    case 8:
        asm volatile("mov %0, %%rsp; ud2" ::"r"(LAPIC + 0x3f0));
        break;
    }
}

void test_main(void)
{
    unsigned mib = 16 + (cmos(EXT_MEMORY) | cmos(EXT_MEMORY + 1) << 8) / 16;

    if (env.dom0) {
        skip("it would be the machine's end", "nowhere");
        return;
    }
    print("# way %u\n", mib % 16);
    end(mib % 16);
    check(true, "still here");
}
