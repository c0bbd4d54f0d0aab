/* Sets of CPU features: what guests are offered, and which feature needs which.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A featureset is CPU_FEATURESET_WORDS words; bit f % 32 of word f / 32 is the feature
 * XEN_X86_FEATURE_f (public ABI, arch-x86/cpufeatureset.h).
 */
#ifndef CORBEL_HVM_CPU_FEATURES_H
#define CORBEL_HVM_CPU_FEATURES_H

#include "lib/types.h"

static inline bool fs_has(const uint32_t *fs, unsigned int feature)
{
    return fs[feature / 32] >> feature % 32 & 1;
}

static inline void fs_set(uint32_t *fs, unsigned int feature)
{
    fs[feature / 32] |= 1u << feature % 32;
}

static inline void fs_clear(uint32_t *fs, unsigned int feature)
{
    fs[feature / 32] &= ~(1u << feature % 32);
}

/* Add to a set: what every guest may have if the machine has it; what a tool may ask for
 * besides; what we emulate on any machine. */
void featureset_offered(uint32_t *fs);
void featureset_opt_in(uint32_t *fs);
void featureset_emulated(uint32_t *fs);

/* Take away what makes no sense without something that is not in the set. */
void featureset_settle(uint32_t *fs);

#endif
