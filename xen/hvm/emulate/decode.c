/* Instruction decoding: prefixes, opcode, ModRM, SIB, displacement, immediates, VEX.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 3 ch 1, Intel SDM vol 2 ch 2.  Driven by the tables in optable.c.  EVEX,
 * XOP and 3DNow! are not decoded: EMUL_UNHANDLEABLE.
 */
#include "hvm/emulate/internal.h"

/* Bring in the code bytes up to i.pos + need.  Bytes are only asked for as far as the
 * instruction certainly goes into the next page, so that no fault comes from beyond it.
 */
static int refill(struct emul_ctxt *c, unsigned int need)
{
    const struct emul_seg *cs = seg_get(c, EMUL_CS);
    unsigned int want = c->i.pos + need;

    while (c->fetched < want) {
        uint64_t off = c->regs->rip + c->fetched;
        unsigned int n = EMUL_INSN_MAX - c->fetched;
        uint64_t lin;
        int rc;

        if (n == 0)
            return gp0(c); /* longer than any instruction */
        if (mode64(c)) {
            lin = off;
            if (!is_canonical(lin))
                return gp0(c);
        } else {
            off = (uint32_t)off;
            lin = (uint32_t)(cs->base + off);
            if (off > cs->limit)
                return gp0(c);
            if (cs->limit - off < n - 1)
                n = cs->limit - off + 1;
        }
        if (n > 4096 - (lin & 4095))
            n = 4096 - (lin & 4095);
        rc = c->ops->fetch(c, lin, c->insn + c->fetched, n);
        if (rc != EMUL_OKAY)
            return rc;
        c->fetched += n;
    }
    return EMUL_OKAY;
}

/* Next n bytes of the instruction, zero-extended. */
static inline int take(struct emul_ctxt *c, unsigned int n, uint64_t *val)
{
    uint64_t v;

    if (unlikely(c->i.pos + n > c->fetched)) {
        int rc = refill(c, n);

        if (rc != EMUL_OKAY)
            return rc;
    }
    __builtin_memcpy(&v, c->insn + c->i.pos, 8); /* little-endian; the buffer is longer */
    c->i.pos += n;
    *val = v & size_mask(n);
    return EMUL_OKAY;
}

static inline int take_byte(struct emul_ctxt *c, uint8_t *val)
{
    if (unlikely(c->i.pos >= c->fetched)) {
        int rc = refill(c, 1);

        if (rc != EMUL_OKAY)
            return rc;
    }
    *val = c->insn[c->i.pos++];
    return EMUL_OKAY;
}

static inline int take_signed(struct emul_ctxt *c, unsigned int n, uint64_t *val)
{
    int rc = take(c, n, val);

    *val = rc == EMUL_OKAY ? sign_extend(*val, n) : 0;
    return rc;
}

/* What the code segment and the mode bits say. */
static void set_mode(struct emul_ctxt *c)
{
    struct emul_insn *i = &c->i;
    const struct emul_seg *cs = seg_get(c, EMUL_CS);

    i->real = !(c->cr0 & CR0_PE) || (c->regs->rflags & RFLAGS_VM);
    if (i->real)
        i->mode = cs->attr & EMUL_ATTR_DB && !(c->regs->rflags & RFLAGS_VM) ? 4 : 2;
    else if ((c->efer & EFER_LMA) && (cs->attr & EMUL_ATTR_L))
        i->mode = 8;
    else
        i->mode = cs->attr & EMUL_ATTR_DB ? 4 : 2;
}

static void set_segment(struct emul_ctxt *c, unsigned int seg)
{
    /* In 64-bit mode the old overrides are ignored, also behind FS and GS. */
    if (mode64(c) && seg < EMUL_FS)
        return;
    c->i.ea_seg = seg;
    c->i.seg_override = true;
}

/* Prefixes up to and with the first opcode byte.  REX counts only right before it. */
static int decode_prefixes(struct emul_ctxt *c, uint8_t *opcode)
{
    struct emul_insn *i = &c->i;

    for (;;) {
        uint8_t b;
        int rc = take_byte(c, &b);

        if (rc != EMUL_OKAY)
            return rc;
        if (mode64(c) && (b & 0xf0) == 0x40) {
            i->rex = b;
            continue;
        }
        if (!(emul_map0[b].flags & OP_PREFIX)) {
            *opcode = b;
            return EMUL_OKAY;
        }
        switch (b) {
        case 0x26:
            set_segment(c, EMUL_ES);
            break;
        case 0x2e:
            set_segment(c, EMUL_CS);
            break;
        case 0x36:
            set_segment(c, EMUL_SS);
            break;
        case 0x3e:
            set_segment(c, EMUL_DS);
            break;
        case 0x64:
            set_segment(c, EMUL_FS);
            break;
        case 0x65:
            set_segment(c, EMUL_GS);
            break;
        case 0x66:
            i->opsz = true;
            break;
        case 0x67:
            i->adsize = i->mode == 4 ? 2 : 4;
            break;
        case 0xf0:
            i->lock = true;
            break;
        case 0xf2:
        case 0xf3:
            i->rep = b;
            break;
        default: /* 0F */
            *opcode = b;
            return EMUL_OKAY;
        }
        i->rex = 0;
    }
}

/* The payload of C4 and C5 (SDM vol 2 sec 2.3.5). */
static int decode_vex(struct emul_ctxt *c, uint8_t opcode)
{
    struct emul_insn *i = &c->i;
    uint8_t b1, b2;
    int rc;

    if (i->real)
        return ud(c);
    i->invalid = i->lock || i->opsz || i->rep || i->rex;
    rc = take_byte(c, &b1);
    if (rc != EMUL_OKAY)
        return rc;
    i->vex = true;
    i->map = 1;
    i->rex = b1 & 0x80 ? 0 : 4;
    b2 = b1;
    if (opcode == 0xc4) {
        rc = take_byte(c, &b2);
        if (rc != EMUL_OKAY)
            return rc;
        i->rex |= (b1 & 0x40 ? 0 : 2) | (b1 & 0x20 ? 0 : 1) | (b2 & 0x80 ? 8 : 0);
        i->map = b1 & 0x1f;
    }
    i->rex |= 0x40;
    i->vvvv = ~(b2 >> 3) & 15;
    i->vex_l = b2 & 4;
    i->pp = b2 & 3;
    if (!mode64(c)) { /* eight registers; W counts for some BMI encodings only */
        i->rex &= 8;
    }
    if (i->map < 1 || i->map > 3)
        return ud(c);
    return take_byte(c, &i->opcode);
}

/* Whether C4 or C5 starts a VEX prefix here: outside of 64-bit mode it does if what would
 * be the ModRM byte of LES or LDS names a register. */
static int is_vex(struct emul_ctxt *c, bool *yes)
{
    int rc = EMUL_OKAY;

    *yes = true;
    if (mode64(c))
        return rc;
    if (c->i.pos >= c->fetched)
        rc = refill(c, 1);
    if (rc == EMUL_OKAY)
        *yes = c->insn[c->i.pos] >= 0xc0;
    return rc;
}

static int decode_opcode(struct emul_ctxt *c)
{
    struct emul_insn *i = &c->i;
    bool vex = false;
    int rc = decode_prefixes(c, &i->opcode);

    if (rc != EMUL_OKAY)
        return rc;
    i->map = 0;
    /* F3 before 66 also counts as the SIMD prefix; F2 and F3 win over 66. */
    i->pp = i->rep == 0xf3 ? 2 : i->rep == 0xf2 ? 3 : i->opsz ? 1 : 0;
    if (i->opcode == 0x0f) {
        i->map = 1;
        rc = take_byte(c, &i->opcode);
        if (rc == EMUL_OKAY && (i->opcode == 0x38 || i->opcode == 0x3a)) {
            i->map = i->opcode == 0x38 ? 2 : 3;
            rc = take_byte(c, &i->opcode);
        }
    } else if (i->opcode == 0xc4 || i->opcode == 0xc5) {
        rc = is_vex(c, &vex);
        if (rc == EMUL_OKAY && vex)
            rc = decode_vex(c, i->opcode);
    } else if (i->opcode == 0x62 || i->opcode == 0x8f) { /* EVEX, XOP */
        if (i->pos >= c->fetched)
            rc = refill(c, 1);
        if (rc == EMUL_OKAY && i->opcode == 0x62 &&
            (mode64(c) || c->insn[i->pos] >= 0xc0))
            return i->real ? ud(c) : EMUL_UNHANDLEABLE;
        if (rc == EMUL_OKAY && i->opcode == 0x8f && (c->insn[i->pos] & 0x1f) >= 8)
            return ud(c); /* XOP is gone from current processors */
    }
    if (rc != EMUL_OKAY)
        return rc;
    switch (i->map) {
    case 0:
        i->op = &emul_map0[i->opcode];
        break;
    case 1:
        i->op = &emul_map1[i->opcode];
        break;
    case 2:
        i->op = emul_map2(i->opcode);
        break;
    default:
        i->op = emul_map3(i->opcode);
        break;
    }
    return EMUL_OKAY;
}

static void set_operand_size(struct emul_ctxt *c, uint32_t flags)
{
    struct emul_insn *i = &c->i;

    if (flags & OP_BYTE)
        i->opsize = 1;
    else if (i->mode != 8)
        i->opsize = (i->mode == 2) != i->opsz ? 2 : 4;
    else if (i->rex & 8)
        i->opsize = 8;
    else if (flags & OP_D64)
        i->opsize = i->opsz ? 2 : 8;
    else if (flags & OP_F64)
        i->opsize = i->opsz && (c->features & EMUL_F_AMD) ? 2 : 8;
    else
        i->opsize = i->opsz ? 2 : 4;
}

static int decode_mem16(struct emul_ctxt *c)
{
    struct emul_insn *i = &c->i;
    const struct cpu_regs *r = c->regs;
    uint64_t disp = 0, ea = 0;
    bool stack = false;
    int rc;

    switch (i->rm & 7) {
    case 0:
        ea = r->rbx + r->rsi;
        break;
    case 1:
        ea = r->rbx + r->rdi;
        break;
    case 2:
        ea = r->rbp + r->rsi;
        stack = true;
        break;
    case 3:
        ea = r->rbp + r->rdi;
        stack = true;
        break;
    case 4:
        ea = r->rsi;
        break;
    case 5:
        ea = r->rdi;
        break;
    case 6:
        if (i->mod == 0)
            break; /* disp16 alone */
        ea = r->rbp;
        stack = true;
        break;
    default:
        ea = r->rbx;
        break;
    }
    if (i->mod == 1) {
        rc = take_signed(c, 1, &disp);
        if (rc != EMUL_OKAY)
            return rc;
    } else if (i->mod == 2 || (i->mod == 0 && (i->rm & 7) == 6)) {
        rc = take(c, 2, &disp);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (stack && !i->seg_override)
        i->ea_seg = EMUL_SS;
    i->ea = ea + disp;
    return EMUL_OKAY;
}

static int decode_sib(struct emul_ctxt *c, uint64_t *ea, bool *disp32)
{
    struct emul_insn *i = &c->i;
    unsigned int base, index;
    uint8_t sib;
    int rc = take_byte(c, &sib);

    if (rc != EMUL_OKAY)
        return rc;
    base = (sib & 7) | (i->rex & 1) << 3;
    index = (sib >> 3 & 7) | (i->rex & 2) << 2;
    if ((sib & 7) == 5 && i->mod == 0) {
        *disp32 = true;
    } else {
        *ea = *gpr(c, base);
        i->sp_base = base == R_RSP;
        if ((base == R_RSP || base == R_RBP) && !i->seg_override)
            i->ea_seg = EMUL_SS;
    }
    if (index != R_RSP)
        *ea += *gpr(c, index) << (sib >> 6);
    return EMUL_OKAY;
}

static int decode_mem(struct emul_ctxt *c)
{
    struct emul_insn *i = &c->i;
    bool disp32 = i->mod == 2;
    uint64_t disp = 0, ea = 0;
    int rc = EMUL_OKAY;

    if ((i->rm & 7) == R_RSP) {
        rc = decode_sib(c, &ea, &disp32);
        if (rc != EMUL_OKAY)
            return rc;
    } else if ((i->rm & 7) == R_RBP && i->mod == 0) {
        disp32 = true;
        i->rip_rel = mode64(c);
    } else {
        ea = *gpr(c, i->rm);
        if (i->rm == R_RBP && !i->seg_override)
            i->ea_seg = EMUL_SS;
    }
    if (disp32)
        rc = take_signed(c, 4, &disp);
    else if (i->mod == 1)
        rc = take_signed(c, 1, &disp);
    i->ea = ea + disp;
    return rc;
}

static int decode_modrm(struct emul_ctxt *c, uint32_t flags)
{
    struct emul_insn *i = &c->i;
    int rc = take_byte(c, &i->modrm);

    if (rc != EMUL_OKAY)
        return rc;
    i->mod = i->modrm >> 6;
    i->reg = (i->modrm >> 3 & 7) | (i->rex & 4) << 1;
    i->rm = (i->modrm & 7) | (i->rex & 1) << 3;
    if (flags & OP_REG)
        i->mod = 3;
    if (i->mod == 3)
        return EMUL_OKAY;
    i->mem = true;
    return i->adsize == 2 ? decode_mem16(c) : decode_mem(c);
}

static int decode_imm(struct emul_ctxt *c, uint32_t flags)
{
    struct emul_insn *i = &c->i;
    unsigned int z = i->opsize == 8 ? 4 : i->opsize;
    uint64_t v = 0;
    int rc = EMUL_OKAY;

    switch (flags & OP_IMM_MASK) {
    case OP_IMM8:
        return take_signed(c, 1, &i->imm);
    case OP_IMM8U:
        return take(c, 1, &i->imm);
    case OP_IMM16:
        return take(c, 2, &i->imm);
    case OP_IMMZ:
        return take_signed(c, z, &i->imm);
    case OP_IMMV:
        return take(c, i->opsize, &i->imm);
    case OP_MOFFS:
        i->mem = true;
        return take(c, i->adsize, &i->ea);
    case OP_FARPTR:
        rc = take(c, z, &i->imm);
        if (rc == EMUL_OKAY)
            rc = take(c, 2, &v);
        break;
    case OP_IMM16_8:
        rc = take(c, 2, &i->imm);
        if (rc == EMUL_OKAY)
            rc = take(c, 1, &v);
        break;
    default:
        if ((flags & OP_TESTIMM) && (i->reg & 7) < 2)
            return take_signed(c, z, &i->imm);
        break;
    }
    i->imm2 = v;
    return rc;
}

/* What makes the opcode invalid here, whatever its operands' values. */
static int check_opcode(struct emul_ctxt *c, uint32_t flags)
{
    const struct emul_insn *i = &c->i;

    if (i->invalid)
        return ud(c);
    if (i->lock && !(flags & OP_LOCKANY) && (!(flags & OP_LOCK) || !i->mem))
        return ud(c);
    if (!(flags &
          (OP_NO64 | OP_PROT | OP_MEM | OP_VEX | OP_VEXONLY | OP_CPL0 | OP_ONLY64)) &&
        !i->vex)
        return EMUL_OKAY;
    if (((flags & OP_NO64) && mode64(c)) || ((flags & OP_ONLY64) && !mode64(c)) ||
        ((flags & OP_PROT) && i->real) || ((flags & OP_MEM) && !i->mem) ||
        ((flags & OP_VEXONLY) && !i->vex))
        return ud(c);
    if (i->vex && !(flags & (OP_VEX | OP_VEXONLY)))
        return EMUL_UNHANDLEABLE;
    if ((flags & OP_CPL0) && c->cpl != 0)
        return gp0(c);
    return EMUL_OKAY;
}

int emul_decode(struct emul_ctxt *c)
{
    struct emul_insn *i = &c->i;
    uint32_t flags;
    int rc;

    *i = (struct emul_insn){.ea_seg = EMUL_DS};
    c->event = (struct emul_event){0};
    c->retire = (struct emul_retire){0};
    c->task_switched = false;
    set_mode(c);
    i->adsize = i->mode;
    rc = decode_opcode(c);
    if (rc != EMUL_OKAY)
        return rc;
    flags = i->op->flags;
    if (unlikely(!i->op->fn))
        return i->invalid || (flags & OP_UD && !i->vex) ? ud(c) : EMUL_UNHANDLEABLE;
    set_operand_size(c, flags);
    if (flags & OP_MODRM) {
        rc = decode_modrm(c, flags);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (flags & (OP_IMM_MASK | OP_TESTIMM)) {
        rc = decode_imm(c, flags);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (i->rip_rel)
        i->ea += c->regs->rip + i->pos;
    i->ea &= size_mask(i->adsize);
    return check_opcode(c, flags);
}

/* Offset of the next instruction.  Also with 16-bit code it can become 0x10000: the limit
 * check of the next fetch finds that. */
static uint64_t next_ip(const struct emul_ctxt *c)
{
    uint64_t ip = c->regs->rip + c->i.pos;

    return mode64(c) ? ip : (uint32_t)ip;
}

int emul_execute(struct emul_ctxt *c)
{
    bool trap = c->regs->rflags & RFLAGS_TF;
    uint64_t next = next_ip(c), rip = c->regs->rip;
    unsigned int tries = 64;
    int rc;

    /* A handler finds RIP behind the instruction; it is put back if the handler fails. */
    c->regs->rip = next;
    do {
        rc = c->i.op->fn(c);
    } while (rc == EMUL_CMPXCHG_FAILED && --tries);
    if (rc == EMUL_CMPXCHG_FAILED)
        rc = EMUL_RETRY;
    if (c->task_switched)
        return rc; /* RIP, RF and TF are the new task's */
    if (rc != EMUL_OKAY) {
        c->regs->rip = rip;
        return rc;
    }
    c->retire.branch = c->regs->rip != next;
    if (c->retire.partial)
        c->regs->rip = rip;
    else if (c->i.map || c->i.opcode != 0xcf) /* IRET loads RF */
        c->regs->rflags &= ~(uint64_t)RFLAGS_RF;
    if (c->i.op->fn == op_syscall) /* the mask of the MSR counts for its own trap */
        trap = c->regs->rflags & RFLAGS_TF;
    c->retire.singlestep = trap && !c->retire.mov_ss;
    return EMUL_OKAY;
}

int emul_run(struct emul_ctxt *c)
{
    int rc = emul_decode(c);

    return rc == EMUL_OKAY ? emul_execute(c) : rc;
}
