/*
 * monitor: a line for the text monitor of a guest's device model.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "model.h"

#define ANSWER_MS 10000u

/* The answer's lines end with CR and LF. */
static void print(const char *text)
{
    for (; *text; text++) {
        if (*text != '\r')
            putchar(*text);
    }
}

/* The device model says what went wrong as a text, too. */
static int obey(struct model_link *l, const char *line, struct failure *f)
{
    json_t *answer = NULL;
    int err = model_query(l, "human-monitor-command",
                          json_pack("{s:s}", "command-line", line), &answer, f);

    if (err)
        return err;
    const char *text = json_string_value(answer);
    if (text && strncmp(text, "Error: ", 7) == 0)
        err = fail_with(f, -EINVAL, "%.*s", (int)strcspn(text + 7, "\r\n"), text + 7);
    else if (text && strncmp(text, "unknown command", 15) == 0)
        err = fail_with(f, -ENOSYS, "%.*s; 'help' lists them", (int)strcspn(text, "\r\n"),
                        text);
    else if (text)
        print(text);
    json_decref(answer);
    return err;
}

int command_monitor(int argc, char **argv)
{
    struct guest_state s;
    struct failure f = {0};
    struct model_link l;
    char line[1024] = "";
    size_t used = 0;

    if (argc < 3)
        return usage("monitor GUEST WORD...");
    for (int i = 2; i < argc && used < sizeof(line); i++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s",
                                 i > 2 ? " " : "", argv[i]);
    if (used >= sizeof(line)) {
        fail_with(&f, -E2BIG, "the line is too long");
        return complain(&f);
    }
    int err = model_guest(argv[1], "", &s, &f);
    if (!err)
        err = model_open(&l, s.name, ANSWER_MS, &f);
    if (err)
        return complain(&f);
    err = obey(&l, line, &f);
    model_close(&l);
    return err ? complain(&f) : 0;
}
