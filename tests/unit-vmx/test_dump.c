/* What is said about a refused entry: a guest's state that is right, and each rule of the
 * Intel SDM vol 3, 27.3.1 broken by itself. SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The processor's part is played here: fields of the VMCS, capability MSRs. */
#define vmread processor_vmread
#define rdmsr  processor_rdmsr
#include "vmx/vmcs.h"
#include "cpu/x86.h"
#undef vmread
#undef rdmsr

static uint64_t fields[0x7000];

static uint64_t vmread(unsigned int field)
{
    return fields[field];
}

static uint64_t rdmsr(uint32_t msr)
{
    return msr == MSR_VMX_CR0_FIXED1 ? 0xffffffff : 0x7727ff;
}

static char said[4096];

#define printk fake_printk
static __attribute__((format(printf, 1, 2))) void fake_printk(const char *format, ...)
{
    size_t used = strlen(said);
    va_list args;

    va_start(args, format);
    vsnprintf(said + used, sizeof(said) - used, format, args);
    va_end(args);
}

struct vmx_caps vmx_caps = {.cr0_fixed0 = 0x80000021, .cr4_fixed0 = 0x2000};

struct vmx_vcpu *vmcs_open(struct vmx_vcpu *s)
{
    return s;
}

void vmcs_close(struct vmx_vcpu *s, struct vmx_vcpu *before)
{
}

void ept_dump(uint64_t root_maddr, uint64_t gpa)
{
}

#include "vmx/dump.c"

/* A 64-bit kernel. */
static int set_up(void **state)
{
    memset(fields, 0, sizeof(fields));
    for (unsigned int i = ES; i <= GS; i++) {
        fields[GUEST_ES_AR + 2 * i] = i == CS ? 0xa09b : 0xc093;
        fields[GUEST_ES_LIMIT + 2 * i] = 0xffffffff;
    }
    fields[GUEST_ES_AR + 2 * LDTR] = AR_UNUSABLE;
    fields[GUEST_ES_AR + 2 * TR] = 0x8b;
    fields[GUEST_ES_LIMIT + 2 * TR] = 0x67;
    fields[GUEST_CR0] = 0x80050033;
    fields[GUEST_CR4] = 0x26a0;
    fields[GUEST_EFER] = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    fields[ENTRY_CONTROLS] = ENTRY_IA32E;
    fields[GUEST_RFLAGS] = 0x202;
    fields[GUEST_RIP] = 0xffffffff81000000;
    fields[GUEST_DR7] = 0x400;
    fields[VMCS_LINK_POINTER] = ~0ull;
    return 0;
}

static unsigned int failures(void)
{
    unsigned int n = 0;

    said[0] = 0;
    vmx_explain_failure(NULL, EXIT_REASON_ENTRY_FAILED | 33);
    for (const char *at = said; (at = strstr(at, "  fails: ")); at++)
        n++;
    return n;
}

static void broken(void **state, unsigned int field, uint64_t val, const char *rule)
{
    uint64_t old = fields[field];
    char line[128];

    snprintf(line, sizeof(line), "  fails: %s\n", rule);
    fields[field] = val;
    if (failures() != 1 || !strstr(said, line))
        fail_msg("field %x = %lx: not '%s' alone, but:\n%s", field, (unsigned long)val,
                 rule, said);
    fields[field] = old;
}

static void test_right_state(void **state)
{
    assert_int_equal(failures(), 0);
    assert_non_null(strstr(said, "Basic reason 33"));
    said[0] = 0;
    fields[VM_INSTRUCTION_ERROR] = 7;
    vmx_explain_failure(NULL, 0);
    assert_non_null(strstr(said, "VM-instruction error 7"));
}

static void test_control(void **state)
{
    broken(state, GUEST_CR0, 0x80050013, "CR0 has the bits that are fixed to 1");
    broken(state, GUEST_CR0, 1ull << 32 | 0x80050033,
           "CR0 has no bit that is fixed to 0");
    broken(state, GUEST_CR4, 0x6a0, "CR4 has the bits that are fixed to 1");
    broken(state, GUEST_CR4, 1 << 30 | 0x26a0, "CR4 has no bit that is fixed to 0");
    broken(state, GUEST_CR4, 0x2680, "a 64-bit guest has CR0.PG and CR4.PAE");
    broken(state, GUEST_DEBUGCTL, 1 << 3, "DEBUGCTL has no reserved bit");
    broken(state, GUEST_DR7, 1ull << 32, "DR7 has 32 bits");
    broken(state, GUEST_EFER, 0x1d01, "EFER has no reserved bit");
    broken(state, GUEST_EFER, 0xc01, "with paging, EFER.LME is EFER.LMA");
    broken(state, GUEST_SYSENTER_ESP, 1ull << 47, "SYSENTER_ESP is canonical");
    broken(state, GUEST_SYSENTER_EIP, 1ull << 63, "SYSENTER_EIP is canonical");
}

static void test_segments(void **state)
{
    broken(state, GUEST_ES_AR + 2 * TR, AR_UNUSABLE | 0x8b, "CS and TR are usable");
    broken(state, GUEST_ES_BASE + 2 * SS, 1ull << 32, "base has 32 bits");
    broken(state, GUEST_ES_BASE + 2 * FS, 1ull << 47, "base is canonical");
    broken(state, GUEST_ES_AR + 2 * DS, 0xc083, "the S bit");
    broken(state, GUEST_ES_AR + 2 * DS, 0xc013, "present");
    broken(state, GUEST_ES_AR + 2 * DS, 0xc193, "no reserved access right");
    broken(state, GUEST_ES_LIMIT + 2 * DS, 0xfffff000, "byte limit: G is 0");
    broken(state, GUEST_ES_AR + 2 * DS, 0x4093, "large limit: G is 1");
    broken(state, GUEST_ES_AR + 2 * DS, 0xc092, "accessed");
    broken(state, GUEST_ES_AR + 2 * SS, 0xc09b, "type of SS");
    broken(state, GUEST_ES_AR + 2 * ES, 0xc099, "code is readable");
    broken(state, GUEST_ES_AR + 2 * CS, 0xa0fb, "CS.DPL is SS.DPL");
    broken(state, GUEST_ES_AR + 2 * CS, 0xe09b, "CS.L excludes CS.D");
    broken(state, GUEST_GDTR_BASE, 1ull << 60, "GDTR base is canonical");
    broken(state, GUEST_IDTR_BASE, 1ull << 60, "IDTR base is canonical");
}

static void test_rest(void **state)
{
    broken(state, GUEST_RIP, 1ull << 47, "RIP fits the code segment");
    broken(state, GUEST_RFLAGS, 0x200, "RFLAGS' reserved bits");
    broken(state, GUEST_ACTIVITY, 1, "active");
    broken(state, VMCS_LINK_POINTER, 0, "VMCS link pointer");
    broken(state, GUEST_INTERRUPTIBILITY, 3, "one shadow at a time");
    fields[GUEST_INTERRUPTIBILITY] = HVM_SHADOW_STI;
    broken(state, GUEST_RFLAGS, 2, "the shadow of STI needs IF");
    broken(state, ENTRY_INTR_INFO, INTR_INFO_VALID | 0x30,
           "an interrupt or NMI is not delivered in a shadow");
    fields[GUEST_INTERRUPTIBILITY] = 0;
    fields[ENTRY_INTR_INFO] = INTR_INFO_VALID | 0x30;
    broken(state, GUEST_RFLAGS, 2, "an interrupt is delivered with IF only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_right_state, set_up),
        cmocka_unit_test_setup(test_control, set_up),
        cmocka_unit_test_setup(test_segments, set_up),
        cmocka_unit_test_setup(test_rest, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
