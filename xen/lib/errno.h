/* Error numbers of the public ABI under their usual names; they are those of Linux.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_ERRNO_H
#define CORBEL_LIB_ERRNO_H

#if __STDC_HOSTED__
#include <errno.h>
#else
enum {
#define XEN_ERRNO(name, value) name = value,
#include <xen/errno.h>
    EINTR = 4, /* hypervisor only: a blocked vCPU has to unwind */
};
#endif

#endif
