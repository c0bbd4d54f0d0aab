/* ops.native by a process of its own. SPDX-License-Identifier: GPL-2.0-or-later */
#include "runner.h"

#include <string.h>

#define RUNNER_MEM 0x4000 /* of the sandbox: what RDI points to */
#define XSTATE_BV  512

struct emul_ops runner_ops;
uint8_t xstate_pattern[XSTATE_MAX];
size_t xstate_len;
unsigned int xstate_ymm_offset;
static struct native runner = {.pid = -1};

void xstate_load(const struct machine *m, uint8_t *x)
{
    uint64_t bv = 7;

    memcpy(x, xstate_pattern, xstate_len);
    memcpy(x, &m->fcw, 2);
    memcpy(x + 2, &m->fsw, 2);
    x[4] = m->ftw;
    memcpy(x + 24, &m->mxcsr, 4);
    for (unsigned int k = 0; k < 8; k++) {
        memcpy(x + 32 + 16 * k, &m->mm[k], 8);
        memcpy(x + 40 + 16 * k, &m->mm_exponent[k], 2);
    }
    for (unsigned int k = 0; k < 16; k++) {
        memcpy(x + 160 + 16 * k, m->ymm[k], 16);
        memcpy(x + xstate_ymm_offset + 16 * k, m->ymm[k] + 16, 16);
    }
    memcpy(x + XSTATE_BV, &bv, 8);
}

void xstate_store(struct machine *m, const uint8_t *x)
{
    memcpy(&m->fcw, x, 2);
    memcpy(&m->fsw, x + 2, 2);
    m->ftw = x[4];
    memcpy(&m->mxcsr, x + 24, 4);
    for (unsigned int k = 0; k < 8; k++) {
        memcpy(&m->mm[k], x + 32 + 16 * k, 8);
        memcpy(&m->mm_exponent[k], x + 40 + 16 * k, 2);
    }
    for (unsigned int k = 0; k < 16; k++) {
        memcpy(m->ymm[k], x + 160 + 16 * k, 16);
        memcpy(m->ymm[k] + 16, x + xstate_ymm_offset + 16 * k, 16);
    }
}

static int run(struct emul_ctxt *c, struct emul_native *n)
{
    static uint8_t x[XSTATE_MAX];
    struct machine *m = c->opaque;
    struct user_regs_struct u;
    struct native_result r;
    size_t len = xstate_len;

    if (runner.pid <= 0 || native_get_regs(&runner, &u))
        return EMUL_UNHANDLEABLE;
    memcpy(runner.mem, n->insn, n->len);
    memcpy(runner.mem + RUNNER_MEM, n->mem, sizeof(n->mem));
    u.rip = SANDBOX_BASE;
    u.rax = n->rax;
    u.rcx = n->rcx;
    u.rdx = n->rdx;
    u.rdi = SANDBOX_BASE + RUNNER_MEM;
    u.eflags = n->rflags | 0x202;
    u.cs = 0x33;
    u.ss = 0x2b;
    xstate_load(m, x);
    if (native_run(&runner, &u, true, x, &len, &r))
        return EMUL_UNHANDLEABLE;
    n->vector = r.fault ? r.vector : EMUL_NATIVE_NONE;
    memcpy(&n->mxcsr, x + 24, 4);
    if (r.fault)
        return EMUL_OKAY;
    n->rax = u.rax;
    n->rcx = u.rcx;
    n->rdx = u.rdx;
    n->rflags = u.eflags;
    memcpy(n->mem, runner.mem + RUNNER_MEM, sizeof(n->mem));
    if (n->keep)
        xstate_store(m, x);
    return EMUL_OKAY;
}

int runner_start(void)
{
    runner_ops = machine_ops;
    runner_ops.native = run;
    if (native_start(&runner)) {
        runner.pid = -1;
        return -1;
    }
    xstate_ymm_offset = runner.ymm_offset;
    return native_get_xstate(&runner, xstate_pattern, &xstate_len);
}

void runner_stop(void)
{
    if (runner.pid > 0)
        native_stop(&runner);
}
