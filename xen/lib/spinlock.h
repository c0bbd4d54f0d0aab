/* Spin locks. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The hypervisor runs with interrupts off except in its interrupt windows (cpu/irq.h),
 * where no lock is held. So no lock needs to disable interrupts, and no handler can
 * interrupt a holder. A holder must not call schedule() or anything that may block. The
 * order of the locks is in xen/README.
 */
#ifndef CORBEL_LIB_SPINLOCK_H
#define CORBEL_LIB_SPINLOCK_H

#include "lib/types.h"

/* Ticket lock: first come, first served. */
struct spinlock {
    uint16_t next;  /* ticket that the next comer takes */
    uint16_t owner; /* ticket that may enter */
};

#define SPINLOCK_INIT                                                                    \
    {                                                                                    \
        0, 0                                                                             \
    }

static inline void spin_lock(struct spinlock *l)
{
    uint16_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        __builtin_ia32_pause();
}

static inline bool spin_trylock(struct spinlock *l)
{
    uint16_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
    uint16_t expected = owner;

    return __atomic_compare_exchange_n(&l->next, &expected, (uint16_t)(owner + 1), false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *l)
{
    __atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}

static inline bool spin_is_locked(const struct spinlock *l)
{
    return READ_ONCE(l->owner) != READ_ONCE(l->next);
}

#endif
