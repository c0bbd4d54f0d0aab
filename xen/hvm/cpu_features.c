/* Which CPU features guests are offered, and which feature needs which.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 3 appendix E, Intel SDM vol 2 (CPUID). What is left out: see cpu_policy.c.
 */
#include "hvm/cpu_features.h"
#include <xen/arch-x86/cpufeatureset.h>

#define F(name) XEN_X86_FEATURE_##name

/* Features that need nothing from us but the machine's, or that we switch or emulate. */
static const uint16_t offered[] = {
    /* 1.EDX */
    F(FPU),
    F(VME),
    F(DE),
    F(PSE),
    F(TSC),
    F(MSR),
    F(PAE),
    F(MCE),
    F(CX8),
    F(APIC),
    F(SEP),
    F(MTRR),
    F(PGE),
    F(MCA),
    F(CMOV),
    F(PAT),
    F(PSE36),
    F(CLFLUSH),
    F(MMX),
    F(FXSR),
    F(SSE),
    F(SSE2),
    F(SS),
    F(HTT),
    /* 1.ECX */
    F(SSE3),
    F(PCLMULQDQ),
    F(SSSE3),
    F(FMA),
    F(CX16),
    F(PCID),
    F(SSE4_1),
    F(SSE4_2),
    F(X2APIC),
    F(MOVBE),
    F(POPCNT),
    F(TSC_DEADLINE),
    F(AESNI),
    F(XSAVE),
    F(AVX),
    F(F16C),
    F(RDRAND),
    F(HYPERVISOR),
    /* 80000001.EDX, ECX */
    F(SYSCALL),
    F(NX),
    F(MMXEXT),
    F(FFXSR),
    F(PAGE1GB),
    F(RDTSCP),
    F(LM),
    F(3DNOWEXT),
    F(3DNOW),
    F(LAHF_LM),
    F(CMP_LEGACY),
    F(CR8_LEGACY),
    F(ABM),
    F(SSE4A),
    F(MISALIGNSSE),
    F(3DNOWPREFETCH),
    F(XOP),
    F(FMA4),
    F(TBM),
    /* D:1.EAX */
    F(XSAVEOPT),
    F(XSAVEC),
    F(XGETBV1),
    F(XSAVES),
    /* 7:0.EBX, ECX, EDX */
    F(FSGSBASE),
    F(TSC_ADJUST),
    F(BMI1),
    F(AVX2),
    F(FDP_EXCP_ONLY),
    F(SMEP),
    F(BMI2),
    F(ERMS),
    F(INVPCID),
    F(NO_FPU_SEL),
    F(AVX512F),
    F(AVX512DQ),
    F(RDSEED),
    F(ADX),
    F(SMAP),
    F(AVX512_IFMA),
    F(CLFLUSHOPT),
    F(CLWB),
    F(AVX512PF),
    F(AVX512ER),
    F(AVX512CD),
    F(SHA),
    F(AVX512BW),
    F(AVX512VL),
    F(PREFETCHWT1),
    F(AVX512_VBMI),
    F(UMIP),
    F(PKU),
    F(AVX512_VBMI2),
    F(GFNI),
    F(VAES),
    F(VPCLMULQDQ),
    F(AVX512_VNNI),
    F(AVX512_BITALG),
    F(AVX512_VPOPCNTDQ),
    F(RDPID),
    F(CLDEMOTE),
    F(AVX512_4VNNIW),
    F(AVX512_4FMAPS),
    F(FSRM),
    F(MD_CLEAR),
    F(SERIALIZE),
    F(AVX512_FP16),
    F(IBRSB),
    F(STIBP),
    F(L1D_FLUSH),
    F(ARCH_CAPS),
    F(SSBD),
    /* 80000007.EDX, 80000008.EBX */
    F(ITSC),
    F(CLZERO),
    F(RSTR_FP_ERR_PTRS),
    F(IBPB),
    F(IBRS),
    F(AMD_STIBP),
    F(IBRS_ALWAYS),
    F(STIBP_ALWAYS),
    F(IBRS_FAST),
    F(IBRS_SAME_MODE),
    F(NO_LMSL),
    F(AMD_SSBD),
    F(PSFD),
    F(SSB_NO),
    F(BTC_NO),
    F(IBPB_RET),
    /* 7:1.EAX, 80000021.EAX, ECX */
    F(AVX_VNNI),
    F(AVX512_BF16),
    F(FZRM),
    F(FSRS),
    F(FSRCS),
    F(LFENCE_DISPATCH),
    F(VERW_CLEAR),
    F(NSCB),
    F(AUTO_IBRS),
    F(SBPB),
    F(IBPB_BRTYPE),
    F(SRSO_NO),
    F(SRSO_US_NO),
    F(TSA_SQ_NO),
    F(TSA_L1_NO),
    /* 7:2.EDX: bits of SPEC_CTRL */
    F(INTEL_PSFD),
    F(IPRED_CTRL),
    F(RRSBA_CTRL),
    F(BHI_CTRL),
    F(MCDT_NO),
    /* MSR_ARCH_CAPS: what the machine is not vulnerable to */
    F(RDCL_NO),
    F(EIBRS),
    F(RSBA),
    F(RRSBA),
    F(SKIP_L1DFL),
    F(INTEL_SSB_NO),
    F(MDS_NO),
    F(IF_PSCHANGE_MC_NO),
    F(TAA_NO),
    F(SBDR_SSDP_NO),
    F(FBSDP_NO),
    F(PSDP_NO),
    F(FB_CLEAR),
    F(BHI_NO),
    F(PBRSB_NO),
    F(GDS_NO),
    F(RFDS_NO),
    F(RFDS_CLEAR),
    F(ITS_NO),
};

/* Opt-in: a tool may ask for them. */
static const uint16_t opt_in[] = {F(MOVDIRI), F(MOVDIR64B), F(AVX512_VP2INTERSECT)};

/* Ours, on any machine. */
static const uint16_t emulated[] = {
    F(APIC), F(X2APIC), F(TSC_DEADLINE), F(TSC_ADJUST), F(MTRR), F(PAT),
    F(MCE),  F(MCA),    F(HYPERVISOR),   F(HTT),        F(ITSC)};

/* Without the first the second makes no sense. In an order that one pass settles. */
static const uint16_t needs[][2] = {
    {F(FPU), F(MMX)},
    {F(FXSR), F(SSE)},
    {F(SSE), F(SSE2)},
    {F(SSE2), F(SSE3)},
    {F(SSE2), F(LM)},
    {F(SSE3), F(SSSE3)},
    {F(SSSE3), F(SSE4_1)},
    {F(SSE4_1), F(SSE4_2)},
    {F(SSE2), F(PCLMULQDQ)},
    {F(SSE2), F(AESNI)},
    {F(SSE2), F(SHA)},
    {F(SSE2), F(GFNI)},
    {F(PAE), F(LM)},
    {F(PAE), F(NX)},
    {F(LM), F(CX16)},
    {F(LM), F(PCID)},
    {F(LM), F(LAHF_LM)},
    {F(LM), F(PAGE1GB)},
    {F(LM), F(PKU)},
    {F(LM), F(SYSCALL)},
    {F(PCID), F(INVPCID)},
    {F(XSAVE), F(XSAVEOPT)},
    {F(XSAVE), F(XSAVEC)},
    {F(XSAVE), F(XGETBV1)},
    {F(XSAVEC), F(XSAVES)},
    {F(XSAVE), F(AVX)},
    {F(XSAVE), F(PKU)},
    {F(AVX), F(FMA)},
    {F(AVX), F(F16C)},
    {F(AVX), F(FMA4)},
    {F(AVX), F(XOP)},
    {F(AVX), F(AVX2)},
    {F(AVX), F(VAES)},
    {F(AVX), F(VPCLMULQDQ)},
    {F(AVX2), F(AVX_VNNI)},
    {F(AVX2), F(AVX512F)},
    {F(AVX512F), F(AVX512DQ)},
    {F(AVX512F), F(AVX512_IFMA)},
    {F(AVX512F), F(AVX512PF)},
    {F(AVX512F), F(AVX512ER)},
    {F(AVX512F), F(AVX512CD)},
    {F(AVX512F), F(AVX512BW)},
    {F(AVX512F), F(AVX512VL)},
    {F(AVX512F), F(AVX512_4VNNIW)},
    {F(AVX512F), F(AVX512_4FMAPS)},
    {F(AVX512F), F(AVX512_VNNI)},
    {F(AVX512F), F(AVX512_VPOPCNTDQ)},
    {F(AVX512F), F(AVX512_VP2INTERSECT)},
    {F(AVX512BW), F(AVX512_VBMI)},
    {F(AVX512_VBMI), F(AVX512_VBMI2)},
    {F(AVX512BW), F(AVX512_BITALG)},
    {F(AVX512BW), F(AVX512_BF16)},
    {F(AVX512BW), F(AVX512_FP16)},
    {F(MMX), F(MMXEXT)},
    {F(MMX), F(3DNOW)},
    {F(3DNOW), F(3DNOWEXT)},
    {F(SSE3), F(SSE4A)},
    {F(APIC), F(X2APIC)},
    {F(APIC), F(TSC_DEADLINE)},
    {F(TSC), F(TSC_DEADLINE)},
    {F(TSC), F(RDTSCP)},
    {F(TSC), F(TSC_ADJUST)},
    {F(TSC), F(ITSC)},
    {F(MTRR), F(PAT)},
    {F(IBRSB), F(STIBP)},
    {F(IBRSB), F(SSBD)},
    {F(IBRSB), F(INTEL_PSFD)},
    {F(IBRSB), F(EIBRS)},
    {F(IBRS), F(AMD_STIBP)},
    {F(IBRS), F(AMD_SSBD)},
    {F(IBRS), F(PSFD)},
    {F(IBRS), F(IBRS_ALWAYS)},
    {F(IBRS), F(IBRS_FAST)},
    {F(IBRS), F(IBRS_SAME_MODE)},
    {F(AMD_STIBP), F(STIBP_ALWAYS)},
    {F(IBPB), F(SBPB)},
    {F(IBPB), F(IBPB_BRTYPE)},
};

static void set_all(uint32_t *fs, const uint16_t *features, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        fs_set(fs, features[i]);
}

void featureset_offered(uint32_t *fs)
{
    set_all(fs, offered, ARRAY_SIZE(offered));
}

void featureset_opt_in(uint32_t *fs)
{
    set_all(fs, opt_in, ARRAY_SIZE(opt_in));
}

void featureset_emulated(uint32_t *fs)
{
    set_all(fs, emulated, ARRAY_SIZE(emulated));
}

void featureset_settle(uint32_t *fs)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(needs); i++)
        if (!fs_has(fs, needs[i][0]))
            fs_clear(fs, needs[i][1]);
    if (!fs_has(fs, F(ARCH_CAPS)))
        fs[16] = fs[17] = 0;
}
