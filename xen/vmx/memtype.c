/* Memory types of the machine's own addresses. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Under EPT the machine's MTRRs do not count (Intel SDM vol 3, 29.3.7.2): what they say
 * of a device's memory, or of the firmware's tables that Dom0 reads, goes into the
 * entries.
 */
#include "vmx/vmcs.h"
#include "cpu/x86.h"
#include "hvm/mtrr.h"

#define CPUID1_EDX_MTRR  BIT(12)
#define MTRR_CAP_NR(cap) ((cap)&0xff)
#define MTRR_CAP_FIXED   BIT(8)

static struct vmtrr machine; /* of the boot processor; the firmware sets all alike */

void vmx_read_memtypes(void)
{
    static const uint32_t fixed[VMTRR_FIXED] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                                0x26b, 0x26c, 0x26d, 0x26e, 0x26f};
    uint64_t cap;

    if (!(cpuid_get(1, CPUID_EDX) & CPUID1_EDX_MTRR))
        return; /* def_type stays 0: all is uncached */
    cap = rdmsr(MSR_MTRR_CAP);
    machine.def_type = rdmsr(MSR_MTRR_DEF_TYPE);
    for (unsigned int i = 0; i < min(MTRR_CAP_NR(cap), (uint64_t)MTRR_VARIABLE); i++) {
        machine.variable[i].base = rdmsr(MSR_MTRR_PHYSBASE0 + 2 * i);
        machine.variable[i].mask = rdmsr(MSR_MTRR_PHYSBASE0 + 2 * i + 1);
    }
    for (unsigned int i = 0; i < VMTRR_FIXED && (cap & MTRR_CAP_FIXED); i++)
        machine.fixed[i] = rdmsr(fixed[i]);
}

uint8_t vmx_memtype(uint64_t maddr, uint64_t bytes)
{
    uint8_t first = mtrr_memtype(&machine, maddr);

    return first == mtrr_memtype(&machine, maddr + bytes - 1) ? first : MEMTYPE_UC;
}
