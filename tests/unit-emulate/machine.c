/* The machine that tests let the emulator work on.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "machine.h"

#include <string.h>
#include <sys/mman.h>

static struct machine *machine_of(struct emul_ctxt *c)
{
    return c->opaque;
}

static void record(struct machine *m, enum machine_event event, uint64_t where,
                   unsigned int bytes, uint64_t value)
{
    if (m->logged < MACHINE_LOG) {
        m->log[m->logged].event = event;
        m->log[m->logged].where = where;
        m->log[m->logged].bytes = bytes;
        m->log[m->logged].value = value;
        m->logged++;
    }
}

/* An access, which the test may have chosen to fail. */
static int note(struct machine *m, enum machine_event event, uint64_t where,
                unsigned int bytes, uint64_t value)
{
    record(m, event, where, bytes, value);
    m->accesses++;
    if (m->accesses == m->retry_at)
        return EMUL_RETRY;
    return m->accesses == m->fail_at ? EMUL_UNHANDLEABLE : EMUL_OKAY;
}

static void *system_memory(struct machine *m, uint64_t lin, unsigned int bytes)
{
    const struct {
        uint64_t base;
        void *mem;
        size_t size;
    } area[] = {
        {MACHINE_GDT, m->gdt, sizeof(m->gdt)},
        {MACHINE_LDT, m->ldt, sizeof(m->ldt)},
        {MACHINE_IDT, m->idt, sizeof(m->idt)},
        {MACHINE_TSS, m->tss, sizeof(m->tss)},
    };

    for (unsigned int k = 0; k < 4; k++) {
        /* legacy mode cuts addresses to 32 bits */
        uint64_t base = m->c.efer & 0x400 ? area[k].base : (uint32_t)area[k].base;

        if (lin >= base && lin + bytes <= base + area[k].size)
            return (char *)area[k].mem + (lin - base);
    }
    return NULL;
}

/* Host address of one guest byte, or the page fault that accessing it causes. */
static int byte_at(struct machine *m, uint64_t lin, int prot, uint32_t access,
                   uint8_t **p)
{
    uint64_t page = (lin - m->base) >> 12;
    uint32_t error = m->c.cpl == 3 && !(access & EMUL_ACC_SYSTEM) ? 4 : 0;
    int have = lin >= m->base && page < m->pages ? m->prot[page] : 0;

    if (have & prot) {
        *p = m->mem + (lin - m->base);
        return EMUL_OKAY;
    }
    if (access & (EMUL_ACC_WRITE | EMUL_ACC_RMW))
        error |= 2;
    if (prot == PROT_EXEC)
        error |= 16;
    if (have || lin >= 0x7ffffffff000) /* Linux hides what is mapped beyond user space */
        error |= 1;
    return emul_page_fault(&m->c, lin, error);
}

static int check_range(struct machine *m, uint64_t lin, unsigned int bytes, int prot,
                       uint32_t access)
{
    uint8_t *p;
    int rc = byte_at(m, lin, prot, access, &p);
    uint64_t last = lin + bytes - 1;

    if (rc == EMUL_OKAY && (last >> 12) != (lin >> 12))
        rc = byte_at(m, last & ~0xfffull, prot, access, &p);
    return rc;
}

static int m_fetch(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes)
{
    struct machine *m = machine_of(c);
    int rc = check_range(m, lin, bytes, PROT_EXEC, 0);

    if (rc == EMUL_OKAY)
        memcpy(buf, m->mem + (lin - m->base), bytes);
    return rc;
}

static int copy(struct machine *m, uint64_t lin, void *buf, unsigned int bytes,
                unsigned int access)
{
    bool write = access & EMUL_ACC_WRITE;
    int prot = access & (EMUL_ACC_WRITE | EMUL_ACC_RMW) ? PROT_WRITE : PROT_READ;
    uint8_t *p = access & EMUL_ACC_SYSTEM ? system_memory(m, lin, bytes) : NULL;
    uint64_t v = 0;
    int rc = EMUL_OKAY;

    if (!p)
        rc = check_range(m, lin, bytes, prot, access);
    if (rc != EMUL_OKAY)
        return rc;
    if (write)
        memcpy(&v, buf, bytes < 8 ? bytes : 8);
    rc = note(m, write ? EV_WRITE : EV_READ, lin, bytes, v);
    if (rc != EMUL_OKAY)
        return rc;
    for (unsigned int k = 0; k < bytes && rc == EMUL_OKAY; k++) {
        uint8_t *q = p ? p + k : NULL;

        if (!q)
            rc = byte_at(m, lin + k, prot, access, &q);
        if (rc == EMUL_OKAY && write)
            *q = ((uint8_t *)buf)[k];
        else if (rc == EMUL_OKAY)
            ((uint8_t *)buf)[k] = *q;
    }
    return rc;
}

static int m_read(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes,
                  unsigned int access)
{
    return copy(machine_of(c), lin, buf, bytes, access);
}

static int m_write(struct emul_ctxt *c, uint64_t lin, const void *buf, unsigned int bytes,
                   unsigned int access)
{
    return copy(machine_of(c), lin, (void *)buf, bytes, access | EMUL_ACC_WRITE);
}

static int m_cmpxchg(struct emul_ctxt *c, uint64_t lin, const void *old, const void *new,
                     unsigned int bytes, unsigned int access)
{
    struct machine *m = machine_of(c);
    uint8_t now[16];
    int rc = copy(m, lin, now, bytes, (access & EMUL_ACC_SYSTEM) | EMUL_ACC_RMW);

    if (rc != EMUL_OKAY)
        return rc;
    if (m->lose) { /* somebody else was faster */
        m->lose--;
        now[0]++;
        rc = copy(m, lin, now, bytes, access | EMUL_ACC_WRITE);
        return rc == EMUL_OKAY ? EMUL_CMPXCHG_FAILED : rc;
    }
    if (memcmp(now, old, bytes))
        return EMUL_CMPXCHG_FAILED;
    record(m, EV_CMPXCHG, lin, bytes, 0);
    return copy(m, lin, (void *)new, bytes, access | EMUL_ACC_WRITE);
}

static int m_io_read(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                     uint32_t *val)
{
    struct machine *m = machine_of(c);

    *val = m->io_value;
    m->io_value += 1;
    return note(m, EV_IO_READ, port, bytes, *val);
}

static int m_io_write(struct emul_ctxt *c, uint16_t port, unsigned int bytes,
                      uint32_t val)
{
    return note(machine_of(c), EV_IO_WRITE, port, bytes, val);
}

/* Bulk: limited as the test wants; faults and retries come from the single accesses. */
typedef int bulk_step(struct emul_ctxt *c, uint64_t a, uint64_t b, unsigned int bytes);

static int bulk(struct emul_ctxt *c, bulk_step *step, uint64_t a, uint64_t b, bool move_a,
                unsigned int bytes, unsigned long *reps, bool down)
{
    struct machine *m = machine_of(c);
    unsigned long want = *reps;
    int rc = EMUL_OKAY;

    *reps = 0;
    if (m->rep_refuse)
        return EMUL_UNHANDLEABLE;
    record(m, EV_REP, b, bytes, want);
    if (m->rep_max && want > m->rep_max)
        want = m->rep_max;
    for (; *reps < want; ++*reps) {
        uint64_t by = (uint64_t)*reps * bytes;

        if (down)
            by = -by;

        rc = step(c, move_a ? a + by : a, b + by, bytes);
        if (rc != EMUL_OKAY)
            break;
    }
    return rc;
}

static int step_ins(struct emul_ctxt *c, uint64_t port, uint64_t dst, unsigned int bytes)
{
    uint32_t v;
    int rc = m_io_read(c, port, bytes, &v);

    return rc == EMUL_OKAY ? m_write(c, dst, &v, bytes, EMUL_ACC_WRITE) : rc;
}

static int step_outs(struct emul_ctxt *c, uint64_t port, uint64_t src, unsigned int bytes)
{
    uint32_t v = 0;
    int rc = m_read(c, src, &v, bytes, EMUL_ACC_READ);

    return rc == EMUL_OKAY ? m_io_write(c, port, bytes, v) : rc;
}

static int step_movs(struct emul_ctxt *c, uint64_t src, uint64_t dst, unsigned int bytes)
{
    uint64_t v;
    int rc = m_read(c, src, &v, bytes, EMUL_ACC_READ);

    return rc == EMUL_OKAY ? m_write(c, dst, &v, bytes, EMUL_ACC_WRITE) : rc;
}

static int step_stos(struct emul_ctxt *c, uint64_t val, uint64_t dst, unsigned int bytes)
{
    return m_write(c, dst, &val, bytes, EMUL_ACC_WRITE);
}

static int m_rep_ins(struct emul_ctxt *c, uint16_t port, uint64_t dst, unsigned int bytes,
                     unsigned long *reps, bool down)
{
    return bulk(c, step_ins, port, dst, false, bytes, reps, down);
}

static int m_rep_outs(struct emul_ctxt *c, uint16_t port, uint64_t src,
                      unsigned int bytes, unsigned long *reps, bool down)
{
    return bulk(c, step_outs, port, src, false, bytes, reps, down);
}

static int m_rep_movs(struct emul_ctxt *c, uint64_t src, uint64_t dst, unsigned int bytes,
                      unsigned long *reps, bool down)
{
    return bulk(c, step_movs, src, dst, true, bytes, reps, down);
}

static int m_rep_stos(struct emul_ctxt *c, uint64_t val, uint64_t dst, unsigned int bytes,
                      unsigned long *reps, bool down)
{
    return bulk(c, step_stos, val, dst, false, bytes, reps, down);
}

static void m_seg_read(struct emul_ctxt *c, unsigned int seg, struct emul_seg *val)
{
    *val = machine_of(c)->seg[seg];
}

static void m_seg_write(struct emul_ctxt *c, unsigned int seg, const struct emul_seg *val)
{
    machine_of(c)->seg[seg] = *val;
}

static int m_cr_read(struct emul_ctxt *c, unsigned int cr, uint64_t *val)
{
    *val = machine_of(c)->cr[cr];
    return EMUL_OKAY;
}

static int m_cr_write(struct emul_ctxt *c, unsigned int cr, uint64_t val)
{
    if (cr == 0 && (val & 0x80000001) == 0x80000000)
        return emul_raise_error(c, 13, 0); /* paging without protection */
    machine_of(c)->cr[cr] = val;
    return EMUL_OKAY;
}

static int m_dr_read(struct emul_ctxt *c, unsigned int dr, uint64_t *val)
{
    *val = machine_of(c)->dr[dr];
    return EMUL_OKAY;
}

static int m_dr_write(struct emul_ctxt *c, unsigned int dr, uint64_t val)
{
    machine_of(c)->dr[dr] = val;
    return EMUL_OKAY;
}

static int m_msr_read(struct emul_ctxt *c, uint32_t msr, uint64_t *val)
{
    struct machine *m = machine_of(c);

    for (unsigned int k = 0; k < MACHINE_MSRS; k++) {
        if (m->msr[k] == msr) {
            *val = m->msr_value[k];
            return EMUL_OKAY;
        }
    }
    return emul_raise_error(c, 13, 0);
}

static int m_msr_write(struct emul_ctxt *c, uint32_t msr, uint64_t val)
{
    struct machine *m = machine_of(c);

    for (unsigned int k = 0; k < MACHINE_MSRS; k++) {
        if (m->msr[k] == msr) {
            m->msr_value[k] = val;
            return EMUL_OKAY;
        }
    }
    return emul_raise_error(c, 13, 0);
}

static int m_xcr_read(struct emul_ctxt *c, uint32_t xcr, uint64_t *val)
{
    if (xcr > 0)
        return emul_raise_error(c, 13, 0);
    *val = machine_of(c)->xcr0;
    return EMUL_OKAY;
}

static int m_xcr_write(struct emul_ctxt *c, uint32_t xcr, uint64_t val)
{
    if (xcr > 0)
        return emul_raise_error(c, 13, 0);
    machine_of(c)->xcr0 = val;
    return EMUL_OKAY;
}

static int m_cpuid(struct emul_ctxt *c, uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    r[0] = leaf + 1;
    r[1] = subleaf + 2;
    r[2] = 3;
    r[3] = 4;
    return EMUL_OKAY;
}

static int m_rdtsc(struct emul_ctxt *c, uint64_t *val)
{
    *val = machine_of(c)->tsc;
    return EMUL_OKAY;
}

static int m_rdpmc(struct emul_ctxt *c, uint32_t counter, uint64_t *val)
{
    *val = 0x100000000ull + counter;
    return EMUL_OKAY;
}

static int m_invlpg(struct emul_ctxt *c, uint64_t lin)
{
    machine_of(c)->invlpg = lin;
    machine_of(c)->invlpgs++;
    return EMUL_OKAY;
}

static int m_cache(struct emul_ctxt *c, enum emul_cache_op op, uint64_t lin)
{
    struct machine *m = machine_of(c);

    switch (op) {
    case EMUL_CACHE_WBINVD:
        m->wbinvds++;
        return EMUL_OKAY;
    case EMUL_CACHE_INVD:
        m->invds++;
        return EMUL_OKAY;
    default:
        m->flushes++;
        return check_range(m, lin, 1, PROT_READ, EMUL_ACC_READ);
    }
}

static int m_vec_read(struct emul_ctxt *c, enum emul_vec_kind kind, unsigned int reg,
                      void *buf, unsigned int bytes)
{
    struct machine *m = machine_of(c);

    memcpy(buf, kind == EMUL_VEC_MMX ? (void *)&m->mm[reg] : m->ymm[reg], bytes);
    if (kind == EMUL_VEC_MMX)
        m->ftw = 0xff;
    return EMUL_OKAY;
}

static int m_vec_write(struct emul_ctxt *c, enum emul_vec_kind kind, unsigned int reg,
                       const void *buf, unsigned int bytes, bool zero_upper)
{
    struct machine *m = machine_of(c);

    if (kind == EMUL_VEC_MMX) {
        memcpy(&m->mm[reg], buf, 8);
        m->mm_exponent[reg] = 0xffff;
        m->ftw = 0xff;
        return EMUL_OKAY;
    }
    memcpy(m->ymm[reg], buf, bytes);
    if (zero_upper)
        memset(m->ymm[reg] + bytes, 0, 32 - bytes);
    return EMUL_OKAY;
}

static int m_fpu(struct emul_ctxt *c, enum emul_fpu_op op, void *data)
{
    struct machine *m = machine_of(c);

    switch (op) {
    case EMUL_FPU_ENTER:
        return m->fpu_pending ? emul_raise(c, 16) : EMUL_OKAY;
    case EMUL_FPU_FNINIT:
        m->fcw = 0x37f;
        m->fsw = 0;
        m->ftw = 0;
        break;
    case EMUL_FPU_FNCLEX:
        m->fsw &= 0x7f00;
        m->fpu_pending = false;
        break;
    case EMUL_FPU_EMMS:
        m->ftw = 0;
        break;
    case EMUL_FPU_GET_CW:
        *(uint16_t *)data = m->fcw;
        break;
    case EMUL_FPU_SET_CW:
        m->fcw = (*(uint16_t *)data & 0x1f7f) | 0x40;
        break;
    case EMUL_FPU_GET_SW:
        *(uint16_t *)data = m->fsw;
        break;
    case EMUL_FPU_GET_MXCSR:
        *(uint32_t *)data = m->mxcsr;
        break;
    case EMUL_FPU_SET_MXCSR:
        m->mxcsr = *(uint32_t *)data;
        break;
    }
    return EMUL_OKAY;
}

static int m_hypercall(struct emul_ctxt *c)
{
    machine_of(c)->hypercalls++;
    return EMUL_OKAY;
}

#define COMMON_OPS                                                                       \
    .fetch = m_fetch, .read = m_read, .write = m_write, .cmpxchg = m_cmpxchg,            \
    .io_read = m_io_read, .io_write = m_io_write, .seg_read = m_seg_read,                \
    .seg_write = m_seg_write, .cr_read = m_cr_read, .cr_write = m_cr_write,              \
    .dr_read = m_dr_read, .dr_write = m_dr_write, .msr_read = m_msr_read,                \
    .msr_write = m_msr_write, .xcr_read = m_xcr_read, .xcr_write = m_xcr_write,          \
    .cpuid = m_cpuid, .rdtsc = m_rdtsc, .rdpmc = m_rdpmc, .invlpg = m_invlpg,            \
    .cache = m_cache, .vec_read = m_vec_read, .vec_write = m_vec_write, .fpu = m_fpu,    \
    .hypercall = m_hypercall

const struct emul_ops machine_ops = {COMMON_OPS};
const struct emul_ops machine_ops_bulk = {
    COMMON_OPS,
    .rep_ins = m_rep_ins,
    .rep_outs = m_rep_outs,
    .rep_movs = m_rep_movs,
    .rep_stos = m_rep_stos,
};

uint64_t machine_desc(uint32_t base, uint32_t limit, uint16_t attr)
{
    if (attr & EMUL_ATTR_G)
        limit >>= 12;
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
           (uint64_t)(attr & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)(attr >> 8 & 15) << 52 | (uint64_t)(base >> 24) << 56;
}

void machine_load_selector(struct machine *m, unsigned int seg, uint16_t sel)
{
    struct emul_seg *s = &m->seg[seg];
    uint64_t d;

    *s = (struct emul_seg){.sel = sel};
    if (!(sel & ~3))
        return;
    d = (sel & 4 ? m->ldt : m->gdt)[sel >> 3];
    s->attr = (d >> 40 & 0xff) | (d >> 44 & 0xf00);
    s->base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
    s->limit = (d & 0xffff) | (d >> 32 & 0xf0000);
    if (s->attr & EMUL_ATTR_G)
        s->limit = s->limit << 12 | 0xfff;
}

void machine_reset(struct machine *m, unsigned int bits)
{
    static const uint16_t code_attr[] = {0x09b, 0xc9b, 0xa9b};
    uint8_t *mem = m->mem;
    const uint8_t *prot = m->prot;
    uint64_t base = m->base;
    unsigned int pages = m->pages;

    *m = (struct machine){.mem = mem, .base = base, .pages = pages, .prot = prot};
    m->fcw = 0x37f;
    m->mxcsr = 0x1f80;
    m->xcr0 = 7;
    m->cr[0] = bits ? 0x80000011 : 0x10;
    m->cr[4] = 0x50620; /* PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE */
    m->c.efer = bits == 64 ? 0xd01 : 0x1;
    m->c.features = ~0u & ~EMUL_F_SVM;
    m->regs.rflags = 2;
    m->regs.rip = m->base;
    m->gdt[1] = machine_desc(0, 0xffffffff,
                             code_attr[bits == 64   ? 2
                                       : bits == 32 ? 1
                                                    : 0]);
    m->gdt[2] = machine_desc(0, 0xffffffff, 0xc93);
    for (unsigned int k = 0; k <= EMUL_GS; k++) {
        if (bits)
            machine_load_selector(m, k, k == EMUL_CS ? 8 : 16);
        else
            m->seg[k] = (struct emul_seg){.attr = 0x93, .limit = 0xffff};
    }
    m->seg[EMUL_CS].limit = bits ? 0xffffffff : 0xffff;
    m->seg[EMUL_GDTR] = (struct emul_seg){.base = MACHINE_GDT, .limit = 0xff};
    m->seg[EMUL_IDTR] = (struct emul_seg){.base = MACHINE_IDT, .limit = 0xfff};
    m->seg[EMUL_LDTR] =
        (struct emul_seg){.sel = 0x50, .attr = 0x82, .base = MACHINE_LDT, .limit = 0xff};
    m->seg[EMUL_TR] =
        (struct emul_seg){.sel = 0x40, .attr = 0x8b, .base = MACHINE_TSS, .limit = 0x67};
    m->c.ops = &machine_ops;
}

int machine_run(struct machine *m)
{
    m->c.regs = &m->regs;
    m->c.opaque = m;
    m->c.cr0 = m->cr[0];
    m->c.cr4 = m->cr[4];
    m->c.seg_valid = 0;
    m->c.fetched = 0;
    m->logged = m->accesses = 0;
    return emul_run(&m->c);
}
