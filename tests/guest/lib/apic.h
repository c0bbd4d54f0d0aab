/*
 * Local APIC: registers by their xAPIC offsets, whichever way they are reached.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include "kit.h"

#define APIC_DEFAULT_BASE 0xfee00000ul
#define APIC_BASE_BSP     (1ul << 8)
#define APIC_BASE_EXTD    (1ul << 10)
#define APIC_BASE_ENABLE  (1ul << 11)

#define APIC_ID      0x020
#define APIC_VERSION 0x030
#define APIC_TPR     0x080
#define APIC_PPR     0x0a0
#define APIC_EOI     0x0b0
#define APIC_LDR     0x0d0
#define APIC_DFR     0x0e0
#define APIC_SVR     0x0f0
#define APIC_ISR     0x100
#define APIC_TMR     0x180
#define APIC_IRR     0x200
#define APIC_ESR     0x280
#define APIC_ICR     0x300
#define APIC_ICR2    0x310
#define APIC_LVTT    0x320
#define APIC_LVTTHMR 0x330
#define APIC_LVTPC   0x340
#define APIC_LVT0    0x350
#define APIC_LVT1    0x360
#define APIC_LVTERR  0x370
#define APIC_TMICT   0x380
#define APIC_TMCCT   0x390
#define APIC_TDCR    0x3e0
#define APIC_SELF    0x3f0 /* x2APIC only */

#define APIC_SVR_ENABLE   (1u << 8)
#define APIC_LVT_MASKED   (1u << 16)
#define APIC_LVT_ONESHOT  (0u << 17)
#define APIC_LVT_PERIODIC (1u << 17)
#define APIC_LVT_DEADLINE (2u << 17)
#define APIC_DM_FIXED     (0u << 8)
#define APIC_DM_LOWEST    (1u << 8)
#define APIC_DM_NMI       (4u << 8)
#define APIC_DM_INIT      (5u << 8)
#define APIC_DM_STARTUP   (6u << 8)
#define APIC_DM_EXTINT    (7u << 8)
#define APIC_ICR_LOGICAL  (1u << 11)
#define APIC_ICR_BUSY     (1u << 12)
#define APIC_ICR_ASSERT   (1u << 14)
#define APIC_ICR_SELF     (1u << 18)
#define APIC_ICR_ALL      (2u << 18)
#define APIC_ICR_OTHERS   (3u << 18)
#define APIC_TDCR_1       0xb

/* Enable in the mode that the APIC is in, spurious vector 0xff. */
void apic_enable(void);
bool apic_x2apic(void);
/* Switch this CPU's APIC to x2APIC mode; false where the CPU has none. */
bool apic_enter_x2apic(void);
/* Back to xAPIC by way of disabled, as SDM 3A 10.12.5 asks. */
void apic_leave_x2apic(void);
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
void apic_icr_write(uint32_t destination, uint32_t value);
uint32_t apic_id(void);
static inline void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}
/* Is the vector's bit set in one of the 256-bit registers (APIC_ISR, APIC_IRR, APIC_TMR)?
 */
bool apic_bit(uint32_t reg, uint8_t vector);

#endif
