/* Walks of the guest's page tables: 2-level, PAE, 4 and 5 levels (AMD APM vol 2, ch 5;
 * Intel SDM vol 3, ch 4). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Entries are read once each; accessed and dirty bits are set by compare-and-exchange, so
 * a guest that changes its tables at the same time loses nothing. Table frames are used
 * through the direct map with a reference held.
 *
 * Left out: protection keys, shadow stacks.
 *
 * A walk costs some hundred instructions for each level, for the p2m is walked at each.
 * The last walks are therefore kept with the entries they read. One of them is used again
 * if those entries still have the values they had and nothing was taken out of the p2m,
 * which is what a new walk would find out; so nothing has to be flushed, and a guest that
 * changes its tables is seen at once.
 */
#include "hvm/hvm.h"
#include "cpu/x86.h"
#include "mm/frame.h"
#include "lib/errno.h"

#define PTE_P    BIT(0)
#define PTE_W    BIT(1)
#define PTE_U    BIT(2)
#define PTE_A    BIT(5)
#define PTE_D    BIT(6)
#define PTE_PS   BIT(7)
#define PTE_NX   BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

struct walk {
    struct vcpu *v;
    uint64_t gva;
    uint32_t access; /* PFEC_* of the access */
    bool pae;        /* 8-byte entries */
    bool nx;         /* EFER.NXE */
    uint64_t rights; /* PTE_W and PTE_U of all levels ANDed, PTE_NX ORed */
    struct walk_hint *hint;
};

/* The guest's table entry as a pointer, with a reference on its frame. */
static void *map_entry(struct vcpu *v, uint64_t gpa, mfn_t *mfn)
{
    *mfn = p2m_get_frame(v->domain, gpa_to_gfn(gpa), false, NULL);
    if (!mfn_valid_number(*mfn))
        return NULL;
    return (char *)mfn_to_virt(*mfn) + (gpa & ~PAGE_MASK);
}

static uint64_t read_entry(const struct walk *w, const void *p)
{
    return w->pae ? *(const volatile uint64_t *)p : *(const volatile uint32_t *)p;
}

/* Set bits in an entry if it still is `old`; false: it changed, walk again. */
static bool set_bits(const struct walk *w, void *p, uint64_t old, uint64_t bits)
{
    if (w->pae) {
        uint64_t expected = old;

        return __atomic_compare_exchange_n((uint64_t *)p, &expected, old | bits, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    uint32_t expected = old;

    return __atomic_compare_exchange_n((uint32_t *)p, &expected, (uint32_t)(old | bits),
                                       false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* We have written to this page of a table, past the processor's dirty bits. */
static void mark_table_dirty(struct domain *d, uint64_t gpa)
{
    if (READ_ONCE(d->p2m.logdirty))
        p2m_mark_dirty(d, gpa_to_gfn(gpa));
}

static void note_step(struct walk *w, const void *p, uint64_t value)
{
    struct walk_hint *hint = w->hint;

    hint->step[hint->steps].entry = p;
    hint->step[hint->steps++].value = value;
}

static int fault(uint32_t *pfec, const struct walk *w, uint32_t bits)
{
    uint32_t error = bits | (w->access & (PFEC_WRITE | PFEC_USER));

    if ((w->access & PFEC_FETCH) && (w->nx || (w->v->hvm->cr4 & CR4_SMEP)))
        error |= PFEC_FETCH;
    *pfec = error;
    return -EFAULT;
}

/* May this access use a page with these rights? (APM vol 2, 5.6; SDM vol 3, 4.6) */
static bool allowed(const struct walk *w)
{
    const struct hvm_vcpu *h = w->v->hvm;
    bool user_page = w->rights & PTE_U;

    if ((w->access & PFEC_FETCH) && w->nx && (w->rights & PTE_NX))
        return false;
    if (w->access & PFEC_USER) {
        if (!user_page)
            return false;
        return !(w->access & PFEC_WRITE) || (w->rights & PTE_W);
    }
    if (user_page) {
        if ((w->access & PFEC_FETCH) && (h->cr4 & CR4_SMEP))
            return false;
        if (!(w->access & PFEC_FETCH) && (h->cr4 & CR4_SMAP) &&
            ((w->access & PFEC_IMPLICIT) || !(h->regs.rflags & RFLAGS_AC)))
            return false;
    }
    return !(w->access & PFEC_WRITE) || (w->rights & PTE_W) || !(h->cr0 & CR0_WP);
}

/* Bits that must be zero in a present entry, by level (0: the lowest). */
static uint64_t reserved_bits(const struct walk *w, unsigned int level, bool large)
{
    uint64_t bits = 0;

    if (!w->pae)
        return large ? BIT(21) : 0;
    if (!w->nx)
        bits |= PTE_NX;
    if (!hvm_long_mode(w->v))
        bits |= 0x7ff0000000000000ull;
    if (large)
        bits |= ((PAGE_SIZE << (9 * level)) - 1) & ~0x1fffull;
    if (level >= 3)
        bits |= PTE_PS;
    return bits;
}

/* One pass; -EAGAIN: the tables changed under us. */
static int walk_once(struct walk *w, uint64_t table, unsigned int levels, uint32_t *pfec,
                     uint64_t *gpa)
{
    unsigned int bits = w->pae ? 9 : 10, entry_bytes = w->pae ? 8 : 4;

    for (unsigned int level = levels; level-- > 0;) {
        unsigned int shift = PAGE_SHIFT + bits * level;
        uint64_t index = (w->gva >> shift) & ((1u << bits) - 1), e, want;
        bool leaf;
        mfn_t mfn;
        void *p = map_entry(w->v, table + index * entry_bytes, &mfn);

        if (!p)
            return fault(pfec, w, 0);
        e = read_entry(w, p);
        leaf =
            level == 0 ||
            ((e & PTE_PS) && level <= 2 &&
             (w->pae ? level == 1 || hvm_long_mode(w->v) : !!(w->v->hvm->cr4 & CR4_PSE)));
        if (!(e & PTE_P) || (e & reserved_bits(w, level, leaf && level))) {
            frame_put(mfn);
            return fault(pfec, w, e & PTE_P ? PFEC_PRESENT | PFEC_RSVD : 0);
        }
        w->rights &= e | ~(PTE_W | PTE_U);
        w->rights |= e & PTE_NX;
        want = PTE_A;
        if (leaf) {
            if (!allowed(w)) {
                frame_put(mfn);
                return fault(pfec, w, PFEC_PRESENT);
            }
            if (w->access & PFEC_WRITE)
                want |= PTE_D;
        }
        if ((e & want) != want) {
            if (!set_bits(w, p, e, want)) {
                frame_put(mfn);
                return -EAGAIN;
            }
            mark_table_dirty(w->v->domain, table);
        }
        note_step(w, p, e | want);
        frame_put(mfn);
        if (leaf) {
            uint64_t mask = BIT(shift) - 1, base = e & PTE_ADDR & ~mask;

            if (!w->pae && level) /* PSE-36 */
                base |= (e & 0x1fe000ull) << 19;
            *gpa = base | (w->gva & mask);
            return 0;
        }
        table = e & PTE_ADDR;
    }
    return -EFAULT;
}

/* PAE mode: the four top entries have their own format. Bit 5 is reserved there, but QEMU
 * sets it, so it is let through. */
static int walk_pae_top(struct walk *w, uint64_t *table, uint32_t *pfec)
{
    uint64_t gpa = (w->v->hvm->cr3 & 0xffffffe0u) + ((w->gva >> 30) & 3) * 8, e;
    mfn_t mfn;
    void *p = map_entry(w->v, gpa, &mfn);

    if (!p)
        return fault(pfec, w, 0);
    e = *(volatile uint64_t *)p;
    note_step(w, p, e);
    frame_put(mfn);
    if (!(e & PTE_P))
        return fault(pfec, w, 0);
    *table = e & PTE_ADDR;
    return 0;
}

/* Would a new walk end as this one did? Entries are read without a reference on their
 * frames: if one has just been taken from the domain, this is as if it were a moment ago.
 */
static bool hint_holds(const struct vcpu *v, const struct walk_hint *hint, uint64_t page,
                       uint32_t access)
{
    const struct hvm_vcpu *h = v->hvm;

    if (hint->page != page || hint->access != access || hint->cr3 != h->cr3 ||
        hint->cr0 != h->cr0 || hint->cr4 != h->cr4 || hint->efer != h->efer ||
        hint->p2m_gen != READ_ONCE(v->domain->p2m.flush_gen) || !hint->steps)
        return false;
    for (unsigned int i = 0; i < hint->steps; i++) {
        const void *p = hint->step[i].entry;
        uint64_t e = h->cr4 & CR4_PAE ? *(const volatile uint64_t *)p
                                      : *(const volatile uint32_t *)p;

        if (e != hint->step[i].value)
            return false;
    }
    return true;
}

static int walk(struct vcpu *v, uint64_t gva, struct walk_hint *hint, uint32_t *pfec,
                uint64_t *gpa)
{
    struct hvm_vcpu *h = v->hvm;
    struct walk w = {
        .v = v,
        .gva = gva,
        .access = *pfec & (PFEC_WRITE | PFEC_USER | PFEC_FETCH | PFEC_IMPLICIT),
        .pae = h->cr4 & CR4_PAE,
        .nx = h->efer & EFER_NXE,
        .rights = PTE_W | PTE_U,
        .hint = hint,
    };
    uint64_t table = 0;
    int rc;

    if (hvm_long_mode(v))
        return walk_once(&w, h->cr3 & PTE_ADDR, h->cr4 & CR4_LA57 ? 5 : 4, pfec, gpa);
    if (!w.pae)
        return walk_once(&w, h->cr3 & 0xfffff000u, 2, pfec, gpa);
    rc = walk_pae_top(&w, &table, pfec);
    return rc ? rc : walk_once(&w, table, 2, pfec, gpa);
}

int guest_walk(struct vcpu *v, uint64_t gva, uint32_t *pfec, uint64_t *gpa)
{
    struct hvm_vcpu *h = v->hvm;
    uint64_t page = gva >> PAGE_SHIFT;
    uint32_t asked = *pfec, access = asked | (h->regs.rflags & RFLAGS_AC), gen;
    struct walk_hint *hint =
        &h->walks[(page ^ (asked & PFEC_FETCH ? WALK_HINTS / 2 : 0)) % WALK_HINTS];
    int rc;

    if (!(h->cr0 & CR0_PG)) {
        *gpa = gva & 0xffffffffu;
        return 0;
    }
    if (likely(hint_holds(v, hint, page, access))) {
        *gpa = hint->gpa | (gva & ~PAGE_MASK);
        return 0;
    }
    gen = READ_ONCE(v->domain->p2m.flush_gen);
    barrier();
    do {
        hint->steps = 0;
        *pfec = asked;
        rc = walk(v, gva, hint, pfec, gpa);
    } while (rc == -EAGAIN);
    if (rc) {
        hint->steps = 0;
        return rc;
    }
    hint->page = page;
    hint->access = access;
    hint->cr0 = h->cr0;
    hint->cr3 = h->cr3;
    hint->cr4 = h->cr4;
    hint->efer = h->efer;
    hint->p2m_gen = gen;
    hint->gpa = *gpa & PAGE_MASK;
    return 0;
}
