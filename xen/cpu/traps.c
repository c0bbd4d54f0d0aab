/* Exceptions in the hypervisor: fixed up where the code expects them, else the end.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/traps.h"
#include "cpu/nmi.h"
#include "cpu/stub.h"
#include "cpu/x86.h"
#include "domain/domain.h"
#include "mm/paging.h"
#include "lib/printk.h"
#include "lib/symbols.h"

#define TRACE_WORDS 512 /* of the stack that are looked at for return addresses */
#define DUMP_WORDS  24

struct extable_entry {
    int32_t from, to; /* relative to the field itself */
};
extern const struct extable_entry extable_start[], extable_end[];

static const char *const names[32] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "device not available",
    "double fault",
    "vector 9",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection fault",
    "page fault",
    "vector 15",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization exception",
    "control protection",
};

static uint64_t extable_target(const int32_t *field)
{
    return (uintptr_t)field + (int64_t)*field;
}

/* Is it an access that may fault? Then go on where the code says. */
static bool fixup(struct trap_frame *f)
{
    size_t count =
        ((uintptr_t)extable_end - (uintptr_t)extable_start) / sizeof(*extable_start);

    for (const struct extable_entry *e = extable_start; count--; e++) {
        if (extable_target(&e->from) == f->rip) {
            f->rip = extable_target(&e->to);
            return true;
        }
    }
    return false;
}

static bool readable(uint64_t address)
{
    uint64_t word;

    return !(address & 7) && !copy_safe(&word, (void *)address, sizeof(word));
}

void dump_stack(uint64_t rsp)
{
    const uint64_t *sp = (const uint64_t *)rsp;

    printk("Stack at %p:", (void *)rsp);
    for (unsigned int i = 0; i < DUMP_WORDS && readable((uintptr_t)&sp[i]); i++)
        printk("%s%016lx", i % 4 ? " " : "\n  ", sp[i]);
    printk("\nPossible callers:\n");
    for (unsigned int i = 0; i < TRACE_WORDS && readable((uintptr_t)&sp[i]); i++) {
        if (is_text(sp[i]))
            printk("  [<%016lx>] %pS\n", sp[i], (void *)sp[i]);
    }
}

static void dump_registers(const struct trap_frame *f)
{
    printk("RIP %04lx:%016lx %pS\n", f->cs, f->rip, (void *)f->rip);
    printk("RSP %04lx:%016lx RFLAGS %08lx error %lx\n", f->ss, f->rsp, f->rflags,
           f->error);
    printk("rax %016lx rbx %016lx rcx %016lx\n", f->rax, f->rbx, f->rcx);
    printk("rdx %016lx rsi %016lx rdi %016lx\n", f->rdx, f->rsi, f->rdi);
    printk("rbp %016lx r8  %016lx r9  %016lx\n", f->rbp, f->r8, f->r9);
    printk("r10 %016lx r11 %016lx r12 %016lx\n", f->r10, f->r11, f->r12);
    printk("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
}

static void dump_current(void)
{
    struct vcpu *v = current;

    if (!v || !v->domain)
        printk("No vCPU is current\n");
    else
        printk("Current: domain %u vCPU %u\n", v->domain->id, v->id);
}

void dump_state(const struct trap_frame *f)
{
    printk("CPU %u, cr0 %lx cr2 %lx cr3 %lx cr4 %lx\n", this_cpu()->id, read_cr0(),
           read_cr2(), read_cr3(), read_cr4());
    dump_current();
    if (f)
        dump_registers(f);
    dump_stack(f ? f->rsp : (uintptr_t)__builtin_frame_address(0));
}

/* Bank registers of the machine check architecture: APM volume 2, 9.3. */
static void dump_machine_check(void)
{
    uint64_t cap, status, addr;

    if (rdmsr_safe(0x179, &cap))
        return;
    for (unsigned int i = 0; i < (cap & 0xff); i++) {
        if (rdmsr_safe(0x401 + 4 * i, &status) || !(status >> 63))
            continue;
        addr = 0;
        if (status & BIT(58))
            rdmsr_safe(0x402 + 4 * i, &addr);
        printk("Machine check bank %u: status %016lx address %lx\n", i, status, addr);
    }
}

void trap_dispatch(struct trap_frame *f)
{
    if (f->vector == X86_NMI) {
        nmi_handle(f);
        return;
    }
    if (f->vector != X86_DF && f->vector != X86_MC && (fixup(f) || stub_fixup(f)))
        return;
    panic_begin();
    printk("\nFatal %s (vector %lu) in the hypervisor\n",
           names[f->vector & 31] ? names[f->vector & 31] : "exception", f->vector);
    if (f->vector == X86_MC)
        dump_machine_check();
    if ((f->vector == X86_PF || f->vector == X86_DF) && stack_guard_hit(read_cr2()))
        printk("Stack overflow: access to guard page %lx\n", read_cr2());
    dump_state(f);
    panic("%s at %pS", names[f->vector & 31] ? names[f->vector & 31] : "exception",
          (void *)f->rip);
}

size_t copy_safe(void *dst, const void *src, size_t bytes)
{
    __asm__ volatile("1: rep movsb\n"
                     "2:\n\t" EXTABLE(1b, 2b)
                     : "+D"(dst), "+S"(src), "+c"(bytes)
                     :
                     : "memory");
    return bytes;
}
