/*
 * Local APIC access by MMIO or by MSR (SDM 3A chapter 10).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apic.h"

#define CPUID1_ECX_X2APIC (1u << 21)
#define SPURIOUS_VECTOR   0xff

static volatile uint32_t *mmio(uint32_t reg)
{
    return (volatile uint32_t *)(APIC_DEFAULT_BASE + reg);
}

bool apic_x2apic(void)
{
    return rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD;
}

uint32_t apic_read(uint32_t reg)
{
    return apic_x2apic() ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : *mmio(reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
    if (apic_x2apic())
        wrmsr(MSR_X2APIC + reg / 16, value);
    else
        *mmio(reg) = value;
}

void apic_icr_write(uint32_t destination, uint32_t value)
{
    if (apic_x2apic()) {
        wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)destination << 32 | value);
        return;
    }
    *mmio(APIC_ICR2) = destination << 24;
    *mmio(APIC_ICR) = value;
    while (*mmio(APIC_ICR) & APIC_ICR_BUSY)
        cpu_relax();
}

uint32_t apic_id(void)
{
    return apic_x2apic() ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

static void ignore_spurious(struct regs *regs)
{
}

void apic_enable(void)
{
    set_handler(SPURIOUS_VECTOR, ignore_spurious);
    if (!(rdmsr(MSR_APIC_BASE) & APIC_BASE_ENABLE))
        wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, APIC_SVR_ENABLE | SPURIOUS_VECTOR);
}

bool apic_enter_x2apic(void)
{
    if (!(cpuid(1, 0).ecx & CPUID1_ECX_X2APIC))
        return false;
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_EXTD);
    apic_enable();
    return true;
}

void apic_leave_x2apic(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_ENABLE | APIC_BASE_EXTD);

    wrmsr(MSR_APIC_BASE, base);
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
    apic_enable();
}

bool apic_bit(uint32_t reg, uint8_t vector)
{
    return apic_read(reg + vector / 32 * 16) >> vector % 32 & 1;
}
