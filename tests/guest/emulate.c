/*
 * The instruction emulator against the processor: each instruction runs natively and,
 * behind the forced emulation prefix, in the hypervisor; registers, flags, memory and
 * faults must be the same. Needs the hypervisor's option hvm_fep.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"
#include "snippet.h"

const char test_title[] = "emulate";

#define ROUNDS 12

#define MSR_DEBUGCTL 0x1d9
#define DEBUGCTL_BTF 2

SNIPPETS_BEGIN(table);
/* MOV and its relatives. */
SNIPPET("movb %al, (%rdi)", 0);
SNIPPET("movw %ax, (%rdi)", 0);
SNIPPET("movl %eax, (%rdi)", 0);
SNIPPET("movq %rax, (%rdi)", 0);
SNIPPET("movb (%rsi), %dl", 0);
SNIPPET("movw (%rsi), %dx", 0);
SNIPPET("movl (%rsi), %edx", 0);
SNIPPET("movq (%rsi), %rdx", 0);
SNIPPET("movb %ah, 1(%rdi)", 0);
SNIPPET("movb (%rsi), %dh", 0);
SNIPPET("movb $0x5a, 3(%rdi)", 0);
SNIPPET("movw $0x1234, 2(%rdi)", 0);
SNIPPET("movl $0x89abcdef, 4(%rdi)", 0);
SNIPPET("movq $0xffffffff89abcdef, 8(%rdi)", 0);
SNIPPET("movl 4(%rsi,%rcx,4), %eax", 0);
SNIPPET("movq %rdx, 8(%rdi,%rcx,8)", 0);
SNIPPET("movzbl (%rsi), %eax", 0);
SNIPPET("movzbw (%rsi), %ax", 0);
SNIPPET("movzwl 2(%rsi), %eax", 0);
SNIPPET("movzwq 2(%rsi), %rax", 0);
SNIPPET("movsbl (%rsi), %eax", 0);
SNIPPET("movsbw (%rsi), %ax", 0);
SNIPPET("movsbq (%rsi), %rax", 0);
SNIPPET("movswl (%rsi), %eax", 0);
SNIPPET("movswq (%rsi), %rax", 0);
SNIPPET("movslq (%rsi), %rax", 0);
SNIPPET("movnti %eax, (%rdi)", 0);
SNIPPET("movnti %rax, (%rdi)", 0);
SNIPPET("leaq 5(%rdx,%rcx,2), %rax", 0);
SNIPPET("bswapl %eax", 0);
SNIPPET("bswapq %rax", 0);
SNIPPET("cmovzq (%rsi), %rax", 0);
SNIPPET("cmovcl (%rsi), %eax", 0);
SNIPPET("setz (%rdi)", 0);
SNIPPET("setg 1(%rdi)", 0);
/* ALU, memory to register, register to memory, immediate to memory. */
SNIPPET("addb %al, (%rdi)", 0);
SNIPPET("addw %ax, (%rdi)", 0);
SNIPPET("addl %eax, (%rdi)", 0);
SNIPPET("addq %rax, (%rdi)", 0);
SNIPPET("addq (%rsi), %rax", 0);
SNIPPET("adcl %eax, (%rdi)", 0);
SNIPPET("adcq (%rsi), %rdx", 0);
SNIPPET("sbbl %eax, (%rdi)", 0);
SNIPPET("sbbb (%rsi), %al", 0);
SNIPPET("subw %ax, (%rdi)", 0);
SNIPPET("subq (%rsi), %rax", 0);
SNIPPET("cmpl %eax, (%rdi)", 0);
SNIPPET("cmpb (%rsi), %cl", 0);
SNIPPET("andl %eax, (%rdi)", FLAG_A);
SNIPPET("orq %rax, (%rdi)", FLAG_A);
SNIPPET("xorw %ax, (%rdi)", FLAG_A);
SNIPPET("xorl (%rsi), %eax", FLAG_A);
SNIPPET("testl %eax, (%rdi)", FLAG_A);
SNIPPET("testb $0x81, (%rdi)", FLAG_A);
SNIPPET("testq $0x7fffffff, (%rdi)", FLAG_A);
SNIPPET("addl $0x12345678, (%rdi)", 0);
SNIPPET("addq $-3, (%rdi)", 0);
SNIPPET("addw $0x100, 2(%rdi)", 0);
SNIPPET("subb $7, (%rdi)", 0);
SNIPPET("cmpw $0x8000, (%rdi)", 0);
SNIPPET("orb $0xf0, (%rdi)", FLAG_A);
SNIPPET("andl $0xff00ff, (%rdi)", FLAG_A);
SNIPPET("xorq $-1, (%rdi)", FLAG_A);
SNIPPET("lock addl %eax, (%rdi)", 0);
SNIPPET("lock orl $1, (%rdi)", FLAG_A);
SNIPPET("incb (%rdi)", 0);
SNIPPET("incl (%rdi)", 0);
SNIPPET("decw (%rdi)", 0);
SNIPPET("decq (%rdi)", 0);
SNIPPET("negl (%rdi)", 0);
SNIPPET("negb (%rdi)", 0);
SNIPPET("notq (%rdi)", 0);
SNIPPET("notw (%rdi)", 0);
/* Exchanges. */
SNIPPET("xchgb %al, (%rdi)", 0);
SNIPPET("xchgw %ax, (%rdi)", 0);
SNIPPET("xchgl %eax, (%rdi)", 0);
SNIPPET("xchgq %rax, (%rdi)", 0);
SNIPPET("xaddl %eax, (%rdi)", 0);
SNIPPET("lock xaddq %rax, (%rdi)", 0);
SNIPPET("cmpxchgl %edx, (%rdi)", 0);
SNIPPET("lock cmpxchgq %rdx, (%rdi)", 0);
SNIPPET("cmpxchgb %dl, (%rdi)", 0);
SNIPPET3("movq (%rdi), %rax", "cmpxchgq %rdx, (%rdi)", "", 0);
SNIPPET("cmpxchg8b (%rdi)", 0);
/* Bits and shifts. */
SNIPPET("btl %ecx, (%rdi)", FLAG_P | FLAG_A | FLAG_S | FLAG_O);
SNIPPET("btsl %ecx, (%rdi)", FLAG_P | FLAG_A | FLAG_S | FLAG_O);
SNIPPET("btrq %rcx, (%rdi)", FLAG_P | FLAG_A | FLAG_S | FLAG_O);
SNIPPET("btcw %cx, (%rdi)", FLAG_P | FLAG_A | FLAG_S | FLAG_O);
SNIPPET("btsl $7, (%rdi)", FLAG_P | FLAG_A | FLAG_S | FLAG_O);
SNIPPET("lock btrl $3, (%rdi)", FLAG_P | FLAG_A | FLAG_S | FLAG_O);
SNIPPET("shll $1, (%rdi)", FLAG_A);
SNIPPET("shrq $3, (%rdi)", FLAG_A | FLAG_O);
SNIPPET("sarb $2, (%rdi)", FLAG_A | FLAG_O);
SNIPPET("roll $1, (%rdi)", 0);
SNIPPET("rorw $5, (%rdi)", FLAG_O);
SNIPPET("rcll $1, (%rdi)", 0);
/* The stack. */
SNIPPET3("", "pushq (%rsi)", "popq %rax", 0);
SNIPPET3("pushq %rdx", "popq (%rdi)", "", 0);
SNIPPET3("", "pushq $-5", "popq %rdx", 0);
/* Strings, once and repeated, both ways. */
SNIPPET("stosb", 0);
SNIPPET("stosq", 0);
SNIPPET("movsb", 0);
SNIPPET("movsw", 0);
SNIPPET("movsl", 0);
SNIPPET("movsq", 0);
SNIPPET("lodsb", 0);
SNIPPET("lodsq", 0);
SNIPPET("scasb", 0);
SNIPPET("scasl", 0);
SNIPPET("cmpsb", 0);
SNIPPET("cmpsq", 0);
SNIPPET("rep stosb", 0);
SNIPPET("rep stosw", 0);
SNIPPET("rep stosl", 0);
SNIPPET("rep stosq", 0);
SNIPPET("rep movsb", 0);
SNIPPET("rep movsl", 0);
SNIPPET("rep movsq", 0);
SNIPPET("rep lodsw", 0);
SNIPPET("repe cmpsb", 0);
SNIPPET("repne scasb", 0);
SNIPPET("repe scasl", 0);
SNIPPET3("std", "rep movsb", "cld", 0);
SNIPPET3("std", "stosl", "cld", 0);
SNIPPET3("movl $0, %ecx", "rep movsb", "", 0);
/* Flags and the rest. */
SNIPPET("cld", 0);
SNIPPET("clc", 0);
SNIPPET("stc", 0);
SNIPPET("cmc", 0);
SNIPPET("lahf", 0);
SNIPPET("sahf", 0);
SNIPPET("cbtw", 0);
SNIPPET("cltq", 0);
SNIPPET("cqto", 0);
SNIPPET("xlatb", 0);
SNIPPET3("movl $77, %eax", "mull (%rsi)", "", FLAG_S | FLAG_Z | FLAG_A | FLAG_P);
SNIPPET("imull $7, (%rsi), %eax", FLAG_S | FLAG_Z | FLAG_A | FLAG_P);
/* SSE moves. */
SNIPPET("movups (%rsi), %xmm0", 0);
SNIPPET("movups %xmm0, 16(%rdi)", 0);
SNIPPET("movaps %xmm0, (%rdi)", 0);
SNIPPET("movdqu (%rsi), %xmm0", 0);
SNIPPET("movdqa %xmm0, (%rdi)", 0);
SNIPPET("movq %xmm0, (%rdi)", 0);
SNIPPET("movd (%rsi), %xmm0", 0);
SNIPPET("movntdq %xmm0, (%rdi)", 0);
/* Arithmetic on vectors: registers and memory, to general registers, flags. */
SNIPPET("paddb (%rsi), %xmm0", 0);
SNIPPET("psubq %xmm0, %xmm0", 0);
SNIPPET("pmaddwd (%rsi), %xmm0", 0);
SNIPPET("punpcklbw (%rsi), %xmm0", 0);
SNIPPET("pshufd $0x1b, (%rsi), %xmm0", 0);
SNIPPET("psrldq $3, %xmm0", 0);
SNIPPET("psllw (%rsi), %xmm0", 0);
SNIPPET("pcmpgtd (%rsi), %xmm0", 0);
SNIPPET("pinsrw $3, (%rsi), %xmm0", 0);
SNIPPET("pextrw $5, %xmm0, %eax", 0);
SNIPPET3("movl $7, %eax", "cvtsi2sd %eax, %xmm0", "", 0);
SNIPPET3("cvtsi2sdq (%rsi), %xmm0", "addsd %xmm0, %xmm0", "cvttsd2si %xmm0, %rdx", 0);
SNIPPET3("cvtdq2ps (%rsi), %xmm0", "mulps %xmm0, %xmm0", "", 0);
SNIPPET3("cvtdq2ps (%rsi), %xmm0", "cvttss2si %xmm0, %rdx", "", 0);
SNIPPET3("cvtdq2pd (%rsi), %xmm0", "sqrtpd %xmm0, %xmm0", "", 0);
SNIPPET3("cvtdq2ps (%rsi), %xmm0", "shufps $0x1b, %xmm0, %xmm0", "", 0);
SNIPPET3("cvtdq2ps (%rsi), %xmm0", "cmpltps 16(%rsi), %xmm0", "", 0);
SNIPPET3("cvtdq2ps (%rsi), %xmm0", "comiss %xmm0, %xmm0", "", 0);
SNIPPET("paddb 1(%rsi), %xmm0", 0);
SNIPPET3("movq (%rsi), %mm3", "paddw 8(%rsi), %mm3", "movq %mm3, (%rdi)\nemms", 0);
SNIPPET3("movq (%rsi), %mm3", "psrlq $5, %mm3", "movq %mm3, (%rdi)\nemms", 0);
/* x87: the register stack, operands of all kinds, flags. */
SNIPPET3("fninit\nfildll (%rsi)", "fmuls 8(%rsi)", "fstpl (%rdi)", 0);
SNIPPET3("fninit\nfildll (%rsi)", "fistpl (%rdi)", "", 0);
SNIPPET3("fninit\nfildll (%rsi)", "fstpt (%rdi)", "", 0);
SNIPPET3("fninit\nfildl (%rsi)", "fbstp (%rdi)", "", 0);
SNIPPET3("fninit\nfildll (%rsi)\nfldpi", "fdivrp %st, %st(1)", "fstpt (%rdi)", 0);
SNIPPET3("fninit", "fldt (%rsi)", "fstpt (%rdi)", 0);
SNIPPET3("fninit\nfildl (%rsi)\nfldz", "fcomip %st(1), %st", "", 0);
SNIPPET3("fninit\nfildl (%rsi)\nfld1", "fcmovb %st(1), %st", "fstpl (%rdi)", 0);
SNIPPET3("fninit\nfld1\nmovq $0x700000000000, %rdi", "fstpl (%rdi)", "", 0);
/* Faults. */
SNIPPET3("movl $0, %ecx", "divl %ecx", "", 0);
SNIPPET3("movq $0x700000000000, %rdi", "movl %eax, (%rdi)", "", 0);
SNIPPET3("movq $0x700000000000, %rsi", "movb (%rsi), %al", "", 0);
SNIPPET3("movabsq $0x8000000000000000, %rsi", "movq (%rsi), %rax", "", 0);
SNIPPET("movaps %xmm0, 1(%rdi)", 0);
/* Not here: LOCK before an instruction that cannot have it. QEMU 7.2 ignores it, so there
 * is nothing to compare with; the host's processor is asked in tests/unit-emulate. */
SNIPPET("int3", 0);
SNIPPETS_END(table);

SNIPPETS_BEGIN(avx);
SNIPPET3("vmovdqu (%rsi), %ymm1", "vaddps 32(%rsi), %ymm1, %ymm2",
         "vmovdqu %ymm2, (%rdi)", 0);
SNIPPET3("vmovdqu (%rsi), %ymm1", "vpermilps $0x1b, %ymm1, %ymm3",
         "vmovdqu %ymm3, 1(%rdi)", 0);
SNIPPET3("vmovdqu (%rsi), %ymm1", "vextractf128 $1, %ymm1, (%rdi)", "", 0);
SNIPPET3("vmovdqu (%rsi), %ymm1", "vptest 3(%rsi), %ymm1", "", 0);
SNIPPET3("vmovdqu (%rsi), %ymm0", "vcvtsi2sdq 8(%rsi), %xmm0, %xmm0", "", 0);
SNIPPET3("movq $0x700000000000, %rdi", "vextractf128 $1, %ymm1, (%rdi)", "", 0);
SNIPPETS_END(avx);

static uint8_t memory[2][SNIPPET_MEMORY] ALIGNED(64);
static uint64_t seed = 0x123456789abcdefull;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Values at the edges are as likely as any. */
static uint64_t random_value(void)
{
    static const uint64_t edges[] = {0,      1,          0x7f,       0x80,
                                     0xffff, 0x7fffffff, 0x80000000, 0xffffffffffffffff};
    uint64_t r = random64();

    return r & 3 ? r : edges[r >> 8 & 7];
}

static const char *difference(const struct snippet *s, const struct snippet_state *a,
                              const struct snippet_state *b, struct fault fa,
                              struct fault fb)
{
    uint32_t flags = FLAGS_ALL & ~s->undefined;
    uint64_t shift = PTR(memory[1]) - PTR(memory[0]);

    if (fa.vector != fb.vector)
        return "fault's vector";
    if (fa.vector != VEC_NONE)
        return fa.error != fb.error                           ? "error code"
               : fa.vector == VEC_PF && fa.cr2 != fb.cr2      ? "CR2"
               : memcmp(memory[0], memory[1], SNIPPET_MEMORY) ? "memory after a fault"
                                                              : NULL;
    if (a->rax != b->rax || a->rcx != b->rcx || a->rdx != b->rdx ||
        a->rbx + shift != b->rbx)
        return "register";
    if (a->rsi + shift != b->rsi || a->rdi + shift != b->rdi)
        return "rsi or rdi";
    if ((a->rflags ^ b->rflags) & flags)
        return "flags";
    if (memcmp(a->xmm0, b->xmm0, sizeof(a->xmm0)))
        return "xmm0";
    return memcmp(memory[0], memory[1], SNIPPET_MEMORY) ? "memory" : NULL;
}

static const char *compare(const struct snippet *s)
{
    struct snippet_state state[2];
    struct fault fault[2];
    uint64_t common = random64();

    for (unsigned i = 0; i < SNIPPET_MEMORY; i++)
        memory[0][i] = memory[1][i] = (uint8_t)random64();
    state[0] = (struct snippet_state){.rax = random_value(),
                                      .rdx = random_value(),
                                      .rcx = common % 11,
                                      .rflags = 2 | (common >> 16 & 0x8d5)};
    for (unsigned i = 0; i < 16; i++)
        state[0].xmm0[i] = (uint8_t)random64();
    state[1] = state[0];
    for (unsigned i = 0; i < 2; i++) {
        state[i].rsi = PTR(memory[i]) + 32;
        state[i].rdi = PTR(memory[i]) + 160;
        state[i].rbx = PTR(memory[i]);
        fault[i] = snippet_run(i ? s->forced : s->native, &state[i]);
    }
    return difference(s, &state[0], &state[1], fault[0], fault[1]);
}

static void try_prefix(void *arg)
{
    asm volatile("ud2; .ascii \"xen\"; nop");
}

/* With the option `self` we are our own hypervisor: the test checks itself. */
static void skip_prefix(struct regs *regs)
{
    if (memcmp((const void *)regs->rip, "\x0f\x0bxen", 5))
        panic("#UD at %lx", regs->rip);
    regs->rip += 5;
}

static uint64_t forced_read(const uint64_t *p)
{
    uint64_t value;

    asm volatile("ud2; .ascii \"xen\"; movq (%1), %0" : "=r"(value) : "r"(p) : "memory");
    return value;
}

static void forced_write(uint64_t *p, uint64_t value)
{
    asm volatile("ud2; .ascii \"xen\"; movq %1, (%0)" ::"r"(p), "r"(value) : "memory");
}

static void write_5(void *p)
{
    forced_write(p, 5);
}

/* The hypervisor may keep translations, but what the guest changes in its tables counts
 * at once (after the INVLPG that the processor wants). */
static void changed_tables(void)
{
    uint64_t *a = page_alloc(1), *b = page_alloc(1);
    uint64_t *pte = pte_of(PTR(a)), old = *pte;

    a[0] = 1;
    b[0] = 2;
    check(forced_read(a) == 1 && forced_read(a) == 1, "tables: read twice");
    *pte = (old & ~0xffffffffff000ull) | PTR(b);
    invlpg(a);
    check(forced_read(a) == 2, "tables: another frame is seen");
    *pte &= ~0x60ull; /* A and D */
    invlpg(a);
    forced_read(a);
    check((*pte & 0x60) == 0x20, "tables: a read sets A again");
    forced_write(a, 3);
    check((*pte & 0x60) == 0x60 && b[0] == 3, "tables: a write sets D");
    *pte &= ~0x2ull; /* writable */
    invlpg(a);
    check(catch_call(write_5, a).vector == VEC_PF && b[0] == 3,
          "tables: read-only is seen");
    *pte = old;
    invlpg(a);
    forced_write(a, 7);
    check(a[0] == 7 && b[0] == 3, "tables: back to the first frame");
}

static void try_table(const struct snippet *s, const struct snippet *end)
{
    for (; s < end; s++) {
        const char *what = NULL;

        for (unsigned round = 0; round < ROUNDS && !what; round++)
            what = compare(s);
        check(!what, "%s%s%s", s->text, what ? " differs in: " : "", what ? what : "");
    }
}

static void try_avx(void)
{
    uint32_t features = cpuid(1, 0).ecx;

    if (!(features & 1u << 28) || !(features & 1u << 26)) {
        skip("the processor has none", "AVX");
        return;
    }
    write_cr4(read_cr4() | 1u << 18);
    asm volatile("xsetbv" ::"a"(7), "d"(0), "c"(0));
    try_table(avx, avx_end);
}

static void divide_zero(void *arg)
{
    asm volatile("xorps %xmm0, %xmm0\n\tud2; .ascii \"xen\"; divss %xmm0, %xmm0");
}

/* #XM, which some emulated processors do not raise by themselves. */
static void unmasked(void)
{
    uint32_t mxcsr = 0x1f00, usual = 0x1f80; /* invalid operations are not masked */
    struct fault fault;

    write_cr4(read_cr4() | 1u << 10);
    asm volatile("ldmxcsr %0" ::"m"(mxcsr));
    fault = catch_call(divide_zero, NULL);
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    check(fault.vector == 19, "0 / 0, not masked, is #XM");
    check_eq(mxcsr, 0x1f01, "and MXCSR says why");
    write_cr4(read_cr4() & ~(1ull << 10));
    mxcsr = 0x1f00;
    asm volatile("ldmxcsr %0" ::"m"(mxcsr));
    fault = catch_call(divide_zero, NULL);
    asm volatile("ldmxcsr %0" ::"m"(usual));
    check(fault.vector == VEC_UD, "and #UD without CR4.OSXMMEXCPT");
}

static volatile unsigned int traps;
static volatile uint64_t trap_rip;

static void on_trap(struct regs *regs)
{
    traps++;
    trap_rip = regs->rip;
    regs->rflags &= ~0x100ull;
}

/* With DEBUGCTL.BTF only a branch traps, and clears it: a NOP and a jump, both emulated.
 */
static void step_by_branches(void)
{
    uint64_t target, btf;

    set_handler(VEC_DB, on_trap);
    traps = 0;
    wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF);
    asm volatile("pushfq; orl $0x100, (%%rsp)\n"
                 "ud2; .ascii \"xen\"; popfq\n" /* TF from here on */
                 "ud2; .ascii \"xen\"; nop\n"
                 "ud2; .ascii \"xen\"; jmp 1f\n"
                 "nop\n"
                 "1: leaq 1b(%%rip), %0\n"
                 : "=r"(target)
                 :
                 : "memory", "cc");
    btf = rdmsr(MSR_DEBUGCTL);
    wrmsr(MSR_DEBUGCTL, 0);
    set_handler(VEC_DB, NULL);
    check_eq(traps, 1, "single step by branches: one trap");
    check_eq(trap_rip, target, "behind the jump");
    check_eq(btf, 0, "which clears DEBUGCTL.BTF");
}

void test_main(void)
{
    if (option_present("self"))
        set_handler(VEC_UD, skip_prefix);
    if (catch_call(try_prefix, NULL).vector != VEC_NONE) {
        skip("no forced emulation prefix (option hvm_fep)", "emulator");
        return;
    }
    try_table(table, table_end);
    try_avx();
    if (!option_present("self"))
        unmasked();
    if (!option_present("self"))
        step_by_branches();
    changed_tables();
}
