/* The plan, carried out in the code: measures of the entry code switched on, indirect
 * branches as they were chosen. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Once, at boot, with one CPU running. The text is read-only: CR0.WP is off meanwhile.
 */
#include "cpu/mitigation/mitigation.h"
#include "cpu/x86.h"
#include "boot/layout.h"
#include "hvm/hvm.h"
#include "lib/printk.h"
#include "lib/string.h"

#define THUNK_BYTES 32
#define OP_CALL     0xe8
#define OP_JMP      0xe9
#define JMP_BYTES   5

extern char mitigation_thunks[];
extern const struct {
    uint64_t nr;
    uint32_t place[]; /* of the displacement, from IMAGE_VIRT */
} thunk_sites;

struct guard_site {
    uint8_t *jump;
    uint32_t site, pad;
};
extern const struct guard_site mitigation_sites_start[], mitigation_sites_end[];

struct guard_variant {
    uint8_t *plain;
    const uint8_t *guarded;
};
extern const struct guard_variant mitigation_variants_start[], mitigation_variants_end[];

static const uint8_t nop5[JMP_BYTES] = {0x0f, 0x1f, 0x44, 0x00, 0x00};

/* `CALL *reg` or `JMP *reg`, made longer by CS prefixes without meaning. */
static void indirect_branch(uint8_t out[JMP_BYTES], bool call, unsigned int reg)
{
    memset(out, 0x2e, JMP_BYTES);
    if (reg >= 8)
        out[JMP_BYTES - 3] = 0x41; /* REX.B */
    out[JMP_BYTES - 2] = 0xff;
    out[JMP_BYTES - 1] = (call ? 0xd0 : 0xe0) + (reg & 7);
}

static void patch_thunks(enum bti_thunk kind)
{
    for (unsigned int reg = 0; reg < 16; reg++) {
        uint8_t *code = (uint8_t *)mitigation_thunks + THUNK_BYTES * reg;

        if (kind == THUNK_LFENCE) {
            static const uint8_t lfence[] = {0x0f, 0xae, 0xe8};

            memcpy(code, lfence, sizeof(lfence));
            code += sizeof(lfence);
        }
        indirect_branch(code, false, reg);
    }
}

/* Branches to thunks become what the thunk would do: no detour. */
static void patch_branches(void)
{
    for (uint64_t i = 0; i < thunk_sites.nr; i++) {
        uint8_t *place = (uint8_t *)(IMAGE_VIRT + thunk_sites.place[i]), *op = place - 1;
        int32_t displacement;
        unsigned int reg;

        memcpy(&displacement, place, sizeof(displacement));
        reg = (place + sizeof(displacement) + displacement -
               (const uint8_t *)mitigation_thunks) /
              THUNK_BYTES;
        if (reg < 16 && (*op == OP_CALL || *op == OP_JMP))
            indirect_branch(op, *op == OP_CALL, reg);
        /* Another kind of branch goes on by the thunk. */
    }
}

static void patch_guards(uint32_t sites)
{
    for (const struct guard_site *s = mitigation_sites_start; s < mitigation_sites_end;
         s++)
        if (sites >> s->site & 1)
            memcpy(s->jump, nop5, JMP_BYTES);
    if (!sites)
        return;
    for (const struct guard_variant *v = mitigation_variants_start;
         v < mitigation_variants_end; v++) {
        int32_t displacement = (int32_t)(v->guarded - (v->plain + JMP_BYTES));

        v->plain[0] = OP_JMP;
        memcpy(v->plain + 1, &displacement, sizeof(displacement));
    }
}

void mitigation_patch(const struct mitigations *m)
{
    uint64_t cr0 = read_cr0();

    write_cr0(cr0 & ~CR0_WP);
    if (m->thunk != THUNK_RETPOLINE)
        patch_thunks(m->thunk);
    if (m->thunk == THUNK_JMP)
        patch_branches();
    patch_guards(m->sites);
    write_cr0(cr0);
    cpuid_get(0, CPUID_EAX); /* serializes: what was fetched before is forgotten */
}
