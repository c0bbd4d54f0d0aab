/*
 * Giving up rights once the machine is built (the hypervisor handles were restricted to
 * the domain before): no new privileges, no core of guest memory, another user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int become(const char *user, struct error *error)
{
    const struct passwd *p = getpwnam(user);

    if (!p)
        return error_set(error, -ENOENT, "--run-as: there is no user '%s'", user);
    if (setgroups(0, NULL) || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) ||
        setresuid(p->pw_uid, p->pw_uid, p->pw_uid))
        return error_set(error, -errno, "--run-as: cannot become '%s': %s", user,
                         strerror(errno));
    return 0;
}

int sandbox_enter(const struct config *c, struct error *error)
{
    if (c->sandbox_off)
        return 0;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return c->run_as ? become(c->run_as, error) : 0;
}
