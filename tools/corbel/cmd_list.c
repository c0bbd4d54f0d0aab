/*
 * list, info and top: what there is and what it does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "model.h"

#define BATCH       64u
#define PAGES_MIB   256u
#define NS_PER_S    1000000000ull
#define TOP_MS      1000
#define TOP_FOREVER (-1)

static const char *name_of(uint32_t domid, const struct guest_state *guests, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (guests[i].domid == domid && guests[i].phase != PHASE_ENDED)
            return guests[i].name;
    }
    return domid == 0 ? "Domain-0" : "(not corbel's)";
}

/* As xl shows it: running, blocked, paused, shut down, crashed, dying; or suspended to
 * RAM.
 */
static void flag_letters(struct hypervisor *h, const xc_domaininfo_t *d, char flags[8])
{
    unsigned code = d->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
    bool shut = d->flags & XEN_DOMINF_shutdown;

    flags[0] = d->flags & XEN_DOMINF_running ? 'r' : '-';
    flags[1] = d->flags & XEN_DOMINF_blocked ? 'b' : '-';
    flags[2] = d->flags & XEN_DOMINF_paused ? 'p' : '-';
    flags[3] = shut && code != SHUTDOWN_crash ? 's' : '-';
    flags[4] = shut && code == SHUTDOWN_crash ? 'c' : '-';
    flags[5] = d->flags & XEN_DOMINF_dying ? 'd' : '-';
    flags[6] = 0;
    if (!shut && !(d->flags & XEN_DOMINF_dying) && domain_asleep(h, d->domain))
        strcpy(flags, "asleep");
}

int domain_rows(struct hypervisor *h, struct domain_row **rows, unsigned *count,
                struct failure *f)
{
    xc_domaininfo_t info[BATCH];
    struct guest_state *guests = NULL;
    unsigned n_guests = 0, n = 0;
    uint32_t next = 0;
    int got, err = guestdir_list(&guests, &n_guests, f);

    *rows = NULL;
    while (!err && (got = xc_domain_getinfolist(h->xch, next, BATCH, info)) != 0) {
        if (got < 0) {
            err = fail_with(f, -errno, "cannot list the domains: %s", strerror(errno));
            break;
        }
        struct domain_row *more = realloc(*rows, (n + (unsigned)got) * sizeof(**rows));
        if (!more) {
            err = fail_with(f, -ENOMEM, "out of memory");
            break;
        }
        *rows = more;
        for (int i = 0; i < got; i++) {
            struct domain_row *r = &more[n++];
            r->domid = info[i].domain;
            snprintf(r->name, sizeof(r->name), "%s", name_of(r->domid, guests, n_guests));
            /* Without the window of the VGA it would look like one MiB less. */
            r->memory_mib = (info[i].tot_pages + PAGES_MIB / 2) / PAGES_MIB;
            r->vcpus = info[i].nr_online_vcpus;
            r->cpu_ns = info[i].cpu_time;
            flag_letters(h, &info[i], r->flags);
        }
        next = (uint32_t)info[got - 1].domain + 1;
    }
    free(guests);
    if (err) {
        free(*rows);
        *rows = NULL;
    }
    *count = n;
    return err;
}

static void show_ended(struct failure *f)
{
    struct guest_state *guests;
    unsigned n;

    if (guestdir_list(&guests, &n, f))
        return;
    for (unsigned i = 0; i < n; i++) {
        if (!guest_alive(&guests[i]))
            printf("%-24s    - %6llu %5u ended  %s\n", guests[i].name,
                   (unsigned long long)guests[i].memory_mib, guests[i].vcpus,
                   guests[i].phase == PHASE_ENDED ? guests[i].reason
                                                  : "its supervisor died; destroy it");
    }
    free(guests);
}

int command_list(int argc, char **argv)
{
    struct failure f = {0};
    struct hypervisor h;
    struct domain_row *rows;
    unsigned n;
    bool all = argc == 2 && !strcmp(argv[1], "-a");

    if (argc != 1 + all)
        return usage("list [-a]");
    if (hypervisor_open(&h, &f))
        return complain(&f);
    int err = domain_rows(&h, &rows, &n, &f);
    hypervisor_close(&h);
    if (err)
        return complain(&f);
    printf("%-24s %4s %6s %5s %-6s %9s\n", "Name", "ID", "MiB", "VCPUs", "State",
           "CPU(s)");
    for (unsigned i = 0; i < n; i++)
        printf("%-24s %4u %6llu %5u %-6s %9.1f\n", rows[i].name, rows[i].domid,
               (unsigned long long)rows[i].memory_mib, rows[i].vcpus, rows[i].flags,
               (double)rows[i].cpu_ns / NS_PER_S);
    free(rows);
    if (all)
        show_ended(&f);
    return f.text[0] ? complain(&f) : 0;
}

static int info_machine(struct hypervisor *h, struct failure *f)
{
    xc_physinfo_t p = {0};
    xen_extraversion_t extra = {0};
    xen_capabilities_info_t caps = {0};
    xen_commandline_t line = {0};
    int version = xc_version(h->xch, XENVER_version, NULL);

    if (xc_physinfo(h->xch, &p))
        return fail_with(f, -errno, "cannot ask the hypervisor: %s", strerror(errno));
    xc_version(h->xch, XENVER_extraversion, extra);
    xc_version(h->xch, XENVER_capabilities, caps);
    xc_version(h->xch, XENVER_commandline, line);
    printf("hypervisor    : %d.%d%s\n", version >> 16, version & 0xffff, extra);
    printf("capabilities  : %s\n", caps);
    printf("command line  : %s\n", line);
    printf("cpus          : %u\n", p.nr_cpus);
    printf("cpu MHz       : %u.%03u\n", p.cpu_khz / 1000, p.cpu_khz % 1000);
    printf("memory MiB    : %llu\n", (unsigned long long)p.total_pages / PAGES_MIB);
    printf("free MiB      : %llu\n", (unsigned long long)p.free_pages / PAGES_MIB);
    printf("guests        : %s%s%s\n",
           p.capabilities & XEN_SYSCTL_PHYSCAP_hvm ? "hvm " : "",
           p.capabilities & XEN_SYSCTL_PHYSCAP_hap ? "nested-paging " : "",
           p.capabilities & XEN_SYSCTL_PHYSCAP_directio ? "passthrough" : "");
    return 0;
}

static void info_guest(struct hypervisor *h, const struct guest_state *s)
{
    char path[GUEST_PATH_MAX], created[32], flags[8] = "ended";
    time_t when = (time_t)s->created;
    struct tm tm;
    xc_domaininfo_t d;

    guest_path(path, s->name, NULL);
    strftime(created, sizeof(created), "%Y-%m-%d %H:%M:%S", localtime_r(&when, &tm));
    printf("name          : %s\nuuid          : %s\n", s->name, s->uuid);
    printf("phase         : %s\n", guest_alive(s) ? phase_name(s->phase) : "ended");
    if (s->reason[0])
        printf("reason        : %s\n", s->reason);
    if (guest_alive(s) && s->domid > 0 && domain_info(h, (uint32_t)s->domid, &d) == 0) {
        flag_letters(h, &d, flags);
        printf("domain        : %lld\nstate         : %s\n", (long long)s->domid, flags);
        printf("memory MiB    : %llu of at most %llu\n",
               (unsigned long long)d.tot_pages / PAGES_MIB,
               (unsigned long long)d.max_pages / PAGES_MIB);
        printf("cpu seconds   : %.1f\n", (double)d.cpu_time / NS_PER_S);
    }
    printf("ram MiB       : %llu\nvcpus         : %u\nrestarts      : %u\n",
           (unsigned long long)s->memory_mib, s->vcpus, s->restarts);
    printf("vnc           : %s\n", s->vnc[0] ? s->vnc : "none");
    printf("created       : %s\ndirectory     : %s\n", created, path);
    printf("processes     : supervisor %d, device model %d\n", (int)s->supervisor,
           (int)s->device_model);
}

int command_info(int argc, char **argv)
{
    struct failure f = {0};
    struct hypervisor h;
    struct guest_state s;
    int err = 0;

    if (argc > 2)
        return usage("info [GUEST]");
    if (hypervisor_open(&h, &f))
        return complain(&f);
    if (argc == 1) {
        err = info_machine(&h, &f);
    } else {
        err = guestdir_find(argv[1], &s, &f);
        if (!err)
            info_guest(&h, &s);
    }
    hypervisor_close(&h);
    return err ? complain(&f) : 0;
}

/* ---- top ----------------------------------------------------------------------------
 */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_before(const struct domain_row *rows, unsigned n, uint32_t domid)
{
    for (unsigned i = 0; i < n; i++) {
        if (rows[i].domid == domid)
            return rows[i].cpu_ns;
    }
    return UINT64_MAX;
}

static void show_top(struct hypervisor *h, const struct domain_row *rows, unsigned n,
                     const struct domain_row *old, unsigned n_old, uint64_t ns, bool live)
{
    xc_physinfo_t p = {0};

    xc_physinfo(h->xch, &p);
    printf("%s%u domains, %u CPUs, %llu of %llu MiB free%s\n", live ? "\033[H\033[J" : "",
           n, p.nr_cpus, (unsigned long long)p.free_pages / PAGES_MIB,
           (unsigned long long)p.total_pages / PAGES_MIB, live ? "; q leaves" : "");
    printf("%-24s %4s %-6s %6s %9s %6s %5s\n", "Name", "ID", "State", "CPU%", "CPU(s)",
           "MiB", "VCPUs");
    for (unsigned i = 0; i < n; i++) {
        uint64_t before = cpu_before(old, n_old, rows[i].domid);
        double share = before <= rows[i].cpu_ns && ns
                           ? 100.0 * (double)(rows[i].cpu_ns - before) / (double)ns
                           : 0;
        printf("%-24s %4u %-6s %6.1f %9.1f %6llu %5u\n", rows[i].name, rows[i].domid,
               rows[i].flags, share, (double)rows[i].cpu_ns / NS_PER_S,
               (unsigned long long)rows[i].memory_mib, rows[i].vcpus);
    }
    fflush(stdout);
}

/* Wait for the next picture; false when the user wants to leave. */
static bool top_wait(bool keys)
{
    struct pollfd p = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
    char c = 0;

    if (poll(&p, 1, TOP_MS) <= 0)
        return true;
    return read(STDIN_FILENO, &c, 1) == 1 && c != 'q' && c != 3;
}

static int top_loop(struct hypervisor *h, long pictures, bool live, struct failure *f)
{
    struct domain_row *rows = NULL, *old = NULL;
    unsigned n = 0, n_old = 0;
    uint64_t then = 0;
    int err = 0;

    for (long i = 0; pictures == TOP_FOREVER || i < pictures; i++) {
        uint64_t now = now_ns();
        err = domain_rows(h, &rows, &n, f);
        if (err)
            break;
        show_top(h, rows, n, old, n_old, then ? now - then : 0, live);
        free(old);
        old = rows;
        n_old = n;
        then = now;
        if (i + 1 != pictures && !top_wait(live))
            break;
    }
    free(old);
    return err;
}

int command_top(int argc, char **argv)
{
    struct failure f = {0};
    struct hypervisor h;
    struct termios saved, keys;
    bool live = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    long pictures = live ? TOP_FOREVER : 1;

    if (argc == 3 && !strcmp(argv[1], "-n"))
        pictures = strtol(argv[2], NULL, 10);
    else if (argc != 1)
        return usage("top [-n PICTURES]");
    if (pictures == 0 || pictures < TOP_FOREVER)
        return usage("top [-n PICTURES]");
    if (hypervisor_open(&h, &f))
        return complain(&f);
    if (live && tcgetattr(STDIN_FILENO, &saved) == 0) {
        keys = saved;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    int err = top_loop(&h, pictures, live, &f);
    if (live)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    hypervisor_close(&h);
    return err ? complain(&f) : 0;
}
