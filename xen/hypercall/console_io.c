/* console_io: a guest's console of last resort (public/xen.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/abi.h"
#include "lib/console.h"
#include <xen/xen.h>

#define CHUNK 128

static long write(struct hcall *c)
{
    int32_t count = (int32_t)c->arg[1];
    uint64_t from = c->arg[2];
    char buf[CHUNK];

    if (count < 0)
        return -EINVAL;
    for (uint32_t done = 0; done < (uint32_t)count; done += CHUNK) {
        size_t n = min((uint32_t)count - done, (uint32_t)CHUNK);

        if (copy_from_guest(buf, from + done, n))
            return -EFAULT;
        console_write_guest(buf, n, c->v->domain->id);
        hcall_breathe(done / CHUNK);
    }
    return 0;
}

static long read(struct hcall *c)
{
    int32_t count = (int32_t)c->arg[1], done = 0;
    char buf[CHUNK];

    if (count < 0)
        return -EINVAL;
    while (done < count) {
        int n = console_read(buf, min(count - done, CHUNK));

        if (n <= 0)
            break;
        if (copy_to_guest(c->arg[2] + done, buf, n))
            return -EFAULT;
        done += n;
    }
    return done;
}

long do_console_io(struct hcall *c)
{
    return (uint32_t)c->arg[0] == CONSOLEIO_write ? write(c) : read(c);
}
