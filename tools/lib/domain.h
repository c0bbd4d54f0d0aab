/*
 * Builds, starts and removes HVM domains with libxenctrl alone.
 *
 * A domain goes through domain_create() (exists, paused, no memory), domain_build() (RAM,
 * firmware, CPU policy, first vCPU at the reset vector), then the device model attaches,
 * then domain_unpause().  domain_destroy() is right at every point after domain_create().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TOOLS_DOMAIN_H
#define TOOLS_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xentoollog.h>

#include "failure.h"

#define DOMAIN_MAX_VCPUS 128
#define DOMAIN_MIN_BYTES (4ull << 20)
#define DOMAIN_MAX_CPUS  1024 /* of the machine, for affinity */

/* The handles that everything here needs. */
struct hypervisor {
    xentoollog_logger *log;
    xc_interface *xch;
    xenforeignmemory_handle *fmem;
};

struct domain_spec {
    uint8_t uuid[16];
    uint64_t ram_bytes;   /* a multiple of 1 MiB */
    uint64_t extra_bytes; /* what the device model may add: video memory, option ROMs */
    unsigned vcpus;
    const char *firmware; /* file; ends at 4 GiB */
    bool hpet;
    bool xen_leaves;  /* show the hypervisor's interface to the guest */
    bool viridian;    /* Hyper-V leaves */
    bool native_tsc;  /* RDTSC runs without an exit */
    uint32_t tsc_khz; /* what its TSC counts in a ms; 0: as the machine's. Not with
                         native_tsc */
    uint16_t weight;  /* 256: one share of a busy CPU; 0: that */
    uint16_t cap;     /* percent of one CPU that all vCPUs may use; 0: no limit */
    bool any_cpu;     /* else only those of `cpus` */
    uint8_t cpus[DOMAIN_MAX_CPUS / 8];
};

/* -EACCES, -ENOENT with words when there is no hypervisor or no permission. */
int hypervisor_open(struct hypervisor *h, struct failure *f);
void hypervisor_close(struct hypervisor *h);

int domain_create(struct hypervisor *h, const struct domain_spec *spec, uint32_t *domid,
                  struct failure *f);
int domain_build(struct hypervisor *h, const struct domain_spec *spec, uint32_t domid,
                 struct failure *f);
int domain_destroy(struct hypervisor *h, uint32_t domid, struct failure *f);

/* -ESRCH when the domain is gone. */
int domain_info(struct hypervisor *h, uint32_t domid, xc_domaininfo_t *info);

/* Is it suspended to RAM?  False, too, when that cannot be found out. */
bool domain_asleep(struct hypervisor *h, uint32_t domid);

/* "poweroff", "reboot", "suspend", "crash", "watchdog", "soft-reset". */
const char *shutdown_name(unsigned code);

/* ram.c: pure */

/* A range of guest frames, [first, end), that shall be RAM. */
struct ram_range {
    uint64_t first, end;
};
#define RAM_RANGES 3

/* The ranges of a guest with this much RAM; returns how many. */
unsigned ram_layout(uint64_t bytes, struct ram_range range[RAM_RANGES]);

/*
 * The longest run of extents of one size that starts at `first` and uses the largest size
 * that fits: *order is 18, 9 or 0 (1 GiB, 2 MiB, 4 KiB); returns the number of extents.
 */
uint64_t ram_run(uint64_t first, uint64_t end, unsigned *order);

/* cpustate.c: pure */

/*
 * A stream of HVM context records that puts vCPU 0 into its state after RESET (AMD APM
 * vol. 2, 14.1.3; Intel SDM vol. 3, 9.1.1).  `header` becomes the stream's header record.
 * Returns the bytes used of `buffer`, or -ENOSPC.
 */
struct hvm_save_header;
int cpustate_reset(const struct hvm_save_header *header, void *buffer, size_t room);

#endif
