/*
 * IDT, TSS, dispatch of exceptions and interrupts, and the three ways to survive an
 * exception: a handler, the table of single instructions that may fault, catch_call().
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kit.h"

#define GATE_INTERRUPT 0x8e
#define GATE_USER      0xee
#define TSS_AVAILABLE  0x89ull
#define IST_STACK_SIZE 4096

struct gate {
    uint16_t offset_0;
    uint16_t selector;
    uint8_t ist, type;
    uint16_t offset_16;
    uint32_t offset_32;
    uint32_t reserved;
} __attribute__((packed));

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap_base;
} __attribute__((packed));

struct extable_entry {
    uint64_t insn, resume;
};

extern const char vector_stubs[];
extern uint64_t gdt_tss[];
extern const char gdt[], gdt_end[];
extern const struct extable_entry extable_start[], extable_end[];

long catch_enter(struct catch_frame *frame, void (*fn)(void *), void *arg);
void catch_leave(struct catch_frame *frame) __attribute__((noreturn));
uint64_t user_enter(void *kernel_rsp, const void *rip, void *rsp, uint64_t arg);
void user_return(uint64_t value) __attribute__((noreturn));
void trap_dispatch(struct regs *regs);

static struct gate idt[256] ALIGNED(4096);
static struct tss tss[MAX_CPUS] ALIGNED(128);
static char ist_stacks[MAX_CPUS][2][IST_STACK_SIZE] ALIGNED(16);
static irq_handler handlers[256];
static char user_stack[2 * PAGE_SIZE] ALIGNED(4096);

volatile uint32_t vector_count[256];

static void set_gate(unsigned vector, uint8_t type, uint8_t ist)
{
    uint64_t target = (uintptr_t)vector_stubs + vector * 16ul;

    idt[vector] = (struct gate){
        .offset_0 = (uint16_t)target,
        .selector = SEL_CODE64,
        .ist = ist,
        .type = type,
        .offset_16 = (uint16_t)(target >> 16),
        .offset_32 = (uint32_t)(target >> 32),
    };
}

void traps_init(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        set_gate(vector, GATE_INTERRUPT, 0);
    set_gate(VEC_DF, GATE_INTERRUPT, 1);
    set_gate(VEC_NMI, GATE_INTERRUPT, 2);
    set_gate(VEC_BP, GATE_USER, 0);
    set_gate(VEC_OF, GATE_USER, 0);
    set_gate(VEC_USER_RETURN, GATE_USER, 0);
}

void traps_init_cpu(uint32_t cpu)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof(idt) - 1, (uintptr_t)idt},
                              gdtr = {(uint16_t)(gdt_end - gdt - 1), (uintptr_t)gdt};
    uint64_t base = (uintptr_t)&tss[cpu];

    tss[cpu].ist[0] = (uintptr_t)ist_stacks[cpu][0] + IST_STACK_SIZE;
    tss[cpu].ist[1] = (uintptr_t)ist_stacks[cpu][1] + IST_STACK_SIZE;
    tss[cpu].iomap_base = sizeof(struct tss);
    /* 16-byte system descriptor: limit, base 0-23, type, base 24-31, base 32-63. */
    gdt_tss[cpu * 2] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 |
                       TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    gdt_tss[cpu * 2 + 1] = base >> 32;
    asm volatile("lgdt %0" ::"m"(gdtr));
    asm volatile("lidt %0" ::"m"(idtr));
    asm volatile("ltr %w0" ::"r"(SEL_TSS(cpu)));
}

void set_handler(unsigned vector, irq_handler handler)
{
    handlers[vector] = handler;
}

static void dump(const struct regs *r)
{
    print("# trap %lu error %lx at %lx cs %lx rflags %lx cr2 %lx\n", r->vector, r->error,
          r->rip, r->cs, r->rflags, read_cr2());
    print("# rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx,
          r->rdx);
    print("# rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", r->rsi, r->rdi, r->rbp,
          r->rsp);
    print("# r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", r->r8, r->r9, r->r10,
          r->r11);
    print("# r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", r->r12, r->r13, r->r14,
          r->r15);
}

void trap_dispatch(struct regs *regs)
{
    struct catch_frame *frame;

    vector_count[regs->vector]++;
    if (handlers[regs->vector]) {
        handlers[regs->vector](regs);
        return;
    }
    if (regs->vector == VEC_USER_RETURN && (regs->cs & 3) == 3)
        user_return(regs->rax);
    for (const struct extable_entry *e = extable_start; e < extable_end; e++) {
        if (e->insn == regs->rip && regs->vector < 32) {
            regs->r15 = regs->vector | regs->error << 16;
            regs->rip = e->resume;
            return;
        }
    }
    frame = this_cpu()->catch;
    if (frame && regs->vector < 32) {
        frame->fault = (struct fault){
            .vector = (uint32_t)regs->vector,
            .error = (uint32_t)regs->error,
            .rip = regs->rip,
            .cr2 = read_cr2(),
            .rsp = regs->rsp,
            .rflags = regs->rflags,
        };
        catch_leave(frame);
    }
    dump(regs);
    panic("unexpected vector %lu at %lx", regs->vector, regs->rip);
}

struct fault catch_call(void (*fn)(void *), void *arg)
{
    struct cpu *cpu = this_cpu();
    struct catch_frame frame = {.fault = {.vector = VEC_NONE}}, *outer = cpu->catch;
    uint64_t flags = read_flags();

    cpu->catch = &frame;
    catch_enter(&frame, fn, arg);
    /* The gate has cleared IF and TF may be anything: go back to how the caller ran. */
    asm volatile("pushq %0; popfq" ::"r"(flags) : "memory", "cc");
    this_cpu()->catch = outer;
    return frame.fault;
}

struct user_job {
    uint64_t (*fn)(uint64_t);
    uint64_t arg, result;
};

/* Ring 3 part: call the function, come back by the gate that ring 3 may use. */
static __attribute__((naked)) void user_stub(void)
{
    asm volatile("movq 8(%rdi), %rax\n"
                 "movq 0(%rdi), %rcx\n"
                 "movq %rax, %rdi\n"
                 "call *%rcx\n"
                 "int $0x30\n"
                 "ud2\n");
}

static void enter_user(void *opaque)
{
    struct user_job *job = opaque;

    job->result =
        user_enter((char *)&tss[this_cpu()->id] + offsetof(struct tss, rsp), user_stub,
                   user_stack + sizeof(user_stack) - 16, (uintptr_t)job);
}

uint64_t user_call(uint64_t (*fn)(uint64_t), uint64_t arg, struct fault *fault)
{
    struct user_job job = {.fn = fn, .arg = arg};
    struct fault f = catch_call(enter_user, &job);

    asm volatile("movl %0, %%ds; movl %0, %%es" ::"r"(SEL_DATA));
    if (fault)
        *fault = f;
    return job.result;
}

uint32_t rdmsr_catch(uint32_t msr, uint64_t *value)
{
    FAULT_REG(fault);
    uint32_t low = 0, high = 0;

    asm volatile(INSN_CATCH("rdmsr")
                 : FAULT_OUT(fault), "+a"(low), "+d"(high)
                 : "c"(msr)
                 : "memory");
    *value = (uint64_t)high << 32 | low;
    return fault;
}

uint32_t wrmsr_catch(uint32_t msr, uint64_t value)
{
    FAULT_REG(fault);

    asm volatile(INSN_CATCH("wrmsr")
                 : FAULT_OUT(fault)
                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                 : "memory");
    return fault;
}
