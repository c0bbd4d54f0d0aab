/* Instructions made at run time (cpu/stub.h). SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "cpu/stub.h"
#include "cpu/percpu.h"
#include "cpu/traps.h"
#include "cpu/x86.h"
#include "mm/paging.h"
#include "lib/errno.h"
#include "lib/string.h"

#define OPCODE_RET  0xc3
#define OPCODE_INT3 0xcc

int stub_call(struct stub_regs *regs, const void *code);
extern const char stub_faulted[];

int stub_init_cpu(void)
{
    struct percpu *cpu = this_cpu();
    void *page;

    if (cpu->stub)
        return 0;
    page = alloc_pages(0);
    if (!page)
        return -ENOMEM;
    memset(page, OPCODE_INT3, PAGE_SIZE);
    cpu->stub_code = map_code(virt_to_maddr(page), cpu->id);
    if (!cpu->stub_code)
        return -ENOMEM;
    cpu->stub = page;
    return 0;
}

int stub_run(const uint8_t *insn, unsigned int len, struct stub_regs *regs)
{
    struct percpu *cpu = this_cpu();
    int vector;

    memcpy(cpu->stub, insn, len);
    cpu->stub[len] = OPCODE_RET;
    /* Written at another address than it is fetched from: that takes an instruction that
     * serializes (APM volume 2, 7.6.1). */
    write_cr2(read_cr2());
    vector = stub_call(regs, cpu->stub_code);
    memset(cpu->stub, OPCODE_INT3, len + 1);
    return vector;
}

bool stub_fixup(struct trap_frame *f)
{
    const struct percpu *cpu = this_cpu();

    if (!cpu->stub_code || f->rip != (uintptr_t)cpu->stub_code)
        return false;
    f->rax = f->vector;
    f->rip = (uintptr_t)stub_faulted;
    return true;
}
