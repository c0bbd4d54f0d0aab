/*
 * Messages: to stderr, one line each; what a guest provokes is rate-limited.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine.h"

#define GUEST_ERRORS_PER_SECOND 5

enum log_level log_threshold = LOG_INFO;

int error_set(struct error *e, int err, const char *format, ...)
{
    va_list args;

    if (e) {
        va_start(args, format);
        vsnprintf(e->text, sizeof(e->text), format, args);
        va_end(args);
    }
    return err;
}

static void write_line(const struct device *dev, const char *kind, const char *format,
                       va_list args)
{
    char text[512];

    vsnprintf(text, sizeof(text), format, args);
    /* What came from the guest must not steer the terminal of whoever reads the log. */
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '.';
    }
    fprintf(stderr, "corbel-dm: %s%s%s%s\n", dev ? dev->id : "", dev ? ": " : "", kind,
            text);
}

void dev_log(const struct device *dev, enum log_level level, const char *format, ...)
{
    static const char *const kind[] = {"error: ", "warning: ", "", "debug: "};
    va_list args;

    if (level > log_threshold)
        return;
    va_start(args, format);
    write_line(dev, kind[level], format, args);
    va_end(args);
}

void guest_error(struct device *dev, const char *format, ...)
{
    struct timespec now;
    va_list args;

    dev->errors++;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec != dev->errors_since) {
        if (dev->errors_shown > GUEST_ERRORS_PER_SECOND)
            dev_log(dev, LOG_WARNING, "%u more guest errors",
                    dev->errors_shown - GUEST_ERRORS_PER_SECOND);
        dev->errors_since = now.tv_sec;
        dev->errors_shown = 0;
    }
    if (dev->errors_shown++ >= GUEST_ERRORS_PER_SECOND || log_threshold < LOG_INFO)
        return;
    va_start(args, format);
    write_line(dev, "guest error: ", format, args);
    va_end(args);
}

static void *checked(void *p)
{
    if (!p) {
        fputs("corbel-dm: error: the host is out of memory\n", stderr);
        exit(1);
    }
    return p;
}

void *must_alloc(size_t bytes)
{
    return checked(calloc(1, bytes ? bytes : 1));
}

char *must_strdup(const char *text)
{
    return checked(strdup(text));
}

void *must_realloc(void *old, size_t bytes)
{
    return checked(realloc(old, bytes ? bytes : 1));
}
