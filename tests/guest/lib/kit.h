/*
 * The test kernels' kit: start of day, output, TAP, traps, CPUs, memory. A test program
 * gives `const char test_title[]` and `void test_main(void)`; everything else is here.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_KIT_H
#define GUEST_KIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "selectors.h"
#include "x86.h"

#define PAGE_SIZE        4096UL
#define ARRAY_LEN(a)     (sizeof(a) / sizeof((a)[0]))
#define ALIGNED(n)       __attribute__((aligned(n)))
#define PRINTF(f, a)     __attribute__((format(printf, f, a)))
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* ---- what each program supplies ---- */
extern const char test_title[];
void test_main(void);

/* ---- where we run (start.c) ---- */
enum boot_protocol { BOOT_MULTIBOOT, BOOT_PVH, BOOT_UNKNOWN };
struct environment {
    enum boot_protocol boot;
    bool xen;             /* Xen's CPUID leaves are there */
    uint32_t xen_base;    /* first of them */
    uint32_t xen_version; /* major << 16 | minor */
    bool dom0;            /* start_info says SIF_INITDOMAIN */
    uint64_t rsdp;        /* guest-physical address, 0 if unknown */
    char cmdline[256];
};
extern struct environment env;

/* Value of NAME=value on the command line as a number, or fallback. */
uint64_t option_u64(const char *name, uint64_t fallback);
bool option_present(const char *name);

/* ---- output (console.c, print.c) ---- */
void console_init(void);
void console_write(const char *text, size_t length);
void print(const char *format, ...) PRINTF(1, 2);
int format_text(char *buffer, size_t size, const char *format, ...) PRINTF(3, 4);
int vformat_text(char *buffer, size_t size, const char *format, va_list args)
    PRINTF(3, 0);
void *memset(void *to, int value, size_t length);
void *memcpy(void *to, const void *from, size_t length);
int memcmp(const void *a, const void *b, size_t length);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/* ---- TAP (tap.c): names are static text; details go into the format ---- */
bool check(bool good, const char *format, ...) PRINTF(2, 3);
void skip(const char *reason, const char *format, ...) PRINTF(2, 3);
/* The value is printed when it differs. */
bool check_eq(uint64_t got, uint64_t want, const char *format, ...) PRINTF(3, 4);
/* Print the plan and power off; never returns. */
void finish(void) __attribute__((noreturn));
void panic(const char *format, ...) PRINTF(1, 2) __attribute__((noreturn));
void power_off(void) __attribute__((noreturn));

/* ---- traps (traps.c) ---- */
enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
    VEC_USER_RETURN = 0x30, /* ring 3 comes back by this one */
    VEC_NONE = 256,         /* no exception happened */
};
struct regs { /* as pushed by common_entry */
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
struct fault { /* what catch_call() caught */
    uint32_t vector;
    uint32_t error;
    uint64_t rip, cr2, rsp, rflags;
};
struct catch_frame {
    uint64_t saved[7];
    struct fault fault;
};
typedef void (*irq_handler)(struct regs *regs);

void traps_init(void);
void traps_init_cpu(uint32_t cpu);
/* Handler of a vector from 32 up, or of an exception (tried before anything is caught).
 */
void set_handler(unsigned vector, irq_handler handler);
extern volatile uint32_t vector_count[256];
/* Call fn(arg); an exception in it ends the call and is returned. vector VEC_NONE: none.
 */
struct fault catch_call(void (*fn)(void *), void *arg);
/* Run fn in ring 3 with a stack of its own; *fault says how it ended if that is not NULL.
 */
uint64_t user_call(uint64_t (*fn)(uint64_t), uint64_t arg, struct fault *fault);
/* Same for one instruction: see INSN_FAULT. Vector | error << 16, or VEC_NONE. */
#define FAULT_VECTOR(f) ((f)&0xffff)
#define FAULT_ERROR(f)  ((f) >> 16)
/* After `insn` (with local label semantics) %0 = `fault` stays VEC_NONE or gets its
 * fault. */
#define INSN_CATCH(insn)                                                                 \
    "movl $256, %k[fault]\n1: " insn "\n2:\n"                                            \
    ".pushsection .extable, \"a\"\n.quad 1b, 2b\n.popsection\n"
#define FAULT_OUT(f) [fault] "=&r"(f)
/* The handler leaves the fault in the register that the table names: always %r15. */
#define FAULT_REG(name) register uint32_t name asm("r15")

/* ---- CPUs (smp.c) ---- */
struct cpu {
    struct cpu *self; /* at GS:0 */
    uint32_t id, apic_id;
    struct catch_frame *catch;
    void *volatile job_arg;
    void (*volatile job)(void *);
    volatile bool online;
};
static inline struct cpu *this_cpu(void)
{
    struct cpu *cpu;

    asm("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}
extern struct cpu cpus[MAX_CPUS];
extern uint32_t cpu_count; /* online */
/* Start all other CPUs that the firmware or Xen names; returns how many are online. */
uint32_t smp_start(void);
/* Run fn(arg) on a CPU and wait for its end (start) or not. */
void cpu_run(uint32_t cpu, void (*fn)(void *), void *arg);
void cpu_start(uint32_t cpu, void (*fn)(void *), void *arg);
void cpu_wait(uint32_t cpu);

/* ---- memory (memory.c) ---- */
void *page_alloc(size_t pages); /* zeroed; panics when the pool is empty */
extern char image_end[];
#define GFN(p) ((uint64_t)(uintptr_t)(p) >> 12)
/* Make 2 MiB-aligned guest-physical range reachable at the same address. */
void map_identity(uint64_t gpa, uint64_t size, bool cached);
/* Split the 2 MiB page round va (below 4 GiB) and return its 4 KiB entry. */
uint64_t *pte_of(uint64_t va);
/* A 4 KiB hole in the guest-physical map, with no RAM behind it. */
uint64_t unused_gfn(uint32_t index);

/* ---- ACPI (acpi.c) ---- */
struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));
const struct acpi_header *acpi_find(const char *signature);

/* ---- time (time.c) ---- */
void time_init(void);
uint64_t tsc_per_ms(void);
void delay_us(uint64_t us);
static inline uint64_t ms_to_tsc(uint64_t ms)
{
    return ms * tsc_per_ms();
}
/* Wait with interrupts on until *value differs from old or ms are over; true if it
 * differs. */
bool wait_change(volatile uint32_t *value, uint32_t old, uint32_t ms);

#endif
