/* Operands: registers, segmentation, memory, the stack.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Segment checks as in AMD APM vol 2 ch 4.12 and Intel SDM vol 3 ch 5.3-5.5.
 */
#include "hvm/emulate/internal.h"

#define REG(x) offsetof(struct cpu_regs, x)
const uint8_t emul_gpr_offset[16] = {
    REG(rax), REG(rcx), REG(rdx), REG(rbx), REG(rsp), REG(rbp), REG(rsi), REG(rdi),
    REG(r8),  REG(r9),  REG(r10), REG(r11), REG(r12), REG(r13), REG(r14), REG(r15),
};
#undef REG

uint64_t reg_get(struct emul_ctxt *c, unsigned int n, unsigned int bytes)
{
    if (bytes == 1 && !c->i.rex && n >= 4)
        return *gpr(c, n & 3) >> 8 & 0xff; /* AH, CH, DH, BH */
    return *gpr(c, n) & size_mask(bytes);
}

void reg_set(struct emul_ctxt *c, unsigned int n, unsigned int bytes, uint64_t v)
{
    uint64_t *r;

    if (bytes == 1 && !c->i.rex && n >= 4) {
        r = gpr(c, n & 3);
        *r = (*r & ~0xff00ull) | (v & 0xff) << 8;
        return;
    }
    r = gpr(c, n);
    *r = merge(*r, v, bytes);
}

struct emul_seg *emul_seg_slow(struct emul_ctxt *c, unsigned int n)
{
    c->ops->seg_read(c, n, &c->seg[n]);
    c->seg_valid |= 1u << n;
    return &c->seg[n];
}

void seg_set(struct emul_ctxt *c, unsigned int n, const struct emul_seg *s)
{
    c->seg[n] = *s;
    c->seg_valid |= 1u << n;
    c->ops->seg_write(c, n, s);
}

static int seg_fault(struct emul_ctxt *c, unsigned int seg)
{
    return emul_raise_error(c, seg == EMUL_SS ? X_SS : X_GP, 0);
}

/* Whether [off, off + bytes) lies inside the segment. */
static bool limit_ok(const struct emul_seg *s, uint64_t off, unsigned int bytes,
                     bool real)
{
    uint64_t last = off + bytes - 1;
    uint64_t top = s->attr & EMUL_ATTR_DB ? 0xffffffffu : 0xffffu;

    /* expand-down data: valid above the limit */
    if (!real && (s->attr & 0xc) == 0x4)
        return off > s->limit && last <= top;
    return last <= s->limit;
}

/* Type checks of a protected-mode access.  bits of attr: 8 code, 2 writable/readable. */
static bool type_ok(const struct emul_seg *s, unsigned int access)
{
    if (!(s->attr & EMUL_ATTR_P))
        return false; /* null or unusable */
    if (access & (EMUL_ACC_WRITE | EMUL_ACC_RMW))
        return (s->attr & 0xa) == 0x2;
    return (s->attr & 0xa) != 0x8; /* execute-only code */
}

int emul_linear(struct emul_ctxt *c, unsigned int seg, uint64_t off, unsigned int bytes,
                unsigned int access, unsigned int adsize, uint64_t *lin)
{
    const struct emul_seg *s;
    uint64_t a;

    off &= size_mask(adsize);
    if (mode64(c)) {
        a = off;
        if (seg >= EMUL_FS)
            a += seg_get(c, seg)->base;
        if (unlikely(((a + (1ull << 47)) | (a + bytes - 1 + (1ull << 47))) >> 48))
            return seg_fault(c, seg); /* first or last byte not canonical */
        *lin = a;
        return EMUL_OKAY;
    }
    s = seg_get(c, seg);
    if (!c->i.real && unlikely(!type_ok(s, access)))
        return seg_fault(c, seg);
    if (unlikely(!limit_ok(s, off, bytes, c->i.real)))
        return seg_fault(c, seg);
    *lin = (uint32_t)(s->base + off);
    return EMUL_OKAY;
}

int ea_linear(struct emul_ctxt *c, unsigned int bytes, unsigned int access, uint64_t *lin)
{
    return emul_linear(c, c->i.ea_seg, c->i.ea, bytes, access, c->i.adsize, lin);
}

/* Outside of 64-bit mode linear addresses wrap at 4 GiB: do the part above as one of its
 * own.  Returns the bytes below the border. */
static unsigned int below_4g(struct emul_ctxt *c, uint64_t lin, unsigned int bytes)
{
    if (likely(mode64(c) || lin + bytes <= 1ull << 32 || lin >> 32))
        return bytes; /* above 4 GiB are descriptor tables only, in long mode */
    return (1ull << 32) - lin;
}

int mem_read(struct emul_ctxt *c, uint64_t lin, unsigned int bytes, unsigned int access,
             uint64_t *val)
{
    unsigned int n = below_4g(c, lin, bytes);
    uint64_t v = 0;
    int rc = c->ops->read(c, lin, &v, n, access);

    if (rc == EMUL_OKAY && unlikely(n < bytes))
        rc = c->ops->read(c, 0, (char *)&v + n, bytes - n, access);
    *val = v;
    return rc;
}

int mem_write(struct emul_ctxt *c, uint64_t lin, unsigned int bytes, unsigned int access,
              uint64_t val)
{
    unsigned int n = below_4g(c, lin, bytes);
    int rc = c->ops->write(c, lin, &val, n, access);

    if (rc == EMUL_OKAY && unlikely(n < bytes))
        rc = c->ops->write(c, 0, (char *)&val + n, bytes - n, access);
    return rc;
}

int ea_read(struct emul_ctxt *c, unsigned int disp, unsigned int bytes, uint64_t *val)
{
    uint64_t lin;
    int rc = emul_linear(c, c->i.ea_seg, c->i.ea + disp, bytes, EMUL_ACC_READ,
                         c->i.adsize, &lin);

    return rc == EMUL_OKAY ? mem_read(c, lin, bytes, EMUL_ACC_READ, val) : rc;
}

int ea_write(struct emul_ctxt *c, unsigned int disp, unsigned int bytes, uint64_t val)
{
    uint64_t lin;
    int rc = emul_linear(c, c->i.ea_seg, c->i.ea + disp, bytes, EMUL_ACC_WRITE,
                         c->i.adsize, &lin);

    return rc == EMUL_OKAY ? mem_write(c, lin, bytes, EMUL_ACC_WRITE, val) : rc;
}

int rm_read(struct emul_ctxt *c, unsigned int bytes, uint64_t *val)
{
    if (c->i.mem)
        return ea_read(c, 0, bytes, val);
    *val = reg_get(c, c->i.rm, bytes);
    return EMUL_OKAY;
}

int rm_write(struct emul_ctxt *c, unsigned int bytes, uint64_t val)
{
    if (c->i.mem)
        return ea_write(c, 0, bytes, val);
    reg_set(c, c->i.rm, bytes, val);
    return EMUL_OKAY;
}

int rmw_begin(struct emul_ctxt *c, unsigned int bytes, uint64_t *lin, uint64_t *val)
{
    int rc;

    if (!c->i.mem) {
        *lin = 0;
        *val = reg_get(c, c->i.rm, bytes);
        return EMUL_OKAY;
    }
    rc = ea_linear(c, bytes, EMUL_ACC_RMW, lin);
    if (rc != EMUL_OKAY)
        return rc;
    return mem_read(c, *lin, bytes, EMUL_ACC_RMW | (c->i.lock ? EMUL_ACC_LOCK : 0), val);
}

int rmw_end(struct emul_ctxt *c, unsigned int bytes, uint64_t lin, uint64_t old,
            uint64_t val)
{
    if (!c->i.mem) {
        reg_set(c, c->i.rm, bytes, val);
        return EMUL_OKAY;
    }
    if (c->i.lock && c->ops->cmpxchg && below_4g(c, lin, bytes) == bytes)
        return c->ops->cmpxchg(c, lin, &old, &val, bytes, EMUL_ACC_WRITE | EMUL_ACC_LOCK);
    return mem_write(c, lin, bytes, EMUL_ACC_WRITE, val);
}

unsigned int stack_adsize(struct emul_ctxt *c)
{
    if (mode64(c))
        return 8;
    return seg_get(c, EMUL_SS)->attr & EMUL_ATTR_DB ? 4 : 2;
}

uint64_t sp_add(struct emul_ctxt *c, uint64_t sp, uint64_t delta)
{
    unsigned int n = stack_adsize(c);

    /* Only the part of RSP that the stack's size covers changes, upper half included. */
    return (sp & ~size_mask(n)) | ((sp + delta) & size_mask(n));
}

int stack_push(struct emul_ctxt *c, uint64_t *sp, unsigned int bytes, uint64_t val)
{
    uint64_t to = sp_add(c, *sp, -(uint64_t)bytes), lin;
    int rc = emul_linear(c, EMUL_SS, to, bytes, EMUL_ACC_WRITE, stack_adsize(c), &lin);

    if (rc == EMUL_OKAY)
        rc = mem_write(c, lin, bytes, EMUL_ACC_WRITE, val);
    if (rc == EMUL_OKAY)
        *sp = to;
    return rc;
}

int stack_pop(struct emul_ctxt *c, uint64_t *sp, unsigned int bytes, uint64_t *val)
{
    uint64_t lin;
    int rc = emul_linear(c, EMUL_SS, *sp, bytes, EMUL_ACC_READ, stack_adsize(c), &lin);

    if (rc == EMUL_OKAY)
        rc = mem_read(c, lin, bytes, EMUL_ACC_READ, val);
    if (rc == EMUL_OKAY)
        *sp = sp_add(c, *sp, bytes);
    return rc;
}

/* A contributory fault's event; nothing has been committed at this point. */
static int raise(struct emul_ctxt *c, uint8_t vector, bool has_error, uint32_t error)
{
    c->event = (struct emul_event){
        .vector = vector,
        .type = EMUL_EVENT_HW_EXCEPTION,
        .has_error = has_error,
        .error = error,
        .insn_len = c->i.pos,
    };
    return EMUL_EXCEPTION;
}

int emul_raise(struct emul_ctxt *c, uint8_t vector)
{
    return raise(c, vector, false, 0);
}

int emul_raise_error(struct emul_ctxt *c, uint8_t vector, uint32_t error)
{
    /* real mode pushes no error codes */
    return raise(c, vector, c->cr0 & CR0_PE, c->cr0 & CR0_PE ? error : 0);
}

int emul_page_fault(struct emul_ctxt *c, uint64_t cr2, uint32_t error)
{
    int rc = raise(c, X_PF, true, error);

    c->event.cr2 = cr2;
    return rc;
}
