/*
 * A process beside the device model that puts its domain to sleep (ACPI's S3) and wakes
 * it: that is an HVM parameter, which a process that is bound to one domain cannot set.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_XEN_SLEEP_H
#define DEVMODEL_XEN_SLEEP_H

#include "machine.h"

struct sleeper;

/* Start the process; before the sandbox.  NULL: there is none, with the reason. */
struct sleeper *sleeper_start(unsigned domid, struct error *error);
void sleeper_stop(struct sleeper *s);

/* The domain's vCPUs and the hypervisor's devices are reset, and wait for the other call.
 * `rtc` is what the clock's registers hold, 0 if they cannot be had. */
int sleeper_sleep(struct sleeper *s, uint8_t rtc[RTC_REGISTERS], struct error *error);
int sleeper_wake(struct sleeper *s, struct error *error);

#endif
