/*
 * Firmware that does one thing: says a line on the debug port, then, by ACTION, stops for good
 * (0: HLT with interrupts off), causes a triple fault (1) or runs for ever (2).  64 KiB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
.set DEBUG_PORT, 0xe9
.set RESET_VECTOR, 0xfff0
.set RESET_SEGMENT, 0xf000
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
    cli
    hlt
.elseif ACTION == 1
    lidt no_table - image
    int3
.else
3:  pause
    jmp 3b
.endif
    jmp 2b
no_table:
    .quad 0
message:
    .asciz "firmware: ready\n"
.org RESET_VECTOR
    ljmp $RESET_SEGMENT, $0
.org 0x10000
