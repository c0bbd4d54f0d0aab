/* From registers to handlers, and what handlers share. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Calling convention for HVM guests (public/arch-x86/xen-x86_64.h, xen-x86_32.h): number
 * in RAX; arguments in RDI, RSI, RDX, R10, R8, R9, or EBX, ECX, EDX, ESI, EDI, EBP in
 * 16/32-bit code; result in RAX.
 */
#include "hypercall/hypercall.h"
#include "hypercall/abi.h"
#include "hypercall/table.h"
#include "cpu/percpu.h"
#include "domain/evtchn.h"
#include "mm/frame.h"
#include "lib/string.h"
#include <xen/domctl.h>

#define MEMPOOL_DEFAULT MB(1) /* what stock Xen gives each domain */

static bool runs_64bit_code(struct vcpu *v)
{
    struct emul_seg cs;

    if (!hvm_long_mode(v))
        return false;
    hvm_ops->get_segment(v, EMUL_CS, &cs);
    return cs.attr & EMUL_ATTR_L;
}

long hcall_run(struct hcall *c)
{
    const struct hcall_entry *e;

    if (c->nr >= HCALL_COUNT)
        return -ENOSYS;
    e = &hcall_table[c->nr];
    if (!e->fn)
        return -ENOSYS;
    if (!e->in_memory) {
        uint32_t subop = (uint32_t)c->arg[0] & e->subop_mask;

        c->who = subop < e->count ? e->who[subop] : WHO_NOBODY;
        if (c->who == WHO_NOBODY)
            return -ENOSYS;
        if (c->who == WHO_DOM0 && !c->v->domain->is_privileged)
            return -EPERM;
    }
    return e->fn(c);
}

int hcall_check(struct hcall *c, unsigned int subop)
{
    const struct hcall_entry *e = &hcall_table[c->nr];

    c->who = subop < e->count ? e->who[subop] : WHO_NOBODY;
    if (c->who != WHO_ANY && !c->v->domain->is_privileged && !c->v->domain->target_of &&
        c->who != WHO_TARGET)
        return -EPERM;
    if (c->who == WHO_NOBODY)
        return -ENOSYS;
    if (c->who == WHO_DOM0 && !c->v->domain->is_privileged)
        return -EPERM;
    return 0;
}

void hypercall_dispatch(struct vcpu *v, bool code64)
{
    struct cpu_regs *r = &v->hvm->regs;
    struct hcall c;
    long rc;

    c.v = v;
    c.nr = (uint32_t)r->rax;
    c.who = WHO_NOBODY;
    c.compat = !code64;
    if (likely(code64)) {
        c.arg[0] = r->rdi;
        c.arg[1] = r->rsi;
        c.arg[2] = r->rdx;
        c.arg[3] = r->r10;
        c.arg[4] = r->r8;
        c.arg[5] = r->r9;
        r->rax = hcall_run(&c);
        return;
    }
    c.arg[0] = (uint32_t)r->rbx;
    c.arg[1] = (uint32_t)r->rcx;
    c.arg[2] = (uint32_t)r->rdx;
    c.arg[3] = (uint32_t)r->rsi;
    c.arg[4] = (uint32_t)r->rdi;
    c.arg[5] = (uint32_t)r->rbp;
    rc = hcall_run(&c);
    r->rax = (uint32_t)rc;
}

bool hcall_may(const struct domain *caller, const struct domain *d, enum hcall_who who)
{
    switch (who) {
    case WHO_ANY:
        return true;
    case WHO_TARGET:
        if (caller == d)
            return true;
        /* fall through */
    case WHO_DM:
        return caller->is_privileged || caller->target_of == d;
    case WHO_DOM0:
        return caller->is_privileged;
    case WHO_NOBODY:
        break;
    }
    return false;
}

int hcall_target(const struct hcall *c, domid_t id, struct domain **out)
{
    struct domain *d = domain_get_by_id(id);

    if (!d)
        return -ESRCH;
    if (!hcall_may(c->v->domain, d, c->who)) {
        domain_put(d);
        return -EPERM;
    }
    *out = d;
    return 0;
}

int hcall_remote(const struct hcall *c, domid_t id, struct domain **out)
{
    int rc = id == DOMID_SELF ? -ESRCH : hcall_target(c, id, out);

    if (!rc && *out == c->v->domain) {
        domain_put(*out);
        rc = -EPERM;
    }
    return rc;
}

int hcall_read_long(const struct hcall *c, uint64_t array, uint64_t i, uint64_t *val)
{
    *val = 0;
    return c->compat ? copy_from_guest(val, (uint32_t)(array + i * 4), 4)
                     : copy_from_guest(val, array + i * 8, 8);
}

int hcall_write_long(const struct hcall *c, uint64_t array, uint64_t i, uint64_t val)
{
    return c->compat ? copy_to_guest((uint32_t)(array + i * 4), &val, 4)
                     : copy_to_guest(array + i * 8, &val, 8);
}

int hcall_bitmap_get(const struct xenctl_bitmap *map, uint64_t *mask)
{
    unsigned int bits = min(map->nr_bits, 64u);

    *mask = 0;
    if (copy_from_guest(mask, HANDLE(map->bitmap), DIV_ROUND_UP(bits, 8)))
        return -EFAULT;
    if (bits < 64)
        *mask &= BIT(bits) - 1;
    return 0;
}

int hcall_bitmap_put(const struct xenctl_bitmap *map, uint64_t mask, unsigned int bits)
{
    unsigned int bytes = DIV_ROUND_UP(map->nr_bits, 8), have;

    bits = min(bits, min(map->nr_bits, 64u));
    have = DIV_ROUND_UP(bits, 8);
    if (bits < 64)
        mask &= BIT(bits) - 1;
    if (copy_to_guest(HANDLE(map->bitmap), &mask, have))
        return -EFAULT;
    if (bytes > have && bytes <= PAGE_SIZE &&
        clear_guest(HANDLE(map->bitmap) + have, bytes - have))
        return -EFAULT;
    return 0;
}

void hypercall_page_fill(void *page, const uint8_t insn[3])
{
    memset(page, 0xcc, PAGE_SIZE); /* INT3 between the stubs */
    for (unsigned int i = 0; i < PAGE_SIZE / 32; i++) {
        uint8_t *p = (uint8_t *)page + 32 * i;

        if (i == __HYPERVISOR_iret) { /* an HVM guest has no use for it */
            p[0] = 0x0f;              /* UD2 */
            p[1] = 0x0b;
            continue;
        }
        p[0] = 0xb8; /* MOV EAX, imm32 */
        memcpy(p + 1, &i, 4);
        memcpy(p + 5, insn, 3);
        p[8] = 0xc3; /* RET */
    }
}

void hypercall_latch_layout(struct vcpu *v)
{
    evtchn_set_layout(v->domain, !runs_64bit_code(v));
}

struct abi_domain *abi_of(struct domain *d)
{
    struct abi_domain *a = __atomic_load_n(&d->abi, __ATOMIC_ACQUIRE), *expected = NULL;

    if (a)
        return a;
    a = zalloc(sizeof(*a));
    if (!a)
        return NULL;
    a->shutdown_code = -1;
    a->paging_mempool = MEMPOOL_DEFAULT;
    if (__atomic_compare_exchange_n(&d->abi, &expected, a, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return a;
    zfree(a);
    return expected;
}
