/* CPUID and IA32_ARCH_CAPABILITIES bits that enumerate weaknesses and remedies (Intel SDM
 * vol 4 and CPUID; AMD APM vol 3, E.4). SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_MITIGATION_BITS_H
#define CORBEL_CPU_MITIGATION_BITS_H

#include "lib/types.h"

/* Leaf 7: EBX, EDX; subleaf 2: EDX. */
#define L7B_RTM        BIT(11)
#define L7D_MD_CLEAR   BIT(10)
#define L7D_IBRS_IBPB  BIT(26)
#define L7D_STIBP      BIT(27)
#define L7D_L1D_FLUSH  BIT(28)
#define L7D_ARCH_CAPS  BIT(29)
#define L7D_SSBD       BIT(31)
#define L72_PSFD       BIT(0)
#define L72_IPRED_CTRL BIT(1)
#define L72_RRSBA_CTRL BIT(2)
#define L72_BHI_CTRL   BIT(4)

/* 0x80000008 EBX; 0x80000021 EAX, ECX. */
#define E8_IBPB          BIT(12)
#define E8_IBRS          BIT(14)
#define E8_STIBP         BIT(15)
#define E8_STIBP_ALWAYS  BIT(17)
#define E8_SSBD          BIT(24)
#define E8_SSB_NO        BIT(26)
#define E8_PSFD          BIT(28)
#define E8_BTC_NO        BIT(29)
#define E8_IBPB_RET      BIT(30)
#define E21_VERW_CLEAR   BIT(5)
#define E21_AUTO_IBRS    BIT(8)
#define E21_IBPB_BRTYPE  BIT(28)
#define E21_SRSO_NO      BIT(29)
#define E21_SRSO_US_NO   BIT(30)
#define E21_SRSO_MSR_FIX BIT(31)
#define E21C_TSA_SQ_NO   BIT(1)
#define E21C_TSA_L1_NO   BIT(2)

#define CAPS_RDCL_NO      BIT(0)
#define CAPS_EIBRS        BIT(1)
#define CAPS_RSBA         BIT(2)
#define CAPS_SKIP_L1DFL   BIT(3)
#define CAPS_SSB_NO       BIT(4)
#define CAPS_MDS_NO       BIT(5)
#define CAPS_PSCHANGE_NO  BIT(6)
#define CAPS_TAA_NO       BIT(8)
#define CAPS_SBDR_SSDP_NO BIT(13)
#define CAPS_FBSDP_NO     BIT(14)
#define CAPS_PSDP_NO      BIT(15)
#define CAPS_FB_CLEAR     BIT(17)
#define CAPS_RRSBA        BIT(19)
#define CAPS_BHI_NO       BIT(20)
#define CAPS_PBRSB_NO     BIT(24)
#define CAPS_GDS_CTRL     BIT(25)
#define CAPS_GDS_NO       BIT(26)
#define CAPS_RFDS_NO      BIT(27)
#define CAPS_RFDS_CLEAR   BIT(28)
#define CAPS_ITS_NO       BIT(62)

#endif
