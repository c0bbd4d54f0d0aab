/* What an emulated instruction costs, in instructions of the host: the promise that exits
 * on device memory stay cheap.  Built like the hypervisor, without sanitizers.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A child runs the emulator between two INT3s; the parent single-steps it and counts. The
 * callbacks are as cheap as can be, so this is the emulator's own share.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hvm/emulate/emulate.h"

static struct cpu_regs regs;
static struct emul_ctxt ctxt;

static int op_read(struct emul_ctxt *c, uint64_t lin, void *buf, unsigned int bytes,
                   unsigned int access)
{
    *(uint32_t *)buf = 0x12345678;
    return EMUL_OKAY;
}

static int op_write(struct emul_ctxt *c, uint64_t lin, const void *buf,
                    unsigned int bytes, unsigned int access)
{
    return EMUL_OKAY;
}

static int op_movs(struct emul_ctxt *c, uint64_t src, uint64_t dst, unsigned int bytes,
                   unsigned long *reps, bool down)
{
    return EMUL_OKAY;
}

static const struct emul_ops ops = {
    .read = op_read,
    .write = op_write,
    .rep_movs = op_movs,
};

static void prepare(const uint8_t *bytes, unsigned int n)
{
    regs =
        (struct cpu_regs){.rip = 0x1000, .rsi = 0xfee00000, .rdi = 0x2000, .rflags = 2};
    regs.rcx = 100;
    ctxt.regs = &regs;
    ctxt.ops = &ops;
    ctxt.cr0 = 0x80000011;
    ctxt.efer = 0xd00;
    ctxt.features = ~0u;
    ctxt.seg_valid = (1u << EMUL_SEG_COUNT) - 1;
    ctxt.seg[EMUL_CS] = (struct emul_seg){.sel = 8, .attr = 0xa9b, .limit = 0xffffffff};
    memcpy(ctxt.insn, bytes, n);
    ctxt.fetched = n;
}

static void __attribute__((noreturn)) child(const uint8_t *bytes, unsigned int n)
{
    int rc;

    prepare(bytes, n);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    __asm__ volatile("int3");
    rc = emul_run(&ctxt);
    __asm__ volatile("int3" : : "r"(rc));
    _exit(rc);
}

/* Instructions executed by one emul_run(), or 0 if that cannot be found out. */
static unsigned long cost(const uint8_t *bytes, unsigned int n)
{
    unsigned long count = 0;
    siginfo_t si;
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        child(bytes, n);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
        return 0;
    do {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) < 0 ||
            !WIFSTOPPED(status) || ptrace(PTRACE_GETSIGINFO, pid, NULL, &si)) {
            count = 0;
            break;
        }
        count++;
    } while (si.si_code != SI_KERNEL && count < 1000000);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return count;
}

static void check_cost(const char *what, unsigned long most, const uint8_t *bytes,
                       unsigned int n)
{
    unsigned long count = cost(bytes, n);

    if (count == 0)
        skip();
    printf("# %s: %lu instructions, at most %lu\n", what, count, most);
    assert_true(count <= most);
}
#define COST(what, most, ...)                                                            \
    check_cost(what, most, (const uint8_t[]){__VA_ARGS__},                               \
               sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_cost(void **state)
{
    COST("mov eax, [rsi+0x20]", 500, 0x8b, 0x46, 0x20);
    COST("mov [rsi+0x80], r8d", 500, 0x44, 0x89, 0x86, 0x80, 0, 0, 0);
    COST("mov dword [rsi], imm32", 500, 0xc7, 0x06, 1, 2, 3, 4);
    COST("movzx eax, word [rsi+rcx*2]", 500, 0x0f, 0xb7, 0x04, 0x4e);
    COST("or [rsi], eax", 600, 0x09, 0x06);
    COST("rep movsd, in bulk", 850, 0xf3, 0xa5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cost)};

    return cmocka_run_group_tests_name("emulator cost", tests, NULL, NULL);
}
