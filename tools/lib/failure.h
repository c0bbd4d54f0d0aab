/*
 * What went wrong, in words for the user.  A function that can fail in more than one way
 * takes a `struct failure *`, fills it once, where the cause is known, and returns the
 * negative errno; callers pass it up unchanged.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TOOLS_FAILURE_H
#define TOOLS_FAILURE_H

#include <stdarg.h>
#include <stdio.h>

struct failure {
    char text[1024];
};

/* Store the message and return `err` (a negative errno).  The first message stays. */
static inline int __attribute__((format(printf, 3, 4)))
fail_with(struct failure *f, int err, const char *format, ...)
{
    va_list args;

    if (!f->text[0]) {
        va_start(args, format);
        vsnprintf(f->text, sizeof(f->text), format, args);
        va_end(args);
    }
    return err;
}

#endif
