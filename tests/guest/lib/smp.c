/*
 * The other CPUs: they wait here for jobs. Started by INIT and SIPI with the APIC ids of
 * the MADT, or where there is no MADT by Xen's vCPU numbers. SPDX-License-Identifier:
 * GPL-2.0-or-later
 */
#include "xen.h"
#include "apic.h"

#define TRAMPOLINE    0x8000u
#define AP_STACK_SIZE 16384
#define MADT_ENTRIES  44
#define MADT_LAPIC    0
#define MADT_X2APIC   9
#define START_WAIT_MS 1000

void kit_ap_main(void);
extern const char ap_trampoline[], ap_trampoline_end[];
extern uint64_t ap_stack;

struct cpu cpus[MAX_CPUS];
uint32_t cpu_count;

static char stacks[MAX_CPUS][AP_STACK_SIZE] ALIGNED(16);
static volatile uint32_t starting;

void kit_ap_main(void)
{
    struct cpu *cpu = &cpus[starting];

    wrmsr(MSR_GS_BASE, PTR(cpu));
    traps_init_cpu(cpu->id);
    apic_enable();
    cpu->online = true;
    for (;;) {
        void (*job)(void *) = cpu->job;

        if (job) {
            job(cpu->job_arg);
            asm volatile("" ::: "memory");
            cpu->job = NULL;
        }
        cpu_relax();
    }
}

static bool start_one(uint32_t apic_id)
{
    struct cpu *cpu = &cpus[cpu_count];
    uint64_t start;

    *cpu = (struct cpu){.self = cpu, .id = cpu_count, .apic_id = apic_id};
    starting = cpu_count;
    ap_stack = PTR(stacks[cpu_count] + AP_STACK_SIZE);
    memcpy((void *)(uintptr_t)TRAMPOLINE, ap_trampoline,
           (size_t)(ap_trampoline_end - ap_trampoline));
    apic_icr_write(apic_id, APIC_DM_INIT | APIC_ICR_ASSERT);
    delay_us(10000);
    apic_icr_write(apic_id, APIC_DM_STARTUP | APIC_ICR_ASSERT | TRAMPOLINE >> 12);
    start = rdtsc();
    while (!cpu->online && rdtsc() - start < ms_to_tsc(START_WAIT_MS))
        cpu_relax();
    if (!cpu->online)
        return false;
    cpu_count++;
    return true;
}

/* APIC id of a usable processor entry, or -1. */
static int64_t entry_apic_id(const uint8_t *entry)
{
    uint32_t id, flags;

    if (entry[0] == MADT_LAPIC && entry[1] >= 8) {
        memcpy(&flags, entry + 4, 4);
        return flags & 1 ? entry[3] : -1;
    }
    if (entry[0] == MADT_X2APIC && entry[1] >= 16) {
        memcpy(&id, entry + 4, 4);
        memcpy(&flags, entry + 8, 4);
        return flags & 1 ? (int64_t)id : -1;
    }
    return -1;
}

static void start_from_madt(const struct acpi_header *madt)
{
    const uint8_t *base = (const uint8_t *)madt;

    for (uint32_t at = MADT_ENTRIES; at + 2 <= madt->length && base[at + 1] >= 2;
         at += base[at + 1]) {
        int64_t id = entry_apic_id(base + at);

        if (id >= 0 && id != cpus[0].apic_id && cpu_count < MAX_CPUS &&
            !start_one((uint32_t)id))
            print("# APIC id %ld did not start\n", id);
    }
}

uint32_t smp_start(void)
{
    const struct acpi_header *madt = acpi_find("APIC");

    if (cpu_count > 1)
        return cpu_count;
    apic_enable();
    cpus[0].apic_id = apic_id();
    if (madt)
        start_from_madt(madt);
    else if (env.xen)
        /* A vCPU's APIC id is twice its number under Xen. */
        for (uint32_t v = 1; v < MAX_CPUS && vcpu_op(VCPUOP_is_up, v, NULL) >= 0; v++)
            start_one(v * 2);
    return cpu_count;
}

void cpu_start(uint32_t cpu, void (*fn)(void *), void *arg)
{
    cpus[cpu].job_arg = arg;
    asm volatile("" ::: "memory");
    cpus[cpu].job = fn;
}

void cpu_wait(uint32_t cpu)
{
    while (cpus[cpu].job)
        cpu_relax();
}

void cpu_run(uint32_t cpu, void (*fn)(void *), void *arg)
{
    if (cpu == this_cpu()->id) {
        fn(arg);
        return;
    }
    cpu_start(cpu, fn, arg);
    cpu_wait(cpu);
}
