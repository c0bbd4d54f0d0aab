/*
 * Exceptions arrive in the guest with the right vector, error code, address and RIP,
 * whoever the hypervisor makes them pass through (AMD APM volume 2 chapter 8, Intel SDM
 * volume 3 chapter 6). SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kit.h"

const char test_title[] = "exceptions";

#define HOLE_VA      0x700000000000ul /* no page table there */
#define NONCANONICAL 0x1234000000000000ul
#define PF_PRESENT   1u
#define PF_WRITE     2u
#define PF_USER      4u
#define PF_RESERVED  8u
#define PF_FETCH     16u
#define DR6_BS       (1ul << 14)
#define CPUID_EXT    0x80000001u
#define CPUID_EXT_NX (1u << 20)

static void divide(void *arg)
{
    asm volatile("xorl %%edx, %%edx; movl $1, %%eax; xorl %%ecx, %%ecx; divl %%ecx" ::
                     : "eax", "ecx", "edx");
}
static void undefined(void *arg)
{
    asm volatile("ud2");
}
static void breakpoint(void *arg)
{
    asm volatile("int3");
}
static void software_overflow(void *arg)
{
    asm volatile("int $4");
}
static void bad_selector(void *arg)
{
    asm volatile("movl %0, %%ds" ::"r"(0xfff8));
}
static void absent_segment(void *arg)
{
    asm volatile("movl %0, %%ds" ::"r"(SEL_NOT_PRESENT));
}
static void absent_stack(void *arg)
{
    asm volatile("movl %0, %%ss" ::"r"(SEL_NOT_PRESENT));
}
static void read_at(void *arg)
{
    (void)*(volatile uint64_t *)arg;
}
static void write_at(void *arg)
{
    *(volatile uint64_t *)arg = 1;
}
static void jump_to(void *arg)
{
    asm volatile("call *%0" ::"r"(arg));
}
static void fpu_insn(void *arg)
{
    asm volatile("fnop");
}
static void sse_insn(void *arg)
{
    asm volatile("xorps %%xmm0, %%xmm0" ::: "memory");
}
static void idt_beyond(void *arg)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) *table = arg;

    asm volatile("lidt %0; int $0x80" ::"m"(*table));
}

static void expect(const char *name, void (*fn)(void *), void *arg, uint32_t vector,
                   uint32_t error)
{
    struct fault f = catch_call(fn, arg);

    check_eq(f.vector, vector, "%s: vector", name);
    check_eq(f.error, error, "%s: error code", name);
}

static void faults(void)
{
    struct fault f;

    expect("#DE", divide, NULL, VEC_DE, 0);
    expect("#UD", undefined, NULL, VEC_UD, 0);
    f = catch_call(undefined, NULL);
    check_eq(*(const uint16_t *)f.rip, 0x0b0f, "#UD: RIP is the instruction");
    expect("#BP", breakpoint, NULL, VEC_BP, 0);
    f = catch_call(breakpoint, NULL);
    check_eq(((const uint8_t *)f.rip)[-1], 0xcc, "#BP: RIP is behind the instruction");
    expect("INT 4", software_overflow, NULL, VEC_OF, 0);
    expect("#GP of a selector", bad_selector, NULL, VEC_GP, 0xfff8);
    expect("#NP", absent_segment, NULL, VEC_NP, SEL_NOT_PRESENT);
    expect("#SS", absent_stack, NULL, VEC_SS, SEL_NOT_PRESENT);
    expect("#GP of an address", read_at, (void *)NONCANONICAL, VEC_GP, 0);
    expect("#GP of a jump", jump_to, (void *)NONCANONICAL, VEC_GP, 0);
}

static void no_fpu(void)
{
    uint64_t cr0 = read_cr0();

    write_cr0(cr0 | CR0_TS);
    expect("#NM of x87", fpu_insn, NULL, VEC_NM, 0);
    expect("#NM of SSE", sse_insn, NULL, VEC_NM, 0);
    write_cr0((cr0 | CR0_EM) & ~CR0_TS);
    expect("#NM with CR0.EM", fpu_insn, NULL, VEC_NM, 0);
    write_cr0(cr0);
    check_eq(catch_call(fpu_insn, NULL).vector, VEC_NONE, "x87 works again");
}

/* An error code that names an IDT entry; QEMU before 10.0 counts entries of 16 bytes as
 * two. */
static bool idt_error(uint32_t error, uint32_t vector)
{
    return error == (vector << 3 | 2) || error == (vector << 4 | 2);
}

static void page_fault(const char *name, void (*fn)(void *), void *at, uint32_t error)
{
    struct fault f = catch_call(fn, at);

    check_eq(f.vector, VEC_PF, "#PF %s: vector", name);
    check_eq(f.error, error, "#PF %s: error code", name);
    check_eq(f.cr2, (uintptr_t)at, "#PF %s: CR2", name);
}

static uint64_t user_read(uint64_t at)
{
    return *(volatile uint64_t *)at;
}
static uint64_t user_write(uint64_t at)
{
    *(volatile uint64_t *)at = 1;
    return 0;
}

static void page_faults(void)
{
    uint64_t *page = page_alloc(1);
    uint64_t *pte = pte_of((uintptr_t)page), old = *pte;
    struct fault f;

    page_fault("read, no table", read_at, (void *)HOLE_VA, 0);
    page_fault("write, no table", write_at, (void *)HOLE_VA, PF_WRITE);
    page_fault("fetch, no table", jump_to, (void *)HOLE_VA,
               rdmsr(MSR_EFER) & EFER_NXE ? PF_FETCH : 0);

    *pte = old & ~PTE_P;
    invlpg(page);
    page_fault("read, absent", read_at, page, 0);
    *pte = old & ~PTE_W;
    invlpg(page);
    page_fault("write, read-only", write_at, page, PF_PRESENT | PF_WRITE);
    check_eq(catch_call(read_at, page).vector, VEC_NONE, "a read-only page can be read");
    *pte = old & ~PTE_U;
    invlpg(page);
    user_call(user_read, (uintptr_t)page, &f);
    check(f.vector == VEC_PF && f.error == (PF_PRESENT | PF_USER),
          "#PF user read of a supervisor page (error %x)", f.error);
    user_call(user_write, (uintptr_t)page, &f);
    check(f.vector == VEC_PF && f.error == (PF_PRESENT | PF_USER | PF_WRITE),
          "#PF user write of a supervisor page (error %x)", f.error);
    *pte = old | 1ul << 51;
    invlpg(page);
    f = catch_call(read_at, page);
    /* QEMU leaves the P bit out. */
    check(f.vector == VEC_PF && (f.error | PF_PRESENT) == (PF_PRESENT | PF_RESERVED),
          "#PF reserved bit (error %x)", f.error);
    *pte = old;
    invlpg(page);
    if (cpuid(CPUID_EXT, 0).edx & CPUID_EXT_NX) {
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
        *pte = old | PTE_NX;
        *(uint8_t *)page = 0xc3;
        invlpg(page);
        page_fault("no-execute", jump_to, page, PF_PRESENT | PF_FETCH);
        *pte = old;
        invlpg(page);
        check_eq(catch_call(jump_to, page).vector, VEC_NONE, "an executable page runs");
    }
    *pte = old & ~(PTE_A | PTE_D);
    invlpg(page);
    read_at(page);
    check_eq(READ_ONCE(*pte) & (PTE_A | PTE_D), PTE_A, "a read sets A");
    write_at(page);
    check_eq(READ_ONCE(*pte) & (PTE_A | PTE_D), PTE_A | PTE_D, "a write sets D");
}

static uint64_t user_misaligned(uint64_t at)
{
    asm volatile("pushfq; orl $0x40000, (%%rsp); popfq" ::: "memory", "cc");
    return *(volatile uint32_t *)(at + 1);
}

static uint64_t user_hlt(uint64_t arg)
{
    asm volatile("hlt");
    return 0;
}
static uint64_t user_add(uint64_t arg)
{
    return arg + 1;
}
static uint64_t user_out(uint64_t arg)
{
    outb(0x80, 0);
    return 0;
}
static uint64_t user_cr(uint64_t arg)
{
    return read_cr0();
}
static uint64_t user_msr(uint64_t arg)
{
    return rdmsr(MSR_EFER);
}
static uint64_t user_int(uint64_t arg)
{
    asm volatile("int $0x20");
    return 0;
}

static void user_mode(void)
{
    struct fault f;
    uint64_t *page = page_alloc(1);
    static const struct {
        const char *name;
        uint64_t (*fn)(uint64_t);
    } privileged[] = {{"HLT", user_hlt},
                      {"OUT", user_out},
                      {"MOV from CR0", user_cr},
                      {"RDMSR", user_msr}};

    check_eq(user_call(user_add, 41, &f), 42, "ring 3 runs and returns");
    for (unsigned i = 0; i < ARRAY_LEN(privileged); i++) {
        user_call(privileged[i].fn, 0, &f);
        check(f.vector == VEC_GP && f.error == 0, "%s in ring 3 is #GP(0)",
              privileged[i].name);
    }
    user_call(user_int, 0, &f);
    check(f.vector == VEC_GP && idt_error(f.error, 0x20),
          "INT of a ring 0 gate: error %x", f.error);
    write_cr0(read_cr0() | CR0_AM);
    user_call(user_misaligned, (uintptr_t)page, &f);
    if (f.vector == VEC_NONE)
        skip("this processor does not check alignment", "#AC");
    else
        check(f.vector == VEC_AC && f.error == 0, "#AC: vector %u", f.vector);
    write_cr0(read_cr0() & ~CR0_AM);
}

static volatile uint32_t steps;
static uint64_t step_rips[16];

static void on_debug(struct regs *regs)
{
    if (steps < ARRAY_LEN(step_rips))
        step_rips[steps] = regs->rip;
    steps++;
    if (!(read_dr6() & DR6_BS))
        regs->rflags |= RFLAGS_RF;
}

/* Stepping over instructions that the hypervisor emulates must trap after each of them.
 */
static void single_step(void)
{
    uint32_t expected = 6;

    set_handler(VEC_DB, on_debug);
    steps = 0;
    write_dr6(0);
    asm volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
                 "nop\n"
                 "xorl %%eax, %%eax\n"
                 "cpuid\n"
                 "nop\n"
                 "pushfq\n" /* 5 */
                 "andl $~0x100, (%%rsp)\n"
                 "popfq\n" ::
                     : "eax", "ebx", "ecx", "edx", "memory", "cc");
    /* One trap after each instruction from the first NOP on; after the last POPFQ TF is
     * off, but the trap for it is still due. */
    expected += 1;
    check(steps == expected || steps == expected - 1, "single step: %u traps over CPUID",
          steps);
    check(read_dr6() & DR6_BS, "single step: DR6.BS");
    steps = 0;
    asm volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
                 "inb $0x61, %%al\n"
                 "nop\n"
                 "pushfq\n"
                 "andl $~0x100, (%%rsp)\n"
                 "popfq\n" ::
                     : "eax", "memory", "cc");
    check(steps == 5 || steps == 4, "single step: %u traps over IN", steps);
    steps = 0;
    asm volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
                 "sti\n" /* its trap comes with the interrupt shadow on */
                 "nop\n"
                 "pushfq\n"
                 "andl $~0x300, (%%rsp)\n"
                 "popfq\n" ::
                     : "memory", "cc");
    check(steps == 5 || steps == 4, "single step: %u traps over STI", steps);
    steps = 0;
    asm volatile("movl %%ss, %%eax\n"
                 "pushfq; orl $0x100, (%%rsp); popfq\n"
                 "movl %%eax, %%ss\n"
                 "cpuid\n" /* emulated in the shadow */
                 "pushfq\n"
                 "andl $~0x100, (%%rsp)\n"
                 "popfq\n" ::
                     : "eax", "ebx", "ecx", "edx", "memory", "cc");
    check(steps >= 3 && steps <= 5, "single step: %u traps over MOV SS", steps);
    set_handler(VEC_DB, NULL);
}

static void double_fault(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) saved, small;
    struct fault f;

    asm volatile("sidt %0" : "=m"(saved));
    small = saved;
    small.limit = 0x20 * 16 - 1; /* no gate 0x80: #GP with IDT bit */
    f = catch_call(idt_beyond, &small);
    asm volatile("lidt %0" ::"m"(saved));
    check(f.vector == VEC_GP && idt_error(f.error, 0x80),
          "INT beyond the IDT: #GP, error %x", f.error);
    small.limit = VEC_NP * 16 - 1; /* #GP has no gate either, #DF has */
    f = catch_call(idt_beyond, &small);
    asm volatile("lidt %0" ::"m"(saved));
    check(f.vector == VEC_DF && f.error == 0, "a fault while delivering #GP is #DF (%u)",
          f.vector);
}

void test_main(void)
{
    faults();
    no_fpu();
    page_faults();
    user_mode();
    single_step();
    double_fault();
}
