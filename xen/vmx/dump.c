/* A VMCS in words, for crashed guests; and why an entry was refused, by the manual's
 * checks (Intel SDM vol 3, 27.3.1). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Left out of the checks: what no guest and no path of ours can get wrong (host state and
 * control fields, which the VM-instruction error names).
 */
#include "vmx/vmcs.h"
#include "cpu/x86.h"
#include "lib/printk.h"

static const char *const seg_names[] = {"es", "cs",   "ss", "ds",   "fs",
                                        "gs", "ldtr", "tr", "gdtr", "idtr"};
enum { ES, CS, SS, DS, FS, GS, LDTR, TR, GDTR, IDTR };

static void dump_segments(void)
{
    for (unsigned int i = ES; i <= IDTR; i++) {
        bool table = i >= GDTR;

        printk(" %-4s %04lx ar %05lx limit %08lx base %016lx\n", seg_names[i],
               table ? 0 : vmread(GUEST_ES_SELECTOR + 2 * i),
               table ? 0 : vmread(GUEST_ES_AR + 2 * i), vmread(GUEST_ES_LIMIT + 2 * i),
               vmread(GUEST_ES_BASE + 2 * i));
    }
}

static void dump_fields(void)
{
    static const struct {
        enum vmcs_field field;
        const char *name;
    } fields[] = {
        {PIN_CONTROLS, "pin"},
        {PROC_CONTROLS, "proc"},
        {PROC_CONTROLS2, "proc2"},
        {EXIT_CONTROLS, "exit"},
        {ENTRY_CONTROLS, "entry"},
        {EXCEPTION_BITMAP, "exceptions"},
        {ENTRY_INTR_INFO, "inject"},
        {ENTRY_INTR_ERROR, "error"},
        {ENTRY_INSN_LEN, "length"},
        {EXIT_REASON, "reason"},
        {EXIT_QUALIFICATION, "qualification"},
        {GUEST_PHYSICAL_ADDRESS, "gpa"},
        {GUEST_LINEAR_ADDRESS, "gva"},
        {EXIT_INTR_INFO, "intr info"},
        {IDT_VECTORING_INFO, "vectoring"},
        {GUEST_CR0, "cr0"},
        {CR0_SHADOW, "cr0 shadow"},
        {GUEST_CR3, "cr3"},
        {GUEST_CR4, "cr4"},
        {CR4_SHADOW, "cr4 shadow"},
        {GUEST_EFER, "efer"},
        {GUEST_PAT, "pat"},
        {GUEST_DR7, "dr7"},
        {GUEST_DEBUGCTL, "debugctl"},
        {GUEST_RIP, "rip"},
        {GUEST_RSP, "rsp"},
        {GUEST_RFLAGS, "rflags"},
        {GUEST_INTERRUPTIBILITY, "interruptibility"},
        {GUEST_ACTIVITY, "activity"},
        {GUEST_PENDING_DEBUG, "pending debug"},
        {EPT_POINTER, "eptp"},
        {GUEST_PDPTE0, "pdpte0"},
        {GUEST_PDPTE0 + 2, "pdpte1"},
        {GUEST_PDPTE0 + 4, "pdpte2"},
        {GUEST_PDPTE0 + 6, "pdpte3"},
    };

    printk("VMCS:");
    for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++)
        printk("%s%s %#lx", i % 4 ? ", " : "\n ", fields[i].name,
               vmread(fields[i].field));
    printk("\n");
    dump_segments();
}

void vmx_dump(struct vcpu *v)
{
    struct vmx_vcpu *s = to_vmx(v), *before = vmcs_open(s);

    dump_fields();
    ept_dump(v->domain->p2m.root_maddr, vmread(GUEST_PHYSICAL_ADDRESS));
    vmcs_close(s, before);
}

/* ---- checks ---- */

static void check(bool good, const char *rule)
{
    if (!good)
        printk("  fails: %s\n", rule);
}

static bool canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static void check_control(void)
{
    uint64_t cr0 = vmread(GUEST_CR0), cr4 = vmread(GUEST_CR4), efer = vmread(GUEST_EFER);
    uint64_t debugctl = vmread(GUEST_DEBUGCTL);
    bool ia32e = vmread(ENTRY_CONTROLS) & ENTRY_IA32E;
    uint64_t fixed0 = vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG);

    check((cr0 & fixed0) == fixed0, "CR0 has the bits that are fixed to 1");
    check(!(cr0 & ~rdmsr(MSR_VMX_CR0_FIXED1)), "CR0 has no bit that is fixed to 0");
    check(!(cr0 & CR0_PG) || (cr0 & CR0_PE), "CR0.PG needs CR0.PE");
    check((cr4 & vmx_caps.cr4_fixed0) == vmx_caps.cr4_fixed0,
          "CR4 has the bits that are fixed to 1");
    check(!(cr4 & ~rdmsr(MSR_VMX_CR4_FIXED1)), "CR4 has no bit that is fixed to 0");
    check(!ia32e || ((cr0 & CR0_PG) && (cr4 & CR4_PAE)),
          "a 64-bit guest has CR0.PG and CR4.PAE");
    check(ia32e || !(cr4 & CR4_PCIDE), "CR4.PCIDE needs a 64-bit guest");
    check(!(debugctl & ~0xdfc3ull), "DEBUGCTL has no reserved bit");
    check(!(vmread(GUEST_DR7) >> 32), "DR7 has 32 bits");
    check(!(efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)),
          "EFER has no reserved bit");
    check(!!(efer & EFER_LMA) == ia32e, "EFER.LMA is the 64-bit guest control");
    check(!(cr0 & CR0_PG) || !!(efer & EFER_LMA) == !!(efer & EFER_LME),
          "with paging, EFER.LME is EFER.LMA");
    check(canonical(vmread(GUEST_SYSENTER_ESP)), "SYSENTER_ESP is canonical");
    check(canonical(vmread(GUEST_SYSENTER_EIP)), "SYSENTER_EIP is canonical");
}

static void check_segment(unsigned int i, bool v86)
{
    uint32_t ar = vmread(GUEST_ES_AR + 2 * i);
    uint64_t base = vmread(GUEST_ES_BASE + 2 * i);
    uint32_t limit = vmread(GUEST_ES_LIMIT + 2 * i);
    unsigned int type = ar & 15;
    bool usable = !(ar & AR_UNUSABLE);

    if (!usable && i != CS && i != TR)
        return;
    printk(" %s:\n", seg_names[i]);
    check(usable, "CS and TR are usable");
    if (v86 && i <= GS) {
        check(base == (vmread(GUEST_ES_SELECTOR + 2 * i) << 4), "v86: base");
        check(limit == 0xffff, "v86: limit");
        check(ar == 0xf3, "v86: access rights");
        return;
    }
    check(i >= FS || !(base >> 32), "base has 32 bits");
    check(i < FS || canonical(base), "base is canonical");
    check(!!(ar & 0x10) == (i <= GS), "the S bit");
    check(ar & 0x80, "present");
    check(!(ar & 0xfffe0f00), "no reserved access right");
    check((limit & 0xfff) == 0xfff || !(ar & 0x8000), "byte limit: G is 0");
    check(!(limit >> 20) || (ar & 0x8000), "large limit: G is 1");
    if (i <= GS)
        check(type & 1, "accessed");
    if (i == CS)
        check(type == 3 || type >= 9, "type of CS");
    else if (i == SS)
        check(type == 3 || type == 7, "type of SS");
    else if (i <= GS)
        check(!(type & 8) || (type & 2), "code is readable");
    else
        check(i == LDTR ? type == 2 : type == 3 || type == 11, "type");
}

static void check_segments(void)
{
    uint32_t cs = vmread(GUEST_ES_AR + 2 * CS), ss = vmread(GUEST_ES_AR + 2 * SS);
    unsigned int cs_dpl = cs >> 5 & 3, ss_dpl = ss >> 5 & 3, type = cs & 15;
    bool v86 = vmread(GUEST_RFLAGS) & RFLAGS_VM;
    bool ia32e = vmread(ENTRY_CONTROLS) & ENTRY_IA32E;

    for (unsigned int i = ES; i <= TR; i++)
        check_segment(i, v86);
    if (v86)
        return;
    check(type != 3 || cs_dpl == 0, "data-type CS has DPL 0");
    check((type != 9 && type != 11) || cs_dpl == ss_dpl, "CS.DPL is SS.DPL");
    check((type != 13 && type != 15) || cs_dpl <= ss_dpl, "conforming: CS.DPL <= SS.DPL");
    check((vmread(GUEST_CR0) & CR0_PE) || ss_dpl == 0, "real mode: SS.DPL is 0");
    check(!ia32e || !(cs & 0x2000) || !(cs & 0x4000), "CS.L excludes CS.D");
    check(!ia32e || (vmread(GUEST_ES_AR + 2 * TR) & 15) == 11, "64-bit: busy 64-bit TSS");
    check(canonical(vmread(GUEST_GDTR_BASE)), "GDTR base is canonical");
    check(canonical(vmread(GUEST_IDTR_BASE)), "IDTR base is canonical");
}

static void check_rest(void)
{
    uint64_t rip = vmread(GUEST_RIP), rflags = vmread(GUEST_RFLAGS);
    uint32_t intr = vmread(GUEST_INTERRUPTIBILITY), event = vmread(ENTRY_INTR_INFO);
    bool ia32e = vmread(ENTRY_CONTROLS) & ENTRY_IA32E;
    bool code64 = ia32e && (vmread(GUEST_ES_AR + 2 * CS) & 0x2000);
    unsigned int type = event >> 8 & 7;
    bool valid = event & INTR_INFO_VALID;

    check(code64 ? canonical(rip) : !(rip >> 32), "RIP fits the code segment");
    check(!(rflags & ~0x3f7fd7ull) && (rflags & 2), "RFLAGS' reserved bits");
    check(!(rflags & RFLAGS_VM) || (!ia32e && (vmread(GUEST_CR0) & CR0_PE)),
          "RFLAGS.VM needs 32-bit protected mode");
    check(!valid || type != HVM_EVENT_EXTINT || (rflags & RFLAGS_IF),
          "an interrupt is delivered with IF only");
    check(!valid || type > HVM_EVENT_NMI || !(intr & (HVM_SHADOW_STI | HVM_SHADOW_MOVSS)),
          "an interrupt or NMI is not delivered in a shadow");
    check((intr & 3) != 3, "one shadow at a time");
    check(!(intr & HVM_SHADOW_STI) || (rflags & RFLAGS_IF), "the shadow of STI needs IF");
    check(vmread(GUEST_ACTIVITY) == 0, "active");
    check(vmread(VMCS_LINK_POINTER) == ~0ull, "VMCS link pointer");
    if ((vmread(GUEST_CR0) & CR0_PG) && (vmread(GUEST_CR4) & CR4_PAE) && !ia32e)
        for (unsigned int i = 0; i < 4; i++) {
            uint64_t pdpte = vmread(GUEST_PDPTE0 + 2 * i);

            check(!(pdpte & 1) || !(pdpte & 0x1e6), "a PDPTE has a reserved bit");
        }
}

void vmx_explain_failure(struct vcpu *v, uint32_t reason)
{
    if (!reason) {
        printk("VM-instruction error %lu (SDM vol 3, 31.4)\n",
               vmread(VM_INSTRUCTION_ERROR));
        return;
    }
    printk("Basic reason %u (33: guest state, 34: MSR loading, 41: machine check), "
           "qualification %lu\n",
           reason & 0xffff, vmread(EXIT_QUALIFICATION));
    check_control();
    check_segments();
    check_rest();
}
