/* multicall: a list of hypercalls in one (public/xen.h). SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "hypercall/abi.h"
#include <xen/xen.h>

struct compat_multicall_entry {
    uint32_t op, result, args[6];
};

static int read_entry(struct hcall *c, uint64_t at, struct hcall *call)
{
    struct compat_multicall_entry small;
    struct multicall_entry entry;

    *call = (struct hcall){.v = c->v, .compat = c->compat};
    if (c->compat) {
        if (copy_from_guest(&small, at, sizeof(small)))
            return -EFAULT;
        call->nr = small.op;
        for (int i = 0; i < 6; i++)
            call->arg[i] = small.args[i];
        return 0;
    }
    if (copy_from_guest(&entry, at, sizeof(entry)))
        return -EFAULT;
    call->nr = entry.op >> 32 ? UINT32_MAX : entry.op;
    for (int i = 0; i < 6; i++)
        call->arg[i] = entry.args[i];
    return 0;
}

long do_multicall(struct hcall *c)
{
    const size_t bytes = c->compat ? sizeof(struct compat_multicall_entry)
                                   : sizeof(struct multicall_entry);
    const size_t result_at = c->compat ? offsetof(struct compat_multicall_entry, result)
                                       : offsetof(struct multicall_entry, result);
    uint64_t at = c->arg[0];
    uint32_t n = c->arg[1];

    for (uint32_t i = 0; i < n; i++, at += bytes) {
        struct hcall call;
        long rc;

        if (read_entry(c, at, &call))
            return -EFAULT;
        rc = call.nr == __HYPERVISOR_multicall ? -EINVAL : hcall_run(&call);
        if (copy_to_guest(at + result_at, &rc, c->compat ? 4 : 8))
            return -EFAULT;
        hcall_breathe(i);
    }
    return 0;
}
