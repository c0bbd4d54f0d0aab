/*
 * create and run: a guest from a file, from the command line, or from both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "disknic.h"
#include "rpc.h"
#include "supervisor.h"

#define CONFIG_MAX (256u << 10)

struct request {
    struct guest_config config;
    char *text; /* the whole configuration */
    size_t bytes;
    bool paused;
};

/* Lists: each mention adds to what the file has. */
static bool key_is_list(const char *key)
{
    return !strcmp(key, "disk") || !strcmp(key, "cdrom") || !strcmp(key, "vif") ||
           !strcmp(key, "device_model_args");
}

static int add_line(FILE *text, const char *argument, size_t key_bytes, const char *value,
                    struct failure *f)
{
    char key[64];
    char quote = strchr(value, '"') ? '\'' : '"';

    snprintf(key, sizeof(key), "%.*s", (int)key_bytes, argument);
    for (char *c = key; *c; c++)
        *c = *c == '-' ? '_' : *c;
    if (strchr(value, quote) || strchr(value, '\n'))
        return fail_with(
            f, -EINVAL, "%s: a value cannot have both kinds of quotes or a newline", key);
    if (key_is_list(key))
        fprintf(text, "%s += [ %c%s%c ]\n", key, quote, value, quote);
    else
        fprintf(text, "%s = %c%s%c\n", key, quote, value, quote);
    return 0;
}

static int add_file(FILE *text, const char *path, struct failure *f)
{
    char buffer[4096];
    struct stat st;
    size_t n;
    FILE *file = fopen(path, "re");

    if (!file || fstat(fileno(file), &st)) {
        fail_with(f, -errno, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > CONFIG_MAX) {
        fail_with(f, -EINVAL, "%s: this is no configuration", path);
    } else {
        while ((n = fread(buffer, 1, sizeof(buffer), file)))
            fwrite(buffer, 1, n, text);
        fputc('\n', text);
    }
    if (file)
        fclose(file);
    return f->text[0] ? -EINVAL : 0;
}

/* --key value, --key=value, key=value, or a file. */
static int add_argument(FILE *text, char **argv, int *i, const char **file,
                        struct failure *f)
{
    const char *a = argv[*i];
    const char *equals = strchr(a, '=');

    if (!strcmp(a, "-m"))
        a = "--memory";
    if (!strncmp(a, "--", 2) && !equals) {
        if (!argv[*i + 1])
            return fail_with(f, -EINVAL, "%s needs a value", a);
        return add_line(text, a + 2, strlen(a + 2), argv[++*i], f);
    }
    if (!strncmp(a, "--", 2))
        return add_line(text, a + 2, (size_t)(equals - a - 2), equals + 1, f);
    if (a[0] == '-')
        return fail_with(f, -EINVAL, "there is no option '%s'; keys are --KEY VALUE", a);
    if (equals && !memchr(a, '/', (size_t)(equals - a)))
        return add_line(text, a, (size_t)(equals - a), equals + 1, f);
    if (*file)
        return fail_with(f, -EINVAL, "two configuration files: %s and %s", *file, a);
    *file = a;
    return add_file(text, a, f);
}

/* A guest without a name gets that of its file. */
static void name_after_file(struct guest_config *c, const char *file)
{
    char copy[4096];

    snprintf(copy, sizeof(copy), "%s", file ? file : "guest");
    const char *base = basename(copy);
    char *dot = strrchr(copy, '.');
    if (dot > base)
        *dot = 0;
    if (!guest_name_valid(base))
        base = "guest";
    snprintf(c->name, sizeof(c->name), "%.*s", GUEST_NAME_MAX, base);
}

static int read_request(int argc, char **argv, struct request *r, struct failure *f)
{
    const char *file = NULL;
    int err = 0;
    FILE *text = open_memstream(&r->text, &r->bytes);

    if (!text)
        return fail_with(f, -ENOMEM, "out of memory");
    /* The file first, wherever it is named, so that arguments override it. */
    for (int pass = 0; pass < 2 && !err; pass++) {
        for (int i = 1; i < argc && !err; i++) {
            bool is_file = argv[i][0] != '-' && !strchr(argv[i], '=');
            if (!strcmp(argv[i], "-p"))
                r->paused = true;
            else if (is_file == (pass == 0))
                err = add_argument(text, argv, &i, &file, f);
            else if (!strncmp(argv[i], "-", 1) && !strchr(argv[i], '='))
                i++; /* the value of an option is no file */
        }
    }
    fclose(text);
    if (!err)
        err =
            config_parse(&r->config, file ? file : "command line", r->text, r->bytes, f);
    if (!err && !r->config.name[0])
        name_after_file(&r->config, file);
    return err;
}

static int start(int argc, char **argv, struct request *r, bool hold, struct failure *f)
{
    int err = read_request(argc, argv, r, f);

    if (!err)
        disks_warn(&r->config);
    if (!err)
        err = supervisor_start(&r->config, r->text, r->paused || hold, f);
    return err;
}

static void show_screen(const char *name)
{
    struct guest_state s;
    struct failure f = {0};

    if (guestdir_read_state(name, &s, &f) == 0 && s.vnc[0])
        fprintf(stderr, "corbel: guest %s, domain %lld, its screen is at VNC %s\n", name,
                (long long)s.domid, s.vnc);
    else
        fprintf(stderr, "corbel: guest %s, domain %lld\n", name, (long long)s.domid);
}

int command_create(int argc, char **argv)
{
    struct request r = {0};
    struct failure f = {0};

    if (argc < 2)
        return usage("create [-p] [FILE] [KEY=VALUE]... [--KEY VALUE]...");
    int err = start(argc, argv, &r, false, &f);
    if (!err)
        show_screen(r.config.name);
    free(r.text);
    config_free(&r.config);
    return err ? complain(&f) : 0;
}

static int show_end(const char *name, const char *ended_by, const char *reason)
{
    fprintf(stderr, "corbel: %s: %s\n", name, reason ? reason : "ended");
    return ended_by && !strcmp(ended_by, "poweroff") ? 0 : STATUS_ENDED;
}

/*
 * Words and exit status for the guest's end, once the supervisor has answered "wait" on
 * `fd`. One that ends just then may not answer any more, but it has written down why.
 */
static int await_end(int fd, const char *name, struct failure *f)
{
    struct guest_state s;
    json_t *answer;
    int status;

    if (fd >= 0 && rpc_receive(fd, &answer, f) == 0) {
        status = show_end(name, json_string_value(json_object_get(answer, "ended_by")),
                          json_string_value(json_object_get(answer, "reason")));
        json_decref(answer);
        return status;
    }
    f->text[0] = 0;
    if (guestdir_read_state(name, &s, f))
        return STATUS_FAILED;
    if (s.phase != PHASE_ENDED) {
        fail_with(f, -EPIPE, "the supervisor of '%s' died; 'corbel destroy %s' tidies up",
                  name, name);
        return STATUS_FAILED;
    }
    return show_end(name, s.ended_by, s.reason);
}

static int run_to_end(const char *name, bool paused, struct failure *f)
{
    json_t *answer = NULL;
    int waiter = rpc_connect(name, f);
    int console = waiter < 0 ? -1 : console_connect(name, f);
    int status = STATUS_FAILED;

    if (console < 0 || rpc_send(waiter, "wait", f))
        goto out;
    if (!paused) {
        if (rpc_call(name, "unpause", &answer, f))
            goto out;
        json_decref(answer);
        answer = NULL;
    }
    if (console_loop(console)) {
        fprintf(stderr,
                "\r\ncorbel: left; guest %s runs on, 'corbel console %s' returns\n", name,
                name);
        status = 0;
    } else {
        status = await_end(waiter, name, f);
    }
out:
    if (waiter >= 0)
        close(waiter);
    if (console >= 0)
        close(console);
    return status;
}

int command_run(int argc, char **argv)
{
    struct request r = {0};
    struct failure f = {0};

    if (argc < 2)
        return usage("run [-p] [FILE] [KEY=VALUE]... [--KEY VALUE]...");
    int err = start(argc, argv, &r, true, &f);
    int status = STATUS_FAILED;
    if (!err) {
        show_screen(r.config.name);
        status = run_to_end(r.config.name, r.paused, &f);
    }
    if (f.text[0])
        complain(&f);
    free(r.text);
    config_free(&r.config);
    return status;
}

int wait_for_end(const char *name, struct failure *f)
{
    int fd = rpc_connect(name, f);

    if (fd >= 0 && rpc_send(fd, "wait", f)) {
        close(fd);
        fd = -1;
    }
    int status = await_end(fd, name, f);
    if (fd >= 0)
        close(fd);
    return status;
}

int command_wait(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;

    if (argc != 2)
        return usage("wait GUEST");
    if (guestdir_find(argv[1], &s, &f))
        return complain(&f);
    int status = wait_for_end(s.name, &f);
    return f.text[0] ? complain(&f) : status;
}
