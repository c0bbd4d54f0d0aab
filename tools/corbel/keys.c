/*
 * Small parsers for a guest's configuration; none needs a hypervisor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

/* Where the scanner is: between statements it looks for `key =`, elsewhere it skips. */
struct scanner {
    const char *at, *end;
    unsigned line;
};

static void skip_quoted(struct scanner *s)
{
    char quote = *s->at++;

    while (s->at < s->end && *s->at != quote && *s->at != '\n') {
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
        s->at++;
    }
    if (s->at < s->end && *s->at == quote)
        s->at++;
}

static void skip_comment(struct scanner *s)
{
    while (s->at < s->end && *s->at != '\n')
        s->at++;
}

/* To the end of a statement: a newline or semicolon outside of brackets. */
static void skip_value(struct scanner *s)
{
    unsigned depth = 0;

    while (s->at < s->end) {
        char c = *s->at;
        if (c == '"' || c == '\'') {
            skip_quoted(s);
            continue;
        }
        if (c == '#') {
            skip_comment(s);
            continue;
        }
        if (c == '[')
            depth++;
        if (c == ']' && depth)
            depth--;
        if (!depth && (c == '\n' || c == ';'))
            return;
        if (c == '\n')
            s->line++;
        s->at++;
    }
}

int config_each_key(const char *text, size_t bytes,
                    int (*each)(const char *key, size_t bytes, unsigned line,
                                void *opaque),
                    void *opaque)
{
    struct scanner s = {text, text + bytes, 1};

    while (s.at < s.end) {
        if (*s.at == '\n')
            s.line++;
        if (isspace((unsigned char)*s.at) || *s.at == ';') {
            s.at++;
            continue;
        }
        if (*s.at == '#') {
            skip_comment(&s);
            continue;
        }
        const char *key = s.at;
        while (s.at < s.end && (isalnum((unsigned char)*s.at) || *s.at == '_'))
            s.at++;
        if (s.at > key) {
            int r = each(key, (size_t)(s.at - key), s.line, opaque);
            if (r)
                return r;
        }
        skip_value(&s);
    }
    return 0;
}

unsigned edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned row[64];

    if (la >= 64 || lb >= 64)
        return 64;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

bool guest_name_valid(const char *name)
{
    size_t n = strlen(name);
    bool digits = true;

    if (n == 0 || n > GUEST_NAME_MAX || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("_.+-", name[i]))
            return false;
        digits = digits && isdigit((unsigned char)name[i]);
    }
    return !digits; /* would be taken for a domain's number */
}

static int parse_cpu(const char **at, unsigned long *cpu)
{
    char *end;

    if (!isdigit((unsigned char)**at))
        return -EINVAL;
    *cpu = strtoul(*at, &end, 10);
    *at = end;
    return 0;
}

int cpu_list_parse(const char *text, uint8_t *map, size_t bytes)
{
    memset(map, 0, bytes);
    for (const char *at = text;; at++) {
        unsigned long first, last;
        bool except;

        while (*at == ' ')
            at++;
        except = *at == '^';
        at += except;
        if (parse_cpu(&at, &first))
            return -EINVAL;
        last = first;
        if (*at == '-') {
            at++;
            if (parse_cpu(&at, &last))
                return -EINVAL;
        }
        if (last < first || last >= bytes * 8)
            return -ERANGE;
        for (unsigned long cpu = first; cpu <= last; cpu++) {
            if (except)
                map[cpu / 8] &= (uint8_t) ~(1u << cpu % 8);
            else
                map[cpu / 8] |= (uint8_t)(1u << cpu % 8);
        }
        while (*at == ' ')
            at++;
        if (!*at)
            return 0;
        if (*at != ',')
            return -EINVAL;
    }
}

int memory_parse(const char *text, uint64_t *bytes)
{
    char *end;
    unsigned shift = 20;

    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno)
        return -ERANGE;
    switch (*end) {
    case 'G':
    case 'g':
        shift = 30;
        end++;
        break;
    case 'M':
    case 'm':
        end++;
        break;
    }
    if (*end)
        return -EINVAL;
    if (v > (1ull << 44) >> shift)
        return -ERANGE;
    *bytes = v << shift;
    return 0;
}

/* Where the dashes of a UUID are, in digits before them. */
static bool dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int uuid_parse(const char *text, uint8_t uuid[16])
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned value;
        if (dash_before(i) && *text++ != '-')
            return -EINVAL;
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
            sscanf(text, "%2x", &value) != 1)
            return -EINVAL;
        uuid[i] = (uint8_t)value;
        text += 2;
    }
    return *text ? -EINVAL : 0;
}

void uuid_format(const uint8_t uuid[16], char text[37])
{
    for (unsigned i = 0; i < 16; i++)
        text += sprintf(text, "%s%02x", dash_before(i) ? "-" : "", uuid[i]);
}

int mac_parse(const char *text, uint8_t mac[6])
{
    unsigned byte[6];
    int end = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
               &byte[4], &byte[5], &end) != 6 ||
        text[end])
        return -EINVAL;
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)byte[i];
    return mac[0] & 1 ? -EINVAL : 0; /* a group address is nobody's own */
}
