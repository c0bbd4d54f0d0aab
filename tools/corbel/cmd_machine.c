/*
 * dmesg and debug-keys: talking with the hypervisor's own console.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "commands.h"

#define RING_PART 16384u

static int show_ring(struct hypervisor *h, bool clear, struct failure *f)
{
    char part[RING_PART];
    uint32_t index = 0;

    for (;;) {
        unsigned bytes = sizeof(part);
        if (xc_readconsolering(h->xch, part, &bytes, clear, 1, &index))
            return fail_with(f, -errno, "cannot read the hypervisor's messages: %s",
                             strerror(errno));
        if (bytes == 0)
            return 0;
        fwrite(part, 1, bytes, stdout);
    }
}

int command_dmesg(int argc, char **argv)
{
    struct failure f = {0};
    struct hypervisor h;
    bool clear = argc == 2 && !strcmp(argv[1], "-c");

    if (argc != 1 + clear)
        return usage("dmesg [-c]");
    if (hypervisor_open(&h, &f))
        return complain(&f);
    int err = show_ring(&h, clear, &f);
    hypervisor_close(&h);
    return err ? complain(&f) : 0;
}

int command_debug_keys(int argc, char **argv)
{
    struct failure f = {0};
    struct hypervisor h;

    if (argc != 2 || !argv[1][0])
        return usage("debug-keys KEYS (h: the hypervisor lists them in its messages)");
    if (hypervisor_open(&h, &f))
        return complain(&f);
    if (xc_send_debug_keys(h.xch, argv[1]))
        fail_with(&f, -errno, "the hypervisor takes no keys: %s", strerror(errno));
    hypervisor_close(&h);
    return f.text[0] ? complain(&f) : 0;
}
