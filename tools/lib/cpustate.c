/*
 * The state of the first vCPU after RESET, as HVM context records (public/arch-x86/hvm/
 * save.h): header, CPU, end.  The other records keep what the hypervisor gave them, which
 * is their reset state too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "domain.h"
#include <xen/hvm/save.h>

#define CR0_ET       0x10u
#define RFLAGS_FIXED 0x2u
#define DR6_FIXED    0xffff0ff0u
#define DR7_FIXED    0x400u

/* Segment attributes as in the VMCB: type 3:0, S 4, DPL 6:5, P 7, AVL L D/B G 11:8. */
#define AR_CODE 0x9bu /* present, code, readable, accessed */
#define AR_DATA 0x93u /* present, data, writable, accessed */
#define AR_LDT  0x82u
#define AR_TSS  0x8bu /* busy 32-bit TSS */

#define RESET_VECTOR_BASE 0xffff0000u
#define RESET_VECTOR_CS   0xf000u
#define RESET_VECTOR_IP   0xfff0u
#define REAL_MODE_LIMIT   0xffffu

#define FXSAVE_FCW   0 /* offsets in the FXSAVE image */
#define FXSAVE_MXCSR 24
#define FCW_RESET    0x0040
#define MXCSR_RESET  0x1f80

static void reset_registers(struct hvm_hw_cpu *c)
{
    uint16_t fcw = FCW_RESET;
    uint32_t mxcsr = MXCSR_RESET;

    memset(c, 0, sizeof(*c));
    memcpy(c->fpu_regs + FXSAVE_FCW, &fcw, sizeof(fcw));
    memcpy(c->fpu_regs + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
    c->flags = XEN_X86_FPU_INITIALISED;

    c->rip = RESET_VECTOR_IP;
    c->rflags = RFLAGS_FIXED;
    c->cr0 = CR0_ET;
    c->dr6 = DR6_FIXED;
    c->dr7 = DR7_FIXED;

    c->cs_sel = RESET_VECTOR_CS;
    c->cs_base = RESET_VECTOR_BASE;
    c->cs_arbytes = AR_CODE;
    c->ds_arbytes = c->es_arbytes = c->fs_arbytes = AR_DATA;
    c->gs_arbytes = c->ss_arbytes = AR_DATA;
    c->ldtr_arbytes = AR_LDT;
    c->tr_arbytes = AR_TSS;
    c->cs_limit = c->ds_limit = c->es_limit = c->fs_limit = REAL_MODE_LIMIT;
    c->gs_limit = c->ss_limit = c->ldtr_limit = c->tr_limit = REAL_MODE_LIMIT;
    c->gdtr_limit = c->idtr_limit = REAL_MODE_LIMIT;
}

static uint8_t *put_record(uint8_t *at, unsigned type, const void *body, uint32_t bytes)
{
    struct hvm_save_descriptor d = {.typecode = (uint16_t)type, .length = bytes};

    memcpy(at, &d, sizeof(d));
    if (bytes)
        memcpy(at + sizeof(d), body, bytes);
    return at + sizeof(d) + bytes;
}

int cpustate_reset(const struct hvm_save_header *header, void *buffer, size_t room)
{
    struct hvm_hw_cpu cpu;
    uint8_t *at = buffer;
    size_t need = 3 * sizeof(struct hvm_save_descriptor) + sizeof(*header) + sizeof(cpu);

    if (room < need)
        return -ENOSPC;
    reset_registers(&cpu);
    at = put_record(at, HVM_SAVE_CODE(HEADER), header, sizeof(*header));
    at = put_record(at, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu));
    at = put_record(at, HVM_SAVE_CODE(END), NULL, 0);
    return (int)(at - (uint8_t *)buffer);
}
