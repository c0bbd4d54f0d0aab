/*
 * Firmware that does one thing: says a line on the debug port, then, by ACTION, powers its
 * domain off with a hypercall (0), causes a triple fault (1) or runs for ever (2).  64 KiB, of
 * which the copy below 1 MiB runs.  For the hypercall the guest must have xen_leaves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
.set DEBUG_PORT, 0xe9
.set RESET_VECTOR, 0xfff0
.set SEGMENT, 0xf000
.set BASE, 0xf0000
.set CODE_SELECTOR, 8
.set DATA_SELECTOR, 16
/* xen/xen.h, xen/sched.h */
.set HYPERVISOR_SCHED_OP, 29
.set SCHEDOP_SHUTDOWN, 2
.set SHUTDOWN_POWEROFF, 0

.code16
image:
    mov $message - image, %si
    mov %cs, %ax
    mov %ax, %ds
1:  lodsb
    test %al, %al
    jz 2f
    out %al, $DEBUG_PORT
    jmp 1b
2:
.if ACTION == 0
    lgdtl gdt_pointer - image
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $CODE_SELECTOR, $BASE + protected - image
.elseif ACTION == 1
    lidt no_table - image
    int3
.else
3:  pause
    jmp 3b
.endif

.code32
protected:
    mov $DATA_SELECTOR, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    /* Each vendor's instruction is undefined on the other's CPUs. */
    xor %eax, %eax
    cpuid
    mov %ecx, %esi
    mov $HYPERVISOR_SCHED_OP, %eax
    mov $SCHEDOP_SHUTDOWN, %ebx
    mov $BASE + reason - image, %ecx
    cmp $0x6c65746e, %esi /* the end of GenuineIntel */
    je 1f
    vmmcall
1:  vmcall
    hlt
    jmp 1b

.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long BASE + gdt - image
reason:
    .long SHUTDOWN_POWEROFF
no_table:
    .quad 0
message:
    .asciz "firmware: ready\n"
.org RESET_VECTOR
.code16
    ljmp $SEGMENT, $0
.org 0x10000
