/*
 * Firmware that does one thing: says a line on the debug port, then, by ACTION, powers its
 * domain off with a hypercall (0), causes a triple fault (1), runs for ever (2), jumps to where
 * nothing is (3), or writes nonsense to all devices, as SEED has it, and ends as by a watchdog (4).
 * 64 KiB, of which the copy below 1 MiB runs.  For the hypercall the guest must have xen_leaves.
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
.set SHUTDOWN_WATCHDOG, 4
.if ACTION == 4 /* it may hit the port that powers off before */
.set REASON, SHUTDOWN_WATCHDOG
.else
.set REASON, SHUTDOWN_POWEROFF
.endif
.set NOWHERE, 0xe0000000
.ifndef SEED
.set SEED, 1
.endif
.ifndef ROUNDS
.set ROUNDS, 6000
.endif

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
.if ACTION == 0 || ACTION >= 3
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
.if ACTION == 3
    mov $NOWHERE, %eax
    jmp *%eax
.elseif ACTION == 4
    mov $0x8000, %esp
    mov $SEED, %ebp
    mov $ROUNDS, %edi
1:  call nonsense
    dec %edi
    jnz 1b
.endif
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

/* A random number in EAX; the low bits of the generator are poor, hence the rotation. */
random:
    imul $1103515245, %ebp, %ebp
    add $12345, %ebp
    mov %ebp, %eax
    rol $16, %eax
    ret

/* One access of a random kind: half of them ports, the others PCI configuration and memory. */
nonsense:
    call random
    mov %eax, %ebx
    test $1, %bl
    jz 5f
    call random
    mov %eax, %edx
    shr $20, %edx /* of 12 bits: all that this board decodes at reset */
    test $0x60, %bl
    jnz 1f
    movzwl %ax, %edx /* or of 16 */
1:  cmp $0x92, %dx /* three that reset the machine */
    je nonsense
    cmp $0x64, %dx
    je nonsense
    cmp $0xcf9, %dx
    je nonsense
    call random
    test $2, %bl
    jz 3f
    test $4, %bl
    jz 2f
    outl %eax, %dx
    ret
2:  outb %al, %dx
    ret
3:  test $4, %bl
    jz 4f
    inl %dx, %eax
    ret
4:  inw %dx, %ax
    outw %ax, %dx
    ret

5:  test $2, %bl
    jz 6f
    call random /* PCI: a register of the first 16 devices on bus 0 */
    and $0x7ffc, %eax
    or $0x80000000, %eax
    mov $0xcf8, %edx
    outl %eax, %dx
    mov $0xcfc, %edx
    call random
    outl %eax, %dx
    ret

6:  call random /* memory: the VGA window, or the gigabyte below 4 GiB */
    test $4, %bl
    jz 7f
    or $0xc0000000, %eax
    jmp 8f
7:  and $0x1ffff, %eax
    add $0xa0000, %eax
8:  test $8, %bl
    jz 9f
    mov %ebp, (%eax)
    ret
9:  mov (%eax), %ecx
    mov %cl, 1(%eax)
    ret

.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long BASE + gdt - image
reason:
    .long REASON
no_table:
    .quad 0
message:
    .asciz "firmware: ready\n"
.org RESET_VECTOR
.code16
    ljmp $SEGMENT, $0
.org 0x10000
