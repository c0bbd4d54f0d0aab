/* Extended page tables and the invalidation of what processors cache of them (Intel SDM
 * vol 3, 29.3 and 29.4). SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmx/vmcs.h"
#include "mm/frame.h"
#include "lib/printk.h"

#define EPT_R             BIT(0)
#define EPT_W             BIT(1)
#define EPT_X             BIT(2)
#define EPT_MEMTYPE_SHIFT 3
#define EPT_LARGE         BIT(7)
#define EPT_A             BIT(8)
#define EPT_D             BIT(9)
#define EPT_ADDR_MASK     0x000ffffffffff000ull

#define EPTP_MEMTYPE_WB 6
#define EPTP_WALK_4     (3 << 3)
#define EPTP_AD         BIT(6)

/* The machine's MTRRs have no say under EPT: `memtype` stands for them, or they are
 * looked up for the machine's MMIO; the guest's PAT refines it (29.3.7). */
static uint64_t ept_leaf(mfn_t mfn, enum p2m_type type, unsigned int order,
                         uint8_t memtype)
{
    uint64_t e = mfn_to_maddr(mfn) | EPT_R | EPT_X | EPT_A;

    if (type == P2M_MMIO_DIRECT)
        memtype = vmx_memtype(mfn_to_maddr(mfn), PAGE_SIZE << order);
    e |= (uint64_t)memtype << EPT_MEMTYPE_SHIFT;

    if (order)
        e |= EPT_LARGE;
    if (order && !vmx_caps.exec_large)
        e &= ~EPT_X;
    switch (type) {
    case P2M_RAM_LOGDIRTY:
        return p2m_format.dirty_mask ? e | EPT_W : e;
    case P2M_RAM_RO:
    case P2M_GRANT_RO:
    case P2M_IOREQ_WRITE:
        return e;
    default:
        return e | EPT_W | EPT_D;
    }
}

static uint64_t ept_table(mfn_t mfn)
{
    return mfn_to_maddr(mfn) | EPT_R | EPT_W | EPT_X;
}

void ept_init_format(void)
{
    p2m_format.leaf = ept_leaf;
    p2m_format.table = ept_table;
    p2m_format.present_mask = EPT_R | EPT_W | EPT_X;
    p2m_format.large_mask = EPT_LARGE;
    p2m_format.accessed_mask = vmx_caps.ept_vpid & CAP_EPT_AD ? EPT_A : 0;
    p2m_format.dirty_mask = vmx_caps.ept_vpid & CAP_EPT_AD ? EPT_D : 0;
    p2m_format.has_1g = vmx_caps.ept_vpid & CAP_EPT_1G;
}

uint64_t ept_pointer(uint64_t root_maddr)
{
    return root_maddr | EPTP_MEMTYPE_WB | EPTP_WALK_4 |
           (vmx_caps.ept_vpid & CAP_EPT_AD ? EPTP_AD : 0);
}

struct inv_descriptor {
    uint64_t context, address;
};

#define INVEPT_SINGLE   1ull
#define INVEPT_ALL      2ull
#define INVVPID_ADDRESS 0ull
#define INVVPID_ALL     2ull

void ept_invalidate(uint64_t eptp)
{
    struct inv_descriptor d = {eptp, 0};
    uint64_t type = vmx_caps.ept_vpid & CAP_INVEPT_SINGLE ? INVEPT_SINGLE : INVEPT_ALL;

    __asm__ volatile("invept %0, %1" ::"m"(d), "r"(type) : "cc", "memory");
}

void ept_invalidate_all(void)
{
    struct inv_descriptor d = {0, 0};

    if (vmx_caps.ept_vpid & CAP_INVEPT_ALL)
        __asm__ volatile("invept %0, %1" ::"m"(d), "r"(INVEPT_ALL) : "cc", "memory");
}

void vpid_invalidate_all(void)
{
    struct inv_descriptor d = {0, 0};

    __asm__ volatile("invvpid %0, %1" ::"m"(d), "r"(INVVPID_ALL) : "cc", "memory");
}

void vpid_invalidate_address(uint16_t vpid, uint64_t gva)
{
    struct inv_descriptor d = {vpid, gva};

    __asm__ volatile("invvpid %0, %1" ::"m"(d), "r"(INVVPID_ADDRESS) : "cc", "memory");
}

void ept_dump(uint64_t root_maddr, uint64_t gpa)
{
    uint64_t table = root_maddr;

    printk("EPT entries for %lx:", gpa);
    for (int level = 3; level >= 0; level--) {
        const uint64_t *t = maddr_to_virt(table);
        uint64_t e = READ_ONCE(t[gpa >> (12 + 9 * level) & 511]);

        printk(" %016lx", e);
        if (!(e & (EPT_R | EPT_W | EPT_X)) || (level && (e & EPT_LARGE)))
            break;
        table = e & EPT_ADDR_MASK;
    }
    printk("\n");
}
