/* The hypervisor's versions of C library functions get names of their own in host tests.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#define memcpy    xen_memcpy
#define memmove   xen_memmove
#define memset    xen_memset
#define memcmp    xen_memcmp
#define strlen    xen_strlen
#define strnlen   xen_strnlen
#define strcmp    xen_strcmp
#define strncmp   xen_strncmp
#define strchr    xen_strchr
#define strstr    xen_strstr
#define strlcpy   xen_strlcpy
#define strtoull  xen_strtoull
#define snprintf  xen_snprintf
#define vsnprintf xen_vsnprintf
