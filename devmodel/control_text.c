/*
 * The text monitor: lines such as `xl qemu-monitor-command GUEST "info block"` sends. The
 * words are those of QEMU's; each becomes a command of the control socket, and its answer
 * a text.  What went wrong is a text, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "control.h"
#include "options.h"

enum { MAX_WORDS = 8, MAX_LINE = 1024, MAX_ANSWER = 16384, MAX_DEPTH = 8 };

/* An answer that grows up to its limit; what does not fit is left out. */
struct answer {
    char text[MAX_ANSWER];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct answer *a,
                                                      const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int n = vsnprintf(a->text + a->used, sizeof(a->text) - a->used, format, list);
    va_end(list);
    if (n > 0)
        a->used += (size_t)n;
    if (a->used >= sizeof(a->text))
        a->used = sizeof(a->text) - 1;
}

/*
 * A command of words.  `parameters` are the members of the command's arguments in the
 * order of the words: "-f force" is a flag, "=" before a name takes a size, "+" a list of
 * keys like ctrl-alt-delete, "*" options like driver=NAME,id=NAME, and "?" a word that
 * may be missing.
 */
struct verb {
    const char *name, *command;
    const char *parameters[4];
    const char *help;
};

static const struct verb verbs[] = {
    {"block_resize",
     "block_resize",
     {"device", "=size"},
     "DEVICE SIZE: a disk's new size"},
    {"change", "change", {"device", "target", "?format"}, "DEVICE FILE: another disc"},
    {"cont", "cont", {NULL}, ": the guest runs"},
    {"device_add", "device_add", {"*driver"}, "DRIVER,PROPERTY=VALUE...: a device more"},
    {"device_del", "device_del", {"id"}, "ID: a device less"},
    {"eject", "eject", {"-f force", "device"}, "[-f] DEVICE: the disc comes out"},
    {"quit", "quit", {NULL}, ": the device model ends"},
    {"screendump", "screendump", {"filename"}, "FILE: the screen as a PPM picture"},
    {"sendkey", "send-key", {"+keys"}, "KEY-KEY...: keys pressed together"},
    {"stop", "stop", {NULL}, ": the guest stands still"},
    {"system_powerdown", "system_powerdown", {NULL}, ": the power button"},
    {"system_reset", "system_reset", {NULL}, ": the reset button"},
    {"system_wakeup", "system_wakeup", {NULL}, ": the end of a suspend to RAM"},
};

/* ---- info ----------------------------------------------------------------------------
 */

/* Any answer, a line for each member of a list. */
static void flat(struct answer *a, json_t *value, unsigned depth)
{
    const char *name, *separator = "";
    json_t *member;
    size_t i;

    if (depth > MAX_DEPTH)
        return;
    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            flat(a, member, depth + 1);
            say(a, "\r\n");
        }
    } else if (json_is_object(value)) {
        json_object_foreach(value, name, member)
        {
            say(a, "%s%s%s", separator, name, json_is_object(member) ? ": " : "=");
            flat(a, member, depth + 1);
            separator = " ";
        }
    } else if (json_is_string(value)) {
        say(a, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        say(a, "%lld", (long long)json_integer_value(value));
    } else {
        say(a, "%s", json_is_true(value) ? "true" : "false");
    }
}

static void info_block(struct machine *m, struct answer *a)
{
    for (struct block_backend *b = m->blocks; b; b = b->next)
        say(a, "%s: %s\r\n", b->id, b->file ? b->file : "[not inserted]");
}

static void info_status(struct machine *m, struct answer *a)
{
    struct error error = {0};
    json_t *status = control_execute(m, "query-status", NULL, &error);
    const char *word = json_string_value(json_object_get(status, "status"));

    if (strcmp(word, "running") == 0 || strcmp(word, "paused") == 0)
        say(a, "VM status: %s\r\n", word);
    else
        say(a, "VM status: paused (%s)\r\n", word);
    json_decref(status);
}

static void info_version(struct machine *m, struct answer *a)
{
    say(a, "7.2.0corbel-dm\r\n");
}

static void info_name(struct machine *m, struct answer *a)
{
    if (m->name)
        say(a, "%s\r\n", m->name);
}

/* `info NAME` is told by a function, or is the command's answer made flat. */
static const struct {
    const char *name;
    void (*tell)(struct machine *m, struct answer *a);
    const char *command;
} subjects[] = {
    {"block", info_block, NULL},        {"blockstats", NULL, "query-blockstats"},
    {"chardev", NULL, "query-chardev"}, {"cpus", NULL, "query-cpus-fast"},
    {"name", info_name, NULL},          {"pci", NULL, "query-pci"},
    {"status", info_status, NULL},      {"version", info_version, NULL},
    {"vnc", NULL, "query-vnc"},
};

static void tell_subjects(struct answer *a)
{
    for (unsigned i = 0; i < ARRAY_LEN(subjects); i++)
        say(a, "info %s\r\n", subjects[i].name);
}

static void info(struct machine *m, struct answer *a, const char *name)
{
    struct error error = {0};

    if (!name) {
        tell_subjects(a);
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(subjects); i++) {
        if (strcmp(subjects[i].name, name) != 0)
            continue;
        if (subjects[i].tell) {
            subjects[i].tell(m, a);
            return;
        }
        json_t *value = control_execute(m, subjects[i].command, NULL, &error);
        if (!value)
            say(a, "Error: %s\r\n", error.text);
        flat(a, value, 0);
        json_decref(value);
        return;
    }
    say(a, "unknown command: 'info %.40s'\r\n", name);
}

/* ---- words to arguments --------------------------------------------------------------
 */

/* A size: in MiB unless it ends with K, M, G or T. -1 if it is none. */
static json_int_t size(const char *word)
{
    bool number = word[strspn(word, "0123456789")] == 0;
    char text[32];
    uint64_t bytes;

    snprintf(text, sizeof(text), "%.30s%s", word, number ? "M" : "");
    return parse_size(text, &bytes) || bytes > INT64_MAX ? -1 : (json_int_t)bytes;
}

/* Keys like ctrl-alt-f1; key codes as numbers (0x1c) too. */
static json_t *keys(char *word)
{
    json_t *list = json_array();
    char *rest, *end;

    for (char *key = strtok_r(word, "-", &rest); key; key = strtok_r(NULL, "-", &rest)) {
        long code = strtol(key, &end, 16);
        bool number = strncmp(key, "0x", 2) == 0 && !*end;
        json_array_append_new(
            list,
            number ? json_pack("{s:s, s:I}", "type", "number", "data", (json_int_t)code)
                   : json_pack("{s:s, s:s}", "type", "qcode", "data", key));
    }
    return list;
}

/* DRIVER,NAME=VALUE,... as the members of `arguments`, the first under the name
 * `implied`. */
static int add_options(json_t *arguments, const char *word, const char *implied,
                       struct error *error)
{
    struct options o;
    int err = options_parse(&o, word, implied, error);

    if (err)
        return err;
    for (unsigned i = 0; i < o.count; i++)
        json_object_set_new(arguments, o.list[i].name, json_string(o.list[i].value));
    options_free(&o);
    return 0;
}

static int add_argument(json_t *arguments, const char *parameter, char *word,
                        struct error *error)
{
    switch (*parameter) {
    case '=':
        if (size(word) < 0)
            return error_set(error, -EINVAL, "'%.40s' is not a size", word);
        return json_object_set_new(arguments, parameter + 1, json_integer(size(word)));
    case '+':
        return json_object_set_new(arguments, parameter + 1, keys(word));
    case '*':
        return add_options(arguments, word, parameter + 1, error);
    default:
        return json_object_set_new(arguments, parameter + (*parameter == '?'),
                                   json_string(word));
    }
}

/* The command's arguments from the words behind its name; NULL with the error. */
static json_t *arguments_of(const struct verb *v, char **words, struct error *error)
{
    json_t *arguments = json_object();
    int err = 0;

    for (unsigned i = 0; !err && i < ARRAY_LEN(v->parameters) && v->parameters[i]; i++) {
        const char *parameter = v->parameters[i];
        if (*parameter == '-') {
            bool given = *words && strncmp(*words, parameter, 2) == 0 && !(*words)[2];
            words += given;
            if (given)
                json_object_set_new(arguments, parameter + 3, json_true());
        } else if (*words) {
            err = add_argument(arguments, parameter, *words++, error);
        } else if (*parameter != '?') {
            err = error_set(error, -EINVAL, "%s: a word is missing", v->name);
        }
    }
    if (!err && *words)
        err = error_set(error, -EINVAL, "%s: extraneous characters at '%.40s'", v->name,
                        *words);
    if (err) {
        json_decref(arguments);
        return NULL;
    }
    return arguments;
}

static void run(struct machine *m, struct answer *a, const struct verb *v, char **words)
{
    struct error error = {0};
    json_t *arguments = arguments_of(v, words, &error), *result = NULL;

    if (arguments)
        result = control_execute(m, v->command, arguments, &error);
    if (!result)
        say(a, "Error: %s\r\n", error.text);
    json_decref(arguments);
    json_decref(result);
}

static void help(struct answer *a)
{
    for (unsigned i = 0; i < ARRAY_LEN(verbs); i++)
        say(a, "%s %s\r\n", verbs[i].name, verbs[i].help);
    tell_subjects(a);
}

/* qemu-io DRIVE "COMMAND": for QEMU's device tests, of drives that know such commands. */
static bool drive_command(struct machine *m, struct answer *a, const char *line)
{
    char drive[64], command[200];

    if (sscanf(line, "qemu-io %63s \"%199[^\"]\"", drive, command) != 2)
        return false;
    struct block_backend *b = block_by_id(m, drive);
    if (!b || !b->debug || block_debug_command(b, command))
        say(a, "error: no such drive or command\r\n");
    return true;
}

static void obey(struct machine *m, struct answer *a, char *line)
{
    char *words[MAX_WORDS + 1] = {NULL}, *rest;
    unsigned count = 0;

    for (char *word = strtok_r(line, " \t\r\n", &rest); word && count < MAX_WORDS;
         word = strtok_r(NULL, " \t\r\n", &rest))
        words[count++] = word;
    if (!count)
        return;
    if (strcmp(words[0], "info") == 0) {
        info(m, a, words[1]);
        return;
    }
    if (strcmp(words[0], "help") == 0 || strcmp(words[0], "?") == 0) {
        help(a);
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, words[0]) == 0) {
            run(m, a, &verbs[i], words + 1);
            return;
        }
    }
    say(a, "unknown command: '%.40s'\r\n", words[0]);
}

json_t *control_text(struct machine *m, const char *line)
{
    struct answer *a = must_alloc(sizeof(*a));
    char copy[MAX_LINE];

    if (snprintf(copy, sizeof(copy), "%s", line) >= (int)sizeof(copy))
        say(a, "Error: the line is too long\r\n");
    else if (!drive_command(m, a, line))
        obey(m, a, copy);
    json_t *text = json_string(a->text);
    free(a);
    return text;
}
