/* A process that runs single instructions on the real CPU.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Life: fork; the child maps the sandbox, takes a signal handler and an alternate stack,
 * and stops; the parent then makes it unmap everything else and forbid itself system
 * calls. A fault's vector, error code and CR2 are read from the signal frame that the
 * kernel writes.
 */
#include "native.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/rseq.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define SIG_BASE  0x5a5a00000000ull
#define SIG_BYTES 0x10000u
#define USER_TOP  0x7ffffffff000ull

enum { RX = PROT_READ | PROT_WRITE | PROT_EXEC, RW = PROT_READ | PROT_WRITE };

/* 0-1 code, 4-6 data, 7 read-only, 8 hole, 9-10 data, 13 data between holes */
const uint8_t sandbox_prot[SANDBOX_PAGES] = {
    RX, RX, 0, 0, RW, RW, RW, PROT_READ, 0, RW, RW, 0, 0, RW, 0, PROT_READ | PROT_EXEC,
};

uint64_t sandbox_ldt[SANDBOX_LDT];

/* Fill sandbox_ldt[k] and tell the kernel.  contents: 0 data, 1 expand-down, 2 code, 3
 * conforming code; the kernel always makes them DPL 3 and accessed. */
static int set_ldt(unsigned int k, uint32_t base, uint32_t limit, unsigned int contents,
                   bool big, bool pages, bool read_only, bool absent)
{
    struct user_desc u = {
        .entry_number = k,
        .base_addr = base,
        .limit = limit,
        .seg_32bit = big,
        .contents = contents,
        .read_exec_only = read_only,
        .limit_in_pages = pages,
        .seg_not_present = absent,
    };
    unsigned int type = contents << 2 | !read_only << 1 | 1;

    sandbox_ldt[k] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
                     (uint64_t)(type | 0x70 | (!absent) << 7) << 40 |
                     (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)big << 54 |
                     (uint64_t)pages << 55 | (uint64_t)(base >> 24) << 56;
    return syscall(SYS_modify_ldt, 0x11, &u, sizeof(u)) ? -1 : 0;
}

static int make_ldt(void)
{
    const uint32_t b = SANDBOX_BASE;
    int rc = 0;

    rc |= set_ldt(0, 0, 0xfffff, 2, true, true, false, false);  /* flat code, 32 bits */
    rc |= set_ldt(1, b, 0xffff, 2, false, false, false, false); /* code, 16 bits */
    rc |= set_ldt(2, b, 0xffff, 0, false, false, false, false); /* data, 16 bits */
    rc |= set_ldt(3, b, 0x5fff, 0, true, false, false, false);  /* small limit */
    rc |= set_ldt(4, b, 0x4fff, 1, true, false, false, false);  /* expand-down, 32 bits */
    rc |= set_ldt(5, b, 0x4fff, 1, false, false, false, false); /* expand-down, 16 bits */
    rc |= set_ldt(6, b, 0xffff, 0, true, false, true, false);   /* read-only */
    rc |= set_ldt(7, b, 0xffff, 0, true, false, false, true);   /* not present */
    rc |= set_ldt(8, b, 0x1fff, 2, true, false, false, false);  /* code, small limit */
    rc |= set_ldt(9, b, 0xffff, 2, true, false, true, false);   /* execute-only code */
    rc |= set_ldt(10, b, 0xffff, 3, true, false, false, true);  /* conforming, absent */
    rc |= set_ldt(11, 0, 0xfffff, 0, true, true, false, false); /* flat data */
    rc |= set_ldt(12, b, 0xffff, 2, true, false, false, true);  /* code, not present */
    rc |= set_ldt(13, 0xfffffff0, 0xfffff, 0, true, true, false, false); /* base wraps */
    rc |= set_ldt(14, b, 0xf, 0, true, true, false, false); /* data, page limit */
    return rc;
}

static void __attribute__((noreturn)) child_main(int fd, int sig_fd)
{
    static const uint8_t handler[] = {0xcc};
    struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    static const int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    stack_t ss = {.ss_sp = (void *)SIG_BASE, .ss_size = SIG_BYTES - 4096};
    void *p;

    for (unsigned int k = 0; k < SANDBOX_PAGES; k++) {
        if (!sandbox_prot[k])
            continue;
        p = mmap((void *)(SANDBOX_BASE + k * 4096ul), 4096, sandbox_prot[k],
                 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, k * 4096l);
        if (p == MAP_FAILED)
            _exit(1);
    }
    p = mmap((void *)SIG_BASE, SIG_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_SHARED | MAP_FIXED, sig_fd, 0);
    if (p == MAP_FAILED || make_ldt())
        _exit(1);
    memcpy((char *)SIG_BASE + SIG_BYTES - 4096, handler, sizeof(handler));
    sa.sa_sigaction = (void *)(SIG_BASE + SIG_BYTES - 4096);
    for (unsigned int k = 0; k < sizeof(sigs) / sizeof(sigs[0]); k++)
        if (sigaction(sigs[k], &sa, NULL))
            _exit(1);
    if (sigaltstack(&ss, NULL))
        _exit(1);
    /* The kernel would write to this after it is unmapped. */
    if (__rseq_size)
        syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
                RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
        _exit(1);
    raise(SIGSTOP);
    _exit(1);
}

/* Make the stopped child do one system call. */
static long inject(struct native *n, long nr, unsigned long a, unsigned long b,
                   unsigned long c)
{
    struct user_regs_struct r;
    int status;

    if (ptrace(PTRACE_GETREGS, n->pid, NULL, &r))
        return -1;
    n->mem[0] = 0x0f;
    n->mem[1] = 0x05;
    r.rip = SANDBOX_BASE;
    r.rax = nr;
    r.orig_rax = -1;
    r.rdi = a;
    r.rsi = b;
    r.rdx = c;
    if (ptrace(PTRACE_SETREGS, n->pid, NULL, &r) ||
        ptrace(PTRACE_SINGLESTEP, n->pid, NULL, NULL) ||
        waitpid(n->pid, &status, 0) < 0 || !WIFSTOPPED(status) ||
        ptrace(PTRACE_GETREGS, n->pid, NULL, &r))
        return -1;
    return (long)r.rax;
}

static int forbid_syscalls(struct native *n)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog prog = {.len = 1, .filter = (void *)(SANDBOX_BASE + 0x4100ul)};

    memcpy(n->mem + 0x4000, &prog, sizeof(prog));
    memcpy(n->mem + 0x4100, filter, sizeof(filter));
    return inject(n, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, SANDBOX_BASE + 0x4000ul)
               ? -1
               : 0;
}

static void *map_shared(int *fd, size_t bytes)
{
    *fd = memfd_create("sandbox", 0);
    if (*fd < 0 || ftruncate(*fd, bytes))
        return MAP_FAILED;
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
}

int native_start(struct native *n)
{
    unsigned int a, c, d;
    int fd, sig_fd, status;

    __cpuid_count(0xd, 2, a, n->ymm_offset, c, d);
    n->mem = map_shared(&fd, SANDBOX_BYTES);
    n->sig_mem = map_shared(&sig_fd, SIG_BYTES);
    if (n->mem == MAP_FAILED || n->sig_mem == MAP_FAILED)
        return -1;
    /* The table is filled by the child; its copy here must say the same. */
    make_ldt();
    n->pid = fork();
    if (n->pid == 0)
        child_main(fd, sig_fd);
    if (n->pid < 0 || waitpid(n->pid, &status, 0) < 0)
        return -1;
    if (!WIFSTOPPED(status)) {
        errno = EPERM;
        return -1;
    }
    close(fd);
    close(sig_fd);
    ptrace(PTRACE_SETOPTIONS, n->pid, NULL, PTRACE_O_EXITKILL);
    if (inject(n, SYS_munmap, 0, SANDBOX_BASE, 0) ||
        inject(n, SYS_munmap, SANDBOX_BASE + SANDBOX_BYTES,
               SIG_BASE - SANDBOX_BASE - SANDBOX_BYTES, 0) ||
        inject(n, SYS_munmap, SIG_BASE + SIG_BYTES, USER_TOP - SIG_BASE - SIG_BYTES, 0) ||
        forbid_syscalls(n)) {
        native_stop(n);
        errno = EPERM;
        return -1;
    }
    return 0;
}

void native_stop(struct native *n)
{
    if (n->pid > 0) {
        kill(n->pid, SIGKILL);
        waitpid(n->pid, NULL, 0);
    }
    munmap(n->mem, SANDBOX_BYTES);
    munmap(n->sig_mem, SIG_BYTES);
}

int native_get_regs(struct native *n, struct user_regs_struct *regs)
{
    return ptrace(PTRACE_GETREGS, n->pid, NULL, regs) ? -1 : 0;
}

int native_get_xstate(struct native *n, uint8_t *xstate, size_t *len)
{
    struct iovec iov = {xstate, XSTATE_MAX};
    int rc = ptrace(PTRACE_GETREGSET, n->pid, NT_X86_XSTATE, &iov) ? -1 : 0;

    *len = iov.iov_len;
    return rc;
}

/* Let the kernel write a signal frame, and take the exception's particulars from it. */
static int read_frame(struct native *n, int sig, struct native_result *r)
{
    struct user_regs_struct regs;
    const ucontext_t *uc;
    int status;

    if (ptrace(PTRACE_SINGLESTEP, n->pid, NULL, (void *)(long)sig) ||
        waitpid(n->pid, &status, 0) < 0 || !WIFSTOPPED(status) ||
        ptrace(PTRACE_GETREGS, n->pid, NULL, &regs))
        return -1;
    if (regs.rdx < SIG_BASE || regs.rdx + sizeof(*uc) > SIG_BASE + SIG_BYTES)
        return -1;
    uc = (const ucontext_t *)(n->sig_mem + (regs.rdx - SIG_BASE));
    r->fault = true;
    r->vector = uc->uc_mcontext.gregs[REG_TRAPNO];
    r->error = uc->uc_mcontext.gregs[REG_ERR];
    r->cr2 = uc->uc_mcontext.gregs[REG_CR2];
    return 0;
}

int native_run(struct native *n, struct user_regs_struct *regs, bool step,
               uint8_t *xstate, size_t *xstate_len, struct native_result *r)
{
    struct iovec iov = {xstate, xstate ? *xstate_len : 0};
    siginfo_t si;
    int status, sig, patience = 5;

    *r = (struct native_result){0};
    regs->orig_rax = -1;
    if (ptrace(PTRACE_SETREGS, n->pid, NULL, regs))
        return -1;
    if (xstate && ptrace(PTRACE_SETREGSET, n->pid, NT_X86_XSTATE, &iov))
        return -1;
    do {
        if (ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, n->pid, NULL, NULL) ||
            waitpid(n->pid, &status, 0) < 0 || !WIFSTOPPED(status))
            return -1;
        sig = WSTOPSIG(status);
        /* Stopped by the watchdog: perhaps only this machine is slow. */
    } while (sig == SIGSTOP && --patience);
    if (sig == SIGSTOP)
        return -1;
    if (ptrace(PTRACE_GETREGS, n->pid, NULL, regs))
        return -1;
    if (xstate && native_get_xstate(n, xstate, xstate_len))
        return -1;
    if (sig != SIGTRAP)
        return read_frame(n, sig, r);
    if (ptrace(PTRACE_GETSIGINFO, n->pid, NULL, &si))
        return -1;
    r->breakpoint = si.si_code == SI_KERNEL;
    return 0;
}
