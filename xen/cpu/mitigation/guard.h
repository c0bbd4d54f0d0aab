/* What the ways into and out of a guest do against side channels. Each measure
 * is skipped by a jump that mitigation_patch() takes away when the measure is chosen.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_MITIGATION_GUARD_H
#define CORBEL_CPU_MITIGATION_GUARD_H

/* struct hvm_spec behind the general registers in struct hvm_vcpu. */
#define SPEC_GUEST_CTRL 0x90
#define SPEC_MSR_PASSED 0x94
#define SPEC_EXIT_IBPB  0x95

#ifdef __ASSEMBLY__
/* clang-format off */

/* enum mitigation_site. */
#define SITE_EXIT_IBPB        0
#define SITE_EXIT_RSB         1
#define SITE_EXIT_PBRSB       2
#define SITE_EXIT_BHB         3
#define SITE_SPEC_CTRL        4
#define SITE_SPEC_CTRL_ALWAYS 5
#define SITE_ENTRY_VERW       6

#define SPEC_MSR_CTRL 0x48
#define SPEC_MSR_PRED 0x49

/* A jump of 5 bytes over the measure, known to patch.c. */
.macro guard_site site, skip
.Lguard\@:
    .byte 0xe9
    .long \skip - . - 4
    .pushsection .rodata.mitigation_sites, "a"
    .balign 8
    .quad .Lguard\@
    .long \site, 0
    .popsection
.endm

/* The function `plain` is to be `guarded` on processors that need any measure. */
.macro guard_instead plain, guarded
    .pushsection .rodata.mitigation_variants, "a"
    .balign 8
    .quad \plain, \guarded
    .popsection
.endm

/* Behind an exit: %rdi is the guest's struct cpu_regs, which has its registers; %rax, %rcx,
 * %rdx are free. No RET and no indirect branch may come before. Where a branch decides,
 * its wrong prediction ends at an LFENCE. */
.macro guard_exit
    guard_site SITE_EXIT_IBPB, .Lno_ibpb\@
    cmpb $0, SPEC_EXIT_IBPB(%rdi)
    je .Ltrusted\@
    mov $SPEC_MSR_PRED, %ecx
    mov $1, %eax
    xor %edx, %edx
    wrmsr
.Ltrusted\@:
    lfence
.Lno_ibpb\@:
    guard_site SITE_SPEC_CTRL, .Lno_ctrl\@
    mov $SPEC_MSR_CTRL, %ecx
    cmpb $0, SPEC_MSR_PASSED(%rdi)
    je .Lknown\@
    rdmsr                           /* the guest writes it without an exit */
    mov %eax, SPEC_GUEST_CTRL(%rdi)
.Lknown\@:
    mov mitigations_spec_ctrl(%rip), %eax
    guard_site SITE_SPEC_CTRL_ALWAYS, .Lcompare\@
    jmp .Lwrite\@
.Lcompare\@:
    cmp %eax, SPEC_GUEST_CTRL(%rdi)
    je .Lsame\@
.Lwrite\@:
    xor %edx, %edx
    wrmsr
.Lsame\@:
    lfence
.Lno_ctrl\@:
    /* 32 entries of the RSB become addresses where speculation stops. */
    guard_site SITE_EXIT_RSB, .Lno_rsb\@
    mov $16, %ecx
.Lfill\@:
    call .Lfirst\@
.Ltrap1\@:
    pause
    lfence
    jmp .Ltrap1\@
.Lfirst\@:
    call .Lsecond\@
.Ltrap2\@:
    pause
    lfence
    jmp .Ltrap2\@
.Lsecond\@:
    dec %ecx
    jnz .Lfill\@
    add $(32 * 8), %rsp
    lfence
.Lno_rsb\@:
    /* One CALL that has retired: the guest's entry is no longer on top. */
    guard_site SITE_EXIT_PBRSB, .Lno_pbrsb\@
    call .Lover\@
    int3
.Lover\@:
    add $8, %rsp
    lfence
.Lno_pbrsb\@:
    /* Taken branches, more than any history buffer holds (194). */
    guard_site SITE_EXIT_BHB, .Lno_bhb\@
    mov $104, %ecx
.Lhistory\@:
    jmp .Lnext\@
    int3
.Lnext\@:
    dec %ecx
    jnz .Lhistory\@
    lfence
.Lno_bhb\@:
.endm

/* Before an entry: %rdi as above; changes %rax, %rcx, %rdx. From here on the hypervisor
 * may have lost its protection: no indirect branch, no RET. */
.macro guard_entry
    guard_site SITE_SPEC_CTRL, .Lno_ctrl\@
    mov SPEC_GUEST_CTRL(%rdi), %eax
    cmp mitigations_spec_ctrl(%rip), %eax
    je .Lno_ctrl\@
    mov $SPEC_MSR_CTRL, %ecx
    xor %edx, %edx
    wrmsr
.Lno_ctrl\@:
.endm

/* The last thing but for the entry itself; changes ZF only. */
.macro guard_buffers
    guard_site SITE_ENTRY_VERW, .Lno_verw\@
    verw mitigation_verw(%rip)
.Lno_verw\@:
.endm

#endif
#endif
