/* Basic types, and the address spaces as types that cannot be mixed up.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *   gva    guest virtual (linear) address            uint64_t gva
 *   gpa    guest physical address                    uint64_t gpa
 *   gfn    guest frame number (gpa >> 12)            gfn_t
 *   maddr  machine (host physical) address           uint64_t maddr
 *   mfn    machine frame number (maddr >> 12)        mfn_t
 */
#ifndef CORBEL_LIB_TYPES_H
#define CORBEL_LIB_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ns_t; /* nanoseconds since boot (system time) or a span of them */

typedef struct {
    uint64_t n;
} mfn_t;
typedef struct {
    uint64_t n;
} gfn_t;

#define MFN(x)      ((mfn_t){(x)})
#define GFN(x)      ((gfn_t){(x)})
#define INVALID_MFN MFN(~0ull)
#define INVALID_GFN GFN(~0ull)

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/* Orders of the page sizes: 2^order frames of 4 KiB. */
#define ORDER_4K 0
#define ORDER_2M 9
#define ORDER_1G 18

static inline bool mfn_valid_number(mfn_t m)
{
    return m.n != ~0ull;
}
static inline bool mfn_eq(mfn_t a, mfn_t b)
{
    return a.n == b.n;
}
static inline bool gfn_eq(gfn_t a, gfn_t b)
{
    return a.n == b.n;
}
static inline mfn_t mfn_add(mfn_t m, uint64_t n)
{
    return MFN(m.n + n);
}
static inline gfn_t gfn_add(gfn_t g, uint64_t n)
{
    return GFN(g.n + n);
}
static inline uint64_t mfn_to_maddr(mfn_t m)
{
    return m.n << PAGE_SHIFT;
}
static inline mfn_t maddr_to_mfn(uint64_t maddr)
{
    return MFN(maddr >> PAGE_SHIFT);
}
static inline uint64_t gfn_to_gpa(gfn_t g)
{
    return g.n << PAGE_SHIFT;
}
static inline gfn_t gpa_to_gfn(uint64_t gpa)
{
    return GFN(gpa >> PAGE_SHIFT);
}

#define KB(x)                 (1024ull * (x))
#define MB(x)                 (1024ull * KB(x))
#define GB(x)                 (1024ull * MB(x))
#define BIT(n)                (1ull << (n))
#define ARRAY_SIZE(a)         (sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d)    (((n) + (d)-1) / (d))
#define ALIGN_UP(x, a)        (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)      ((x) & ~((__typeof__(x))(a)-1))
#define container_of(p, t, m) ((t *)((char *)(p)-offsetof(t, m)))

#define min(a, b)                                                                        \
    ({                                                                                   \
        __typeof__(a) min_a = (a);                                                       \
        __typeof__(b) min_b = (b);                                                       \
        min_a < min_b ? min_a : min_b;                                                   \
    })
#define max(a, b)                                                                        \
    ({                                                                                   \
        __typeof__(a) max_a = (a);                                                       \
        __typeof__(b) max_b = (b);                                                       \
        max_a > max_b ? max_a : max_b;                                                   \
    })

#define likely(x)          __builtin_expect(!!(x), 1)
#define unlikely(x)        __builtin_expect(!!(x), 0)
#define READ_ONCE(x)       (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val) (*(volatile __typeof__(x) *)&(x) = (val))
#define barrier()          __asm__ volatile("" ::: "memory")

#define __init       __attribute__((section(".text.init"), cold))
#define __initdata   __attribute__((section(".data.init")))
#define __packed     __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __noreturn   __attribute__((noreturn))

#define MAX_CPUS        64
#define MAX_GUEST_VCPUS 128 /* Dom0 too */

#endif
