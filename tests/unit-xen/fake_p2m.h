/* What the tests of the p2m put around it: a pool of frames, one domain, an entry format.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_TESTS_FAKE_P2M_H
#define CORBEL_TESTS_FAKE_P2M_H

#include "mm/frame.h"
#include "mm/p2m.h"
#include "domain/domain.h"

#define FAKE_PRESENT 1ull
#define FAKE_WRITE   2ull
#define FAKE_DIRTY   0x40ull
#define FAKE_LARGE   0x80ull

extern struct domain fake_domain;
extern unsigned int fake_puts;    /* calls of frame_put() */
extern unsigned int fake_crashes; /* calls of domain_crash() */
/* Called once, when the next reference is taken; then forgotten. */
extern void (*fake_at_get)(void);

int fake_p2m_setup(void **state);
int fake_p2m_teardown(void **state);
/* What p2m_lookup() has to answer for gfn. */
void fake_expect(uint64_t gfn, uint64_t mfn, enum p2m_type type, unsigned int order);

#endif
