/* xenpmu_op: no performance counters are virtualised. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "hypercall/abi.h"

long do_xenpmu_op(struct hcall *c)
{
    return -EOPNOTSUPP;
}
