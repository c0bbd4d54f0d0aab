/*
 * pause, unpause, shutdown, wakeup, reboot, destroy: what is done to a guest that runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "model.h"
#include "rpc.h"

#define BUTTON_MS 5000u
#define GONE_MS   30000u

/* Find the guest and pass the request to its supervisor. */
static int ask(const char *who, const char *request)
{
    struct failure f = {0};
    struct guest_state s;
    json_t *answer;

    if (guestdir_find(who, &s, &f))
        return complain(&f);
    if (!guest_alive(&s)) {
        fail_with(&f, -ESRCH, "guest '%s' has ended: %s", s.name, s.reason);
        return complain(&f);
    }
    if (rpc_call(s.name, request, &answer, &f))
        return complain(&f);
    json_decref(answer);
    return 0;
}

int command_pause(int argc, char **argv)
{
    return argc == 2 ? ask(argv[1], "pause") : usage("pause GUEST");
}

int command_unpause(int argc, char **argv)
{
    return argc == 2 ? ask(argv[1], "unpause") : usage("unpause GUEST");
}

int command_reboot(int argc, char **argv)
{
    return argc == 2 ? ask(argv[1], "reboot") : usage("reboot GUEST");
}

int command_wakeup(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;

    if (argc != 2)
        return usage("wakeup GUEST");
    if (model_guest(argv[1], " and so does not sleep", &s, &f) ||
        model_command(s.name, "system_wakeup", BUTTON_MS, &f))
        return complain(&f);
    return 0;
}

int command_shutdown(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;
    bool wait = argc == 3 && !strcmp(argv[1], "-w");

    if (argc != 2 + wait)
        return usage("shutdown [-w] GUEST");
    if (model_guest(argv[argc - 1], " and so no power button", &s, &f) ||
        model_command(s.name, "system_powerdown", BUTTON_MS, &f))
        return complain(&f);
    if (!wait)
        return 0;
    wait_for_end(s.name, &f);
    return f.text[0] ? complain(&f) : 0;
}

/* The supervisor is gone without having tidied up: do its work. */
static int destroy_orphan(struct guest_state *s, struct failure *f)
{
    struct hypervisor h;
    xc_domaininfo_t info;
    uint8_t uuid[16];

    int err = hypervisor_open(&h, f);
    if (err)
        return err;
    if (s->device_model > 0)
        kill(s->device_model, SIGKILL);
    /* Its number may be another domain's by now. */
    if (s->domid > 0 && domain_info(&h, (uint32_t)s->domid, &info) == 0 &&
        uuid_parse(s->uuid, uuid) == 0 && !memcmp(uuid, info.handle, sizeof(uuid)))
        err = domain_destroy(&h, (uint32_t)s->domid, f);
    hypervisor_close(&h);
    if (err)
        return err;
    s->phase = PHASE_ENDED;
    s->domid = -1;
    snprintf(s->ended_by, sizeof(s->ended_by), "destroy");
    snprintf(s->reason, sizeof(s->reason), "destroyed after its supervisor had died");
    return guestdir_write_state(s, f);
}

/* A domain that other tools made. */
static int destroy_foreign(const char *number, struct failure *f)
{
    struct hypervisor h;
    xc_domaininfo_t info;
    char *end;
    long domid = strtol(number, &end, 10);

    if (*end || end == number || domid <= 0)
        return fail_with(f, -ENOENT, "there is no guest '%s'", number);
    int err = hypervisor_open(&h, f);
    if (err)
        return err;
    err = domain_info(&h, (uint32_t)domid, &info);
    if (err)
        fail_with(f, err, "there is no domain %ld", domid);
    else
        err = domain_destroy(&h, (uint32_t)domid, f);
    hypervisor_close(&h);
    return err;
}

int command_destroy(int argc, char **argv)
{
    struct failure f = {0}, none = {0};
    struct guest_state s;
    json_t *answer;
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};

    if (argc != 2)
        return usage("destroy GUEST");
    if (guestdir_find(argv[1], &s, &f)) {
        if (destroy_foreign(argv[1], &none) == 0)
            return 0;
        return complain(&f);
    }
    if (s.phase == PHASE_ENDED) {
        fail_with(&f, -ESRCH, "guest '%s' has ended: %s", s.name, s.reason);
        return complain(&f);
    }
    if (!guest_alive(&s))
        return destroy_orphan(&s, &f) ? complain(&f) : 0;
    if (rpc_call(s.name, "destroy", &answer, &f))
        return complain(&f);
    json_decref(answer);
    /* Done means that its memory is free again. */
    for (unsigned i = 0; i < GONE_MS / 10; i++) {
        if (guestdir_read_state(s.name, &s, &f))
            return complain(&f);
        if (s.phase == PHASE_ENDED)
            return 0;
        nanosleep(&moment, NULL);
    }
    fail_with(&f, -ETIMEDOUT, "guest '%s' still ends; its log tells more", s.name);
    return complain(&f);
}
