/*
 * A guest's directory.  See guestdir.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "guestdir.h"

static const char *const phases[] = {
    [PHASE_STARTING] = "starting",
    [PHASE_RUNNING] = "running",
    [PHASE_PAUSED] = "paused",
    [PHASE_ENDED] = "ended",
};

const char *phase_name(enum guest_phase phase)
{
    return phases[phase];
}

static enum guest_phase phase_of(const char *name)
{
    for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        if (name && !strcmp(name, phases[i]))
            return (enum guest_phase)i;
    }
    return PHASE_ENDED;
}

void guest_path(char path[GUEST_PATH_MAX], const char *name, const char *file)
{
    /* Names are at most GUEST_NAME_MAX long and file names are our own. */
    snprintf(path, GUEST_PATH_MAX, "%s/%.*s%s%s", GUESTS_DIR, GUEST_NAME_MAX, name,
             file ? "/" : "", file ? file : "");
}

bool guest_alive(const struct guest_state *s)
{
    return s->phase != PHASE_ENDED && s->supervisor > 0 &&
           (kill(s->supervisor, 0) == 0 || errno == EPERM);
}

/* Remove what is in a guest's directory; it holds no directories. */
static void empty_directory(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

int guestdir_create(const char *name, struct failure *f)
{
    char path[GUEST_PATH_MAX];
    struct guest_state old;
    struct failure none = {0};

    if (mkdir(GUESTS_DIR, 0755) && errno != EEXIST)
        return fail_with(f, -errno, "%s: %s", GUESTS_DIR, strerror(errno));
    guest_path(path, name, NULL);
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return fail_with(f, -errno, "%s: %s", path, strerror(errno));
    if (guestdir_read_state(name, &old, &none) == 0 && guest_alive(&old))
        return fail_with(f, -EEXIST, "a guest '%s' is there already (domain %lld)", name,
                         (long long)old.domid);
    empty_directory(path);
    return 0;
}

int guestdir_write_state(const struct guest_state *s, struct failure *f)
{
    char path[GUEST_PATH_MAX], new[GUEST_PATH_MAX];
    json_t *j =
        json_pack("{ss ss ss ss ss sI si si sI si si ss sI}", "name", s->name, "uuid",
                  s->uuid, "phase", phase_name(s->phase), "reason", s->reason, "ended_by",
                  s->ended_by, "domid", (json_int_t)s->domid, "supervisor",
                  (int)s->supervisor, "device_model", (int)s->device_model, "memory_mib",
                  (json_int_t)s->memory_mib, "vcpus", (int)s->vcpus, "restarts",
                  (int)s->restarts, "vnc", s->vnc, "created", (json_int_t)s->created);

    guest_path(path, s->name, "state.json");
    guest_path(new, s->name, "state.new");
    int err = j && json_dump_file(j, new, JSON_INDENT(1)) == 0 ? 0 : -EIO;
    json_decref(j);
    if (!err && rename(new, path))
        err = -errno;
    return err ? fail_with(f, err, "cannot write %s: %s", path, strerror(-err)) : 0;
}

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}

int guestdir_read_state(const char *name, struct guest_state *s, struct failure *f)
{
    char path[GUEST_PATH_MAX];
    json_error_t error;

    guest_path(path, name, "state.json");
    /* `name` may be that in `s` itself. */
    char kept[GUEST_NAME_MAX + 1];
    snprintf(kept, sizeof(kept), "%s", name);
    memset(s, 0, sizeof(*s));
    json_t *j = json_load_file(path, 0, &error);
    if (!j && access(path, F_OK))
        return fail_with(f, -ENOENT,
                         "there is no guest '%s'; 'corbel list' shows those there are",
                         kept);
    if (!j)
        return fail_with(f, -EIO, "%s: %s", path, error.text);
    copy_text(s->name, sizeof(s->name), kept);
    copy_text(s->uuid, sizeof(s->uuid), json_string_value(json_object_get(j, "uuid")));
    s->phase = phase_of(json_string_value(json_object_get(j, "phase")));
    copy_text(s->reason, sizeof(s->reason),
              json_string_value(json_object_get(j, "reason")));
    copy_text(s->ended_by, sizeof(s->ended_by),
              json_string_value(json_object_get(j, "ended_by")));
    copy_text(s->vnc, sizeof(s->vnc), json_string_value(json_object_get(j, "vnc")));
    s->domid = json_integer_value(json_object_get(j, "domid"));
    s->supervisor = (pid_t)json_integer_value(json_object_get(j, "supervisor"));
    s->device_model = (pid_t)json_integer_value(json_object_get(j, "device_model"));
    s->memory_mib = (uint64_t)json_integer_value(json_object_get(j, "memory_mib"));
    s->vcpus = (unsigned)json_integer_value(json_object_get(j, "vcpus"));
    s->restarts = (unsigned)json_integer_value(json_object_get(j, "restarts"));
    s->created = json_integer_value(json_object_get(j, "created"));
    json_decref(j);
    return 0;
}

static int by_domid(const void *a, const void *b)
{
    const struct guest_state *x = a, *y = b;

    /* Guests that have ended come last. */
    if ((x->domid < 0) != (y->domid < 0))
        return x->domid < 0 ? 1 : -1;
    return x->domid != y->domid ? (x->domid > y->domid ? 1 : -1)
                                : strcmp(x->name, y->name);
}

int guestdir_list(struct guest_state **list, unsigned *count, struct failure *f)
{
    DIR *dir = opendir(GUESTS_DIR);
    struct dirent *entry;
    unsigned room = 0;

    *list = NULL;
    *count = 0;
    if (!dir)
        return errno == ENOENT
                   ? 0
                   : fail_with(f, -errno, "%s: %s", GUESTS_DIR, strerror(errno));
    while ((entry = readdir(dir))) {
        struct failure none = {0};
        if (!guest_name_valid(entry->d_name))
            continue;
        if (*count == room) {
            room = room ? room * 2 : 16;
            struct guest_state *more = realloc(*list, room * sizeof(**list));
            if (!more) {
                free(*list);
                closedir(dir);
                return fail_with(f, -ENOMEM, "out of memory");
            }
            *list = more;
        }
        if (guestdir_read_state(entry->d_name, &(*list)[*count], &none) == 0)
            (*count)++;
    }
    closedir(dir);
    if (*count)
        qsort(*list, *count, sizeof(**list), by_domid);
    return 0;
}

int guestdir_find(const char *name_or_domid, struct guest_state *s, struct failure *f)
{
    struct guest_state *list;
    unsigned count;
    char *end;
    long domid = strtol(name_or_domid, &end, 10);

    if (*end || end == name_or_domid) {
        if (!guest_name_valid(name_or_domid))
            return fail_with(f, -EINVAL, "'%s' is no name of a guest", name_or_domid);
        return guestdir_read_state(name_or_domid, s, f);
    }
    int err = guestdir_list(&list, &count, f);
    if (err)
        return err;
    err = -ENOENT;
    for (unsigned i = 0; i < count && err; i++) {
        if (list[i].domid == domid && list[i].phase != PHASE_ENDED) {
            *s = list[i];
            err = 0;
        }
    }
    free(list);
    return err ? fail_with(f, err, "domain %ld is none of corbel's guests", domid) : 0;
}
