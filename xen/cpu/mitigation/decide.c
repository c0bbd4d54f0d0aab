/* From a processor's weaknesses and its remedies to what the hypervisor does: one table
 * for both vendors. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel: "Speculative execution side channel mitigations" and the advisories it names;
 * AMD: "Software techniques for managing speculation on AMD processors". Guests run on
 * page tables of their own, so Meltdown has no way to us. The device model is a process
 * of another domain: the barrier at the switch of domains protects it as well.
 */
#include "cpu/mitigation/mitigation.h"
#include "cpu/mitigation/bits.h"

#define B(bug)  (1u << BUG_##bug)
#define S(site) (1u << SITE_##site)

/* What answers to VERW by flushing buffers. */
#define VERW_BUGS (B(MDS) | B(TAA) | B(MMIO) | B(RFDS) | B(TSA))

static bool has_ibrs(const struct cpu_facts *f)
{
    return (f->leaf7_edx & L7D_IBRS_IBPB) || (f->ext8_ebx & E8_IBRS);
}

static bool has_ibpb(const struct cpu_facts *f)
{
    return (f->leaf7_edx & L7D_IBRS_IBPB) || (f->ext8_ebx & E8_IBPB);
}

uint32_t spec_ctrl_valid(uint32_t leaf7_edx, uint32_t leaf7_2_edx, uint32_t ext8_ebx)
{
    uint32_t bits = 0;

    if ((leaf7_edx & L7D_IBRS_IBPB) || (ext8_ebx & E8_IBRS))
        bits |= SPEC_CTRL_IBRS | SPEC_CTRL_STIBP; /* STIBP is ignored where it is not */
    if ((leaf7_edx & L7D_STIBP) || (ext8_ebx & E8_STIBP))
        bits |= SPEC_CTRL_STIBP;
    if ((leaf7_edx & L7D_SSBD) || (ext8_ebx & E8_SSBD))
        bits |= SPEC_CTRL_SSBD;
    if ((leaf7_2_edx & L72_PSFD) || (ext8_ebx & E8_PSFD))
        bits |= SPEC_CTRL_PSFD;
    if (leaf7_2_edx & L72_IPRED_CTRL)
        bits |= SPEC_CTRL_IPRED_DIS_U | SPEC_CTRL_IPRED_DIS_S;
    if (leaf7_2_edx & L72_RRSBA_CTRL)
        bits |= SPEC_CTRL_RRSBA_DIS_U | SPEC_CTRL_RRSBA_DIS_S;
    if (leaf7_2_edx & L72_BHI_CTRL)
        bits |= SPEC_CTRL_BHI_DIS_S;
    return bits;
}

static bool wanted(int wish, bool by_default)
{
    return wish < 0 ? by_default : wish;
}

/* The hypervisor's own indirect branches: hardware that separates privilege levels by
 * itself; where returns are as bad as jumps, IBRS at each exit; else retpolines. */
static void decide_bti(const struct cpu_facts *f, const struct mitigation_wishes *w,
                       struct mitigations *m)
{
    bool eibrs = has_ibrs(f) && (f->arch_caps & CAPS_EIBRS);
    bool auto_ibrs = f->ext21_eax & E21_AUTO_IBRS;
    enum bti_thunk thunk = THUNK_JMP;

    if (!(m->bugs & B(BTI)) || !wanted(w->own, true)) {
        m->open |= m->bugs & B(BTI);
        if (w->thunk >= 0)
            m->thunk = w->thunk;
        return;
    }
    if (!wanted(w->ibrs, true)) {
        thunk = THUNK_RETPOLINE;
    } else if (auto_ibrs) {
        m->auto_ibrs = true;
    } else if (eibrs && wanted(w->msr, true)) {
        m->eibrs = true;
        m->spec_ctrl |= SPEC_CTRL_IBRS;
    } else if (f->vendor == CPU_INTEL && has_ibrs(f) && wanted(w->msr, true) &&
               ((m->bugs & B(RSBA)) || w->ibrs == 1)) {
        m->spec_ctrl |= SPEC_CTRL_IBRS;
        m->sites |= S(SPEC_CTRL_ALWAYS);
    } else {
        thunk = THUNK_RETPOLINE;
    }
    m->thunk = w->thunk >= 0 ? (enum bti_thunk)w->thunk : thunk;
    /* Retpolines where returns consult the BTB: the processor may have a switch. */
    if (m->thunk == THUNK_RETPOLINE && (m->bugs & B(RSBA))) {
        if (f->leaf7_2_edx & L72_RRSBA_CTRL)
            m->spec_ctrl |= SPEC_CTRL_RRSBA_DIS_S;
        else if (!(m->spec_ctrl & SPEC_CTRL_IBRS))
            m->open |= B(RSBA);
    }
}

/* Returns after an exit must not use what the guest left in the RSB. Enhanced IBRS and
 * automatic IBRS separate it; the first RET after an exit is not safe on all. */
static void decide_rsb(const struct mitigation_wishes *w, struct mitigations *m)
{
    bool separated = m->eibrs || m->auto_ibrs;

    if (wanted(w->rsb, (m->bugs & B(BTI)) && !separated))
        m->sites |= S(EXIT_RSB);
    else if (m->bugs & B(PBRSB))
        m->sites |= S(EXIT_PBRSB);
}

/* Branch history: a mode of the processor, or branches of ours that push the guest's out
 * of the buffer. With retpolines there is nothing to steer. */
static void decide_bhi(const struct cpu_facts *f, const struct mitigation_wishes *w,
                       struct mitigations *m)
{
    if (w->bhi_seq == 1)
        m->sites |= S(EXIT_BHB);
    else if (!(m->bugs & B(BHI)) || m->thunk == THUNK_RETPOLINE)
        return;
    else if ((f->leaf7_2_edx & L72_BHI_CTRL) && wanted(w->msr, true) &&
             wanted(w->bhi_dis, true))
        m->spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
    else if (w->bhi_seq)
        m->sites |= S(EXIT_BHB);
    else
        m->open |= B(BHI);
}

/* Returns themselves are at risk: a barrier at exits from guests, where the processor's
 * barrier covers them. (Returns made safe in software would need all of our code to be
 * built for it.) */
static void decide_returns(const struct cpu_facts *f, const struct mitigation_wishes *w,
                           struct mitigations *m)
{
    bool needed = false;

    if (f->vendor == CPU_AMD) {
        if ((m->bugs & B(BTC)) && f->family >= 0x17)
            needed = true;
        if ((m->bugs & B(SRSO)) && (f->ext21_eax & E21_SRSO_MSR_FIX) &&
            wanted(w->bp_spec_reduce, !f->hypervisor))
            m->bp_spec_reduce = true;
        else if (m->bugs & B(SRSO))
            needed = true;
        /* Zen 3 and 4: only with microcode does the barrier reach branch types. */
        if ((m->bugs & B(SRSO)) && f->family == 0x19 && !(f->ext21_eax & E21_IBPB_BRTYPE))
            m->open |= B(SRSO);
    } else if ((m->bugs & B(BTC)) && !(m->spec_ctrl & SPEC_CTRL_IBRS)) {
        m->open |= B(BTC);
    }
    if (wanted(w->ibpb_entry, needed) && has_ibpb(f)) {
        m->sites |= S(EXIT_IBPB);
        /* A barrier that leaves the RSB alone does not replace the filling. */
        if ((f->ext8_ebx & E8_IBPB_RET) && w->rsb < 0)
            m->sites &= ~S(EXIT_RSB);
    } else if (needed) {
        m->open |= m->bugs & (B(BTC) | (m->bp_spec_reduce ? 0 : B(SRSO)));
    }
}

static void decide_buffers(const struct cpu_facts *f, const struct mitigation_wishes *w,
                           struct mitigations *m)
{
    uint32_t curable = 0, bugs = m->bugs & VERW_BUGS;

    if (f->leaf7_edx & L7D_MD_CLEAR)
        curable |= B(MDS) | B(TAA) | B(MMIO);
    if (f->arch_caps & CAPS_FB_CLEAR)
        curable |= B(MMIO);
    if (f->arch_caps & CAPS_RFDS_CLEAR)
        curable |= B(RFDS);
    if (f->ext21_eax & E21_VERW_CLEAR)
        curable |= B(TSA);
    if (wanted(w->verw, bugs & curable))
        m->sites |= S(ENTRY_VERW);
    else
        curable = 0;
    m->open |= bugs & ~curable;

    if (!(m->bugs & B(L1TF)))
        return;
    if (f->arch_caps & CAPS_SKIP_L1DFL) /* the hypervisor below does it */
        return;
    if ((f->leaf7_edx & L7D_L1D_FLUSH) && wanted(w->l1d_flush, true))
        m->l1d_flush = true;
    else
        m->open |= B(L1TF);
}

/* Switches in MSRs that the firmware, or a hypervisor below us, may have to itself. */
static void decide_chicken_bits(const struct cpu_facts *f,
                                const struct mitigation_wishes *w, struct mitigations *m)
{
    if (m->bugs & B(GDS)) {
        if (!(f->arch_caps & CAPS_GDS_CTRL) || f->gds_locked_off || w->gds == 0)
            m->open |= B(GDS);
        else
            m->gds_unlock = true;
    }
    if (m->bugs & B(ZENBLEED))
        m->zenbleed_chicken = !f->hypervisor;
    /* Ours would have to keep indirect branches out of half of the cache lines. */
    m->open |= m->bugs & B(ITS);
}

void mitigation_decide(const struct cpu_facts *f, const struct mitigation_wishes *w,
                       struct mitigations *m)
{
    uint32_t exits = S(EXIT_IBPB) | S(EXIT_RSB) | S(EXIT_PBRSB) | S(EXIT_BHB);

    *m = (struct mitigations){.bugs = cpu_bugs(f)};
    if (!wanted(w->all, true)) {
        m->open = m->bugs;
        m->thunk = w->thunk >= 0 ? (enum bti_thunk)w->thunk : THUNK_JMP;
        return;
    }
    if (wanted(w->msr, true))
        m->has_spec_ctrl = spec_ctrl_valid(f->leaf7_edx, f->leaf7_2_edx, f->ext8_ebx);
    decide_bti(f, w, m);
    decide_rsb(w, m);
    decide_bhi(f, w, m);
    decide_returns(f, w, m);
    decide_buffers(f, w, m);
    decide_chicken_bits(f, w, m);
    if (!wanted(w->guests, true)) {
        m->open |= m->bugs & (VERW_BUGS | B(L1TF) | B(BTC) | B(SRSO) | B(BHI));
        m->sites &= S(SPEC_CTRL_ALWAYS);
        m->l1d_flush = false;
    } else if (!wanted(w->own, true)) {
        m->sites &= ~exits;
    }
    if (m->has_spec_ctrl) {
        uint32_t valid = spec_ctrl_valid(f->leaf7_edx, f->leaf7_2_edx, f->ext8_ebx);

        if (wanted(w->stibp, f->smt && !m->eibrs && (m->spec_ctrl & SPEC_CTRL_IBRS)))
            m->spec_ctrl |= SPEC_CTRL_STIBP;
        if (wanted(w->ssbd, false))
            m->spec_ctrl |= SPEC_CTRL_SSBD;
        if (wanted(w->psfd, false))
            m->spec_ctrl |= SPEC_CTRL_PSFD;
        m->spec_ctrl &= valid;
        if (!f->spec_ctrl_switched)
            m->sites |= S(SPEC_CTRL);
    } else {
        m->spec_ctrl = 0;
        m->sites &= ~S(SPEC_CTRL_ALWAYS);
    }
    if (!(m->spec_ctrl & SPEC_CTRL_SSBD))
        m->open |= m->bugs & B(SSB);
    if ((m->bugs & B(BTI)) && has_ibpb(f))
        m->switch_ibpb = wanted(w->ibpb, true);
    m->smt_leaks = f->smt && (m->bugs & (B(L1TF) | B(MDS) | B(TAA)));
}
