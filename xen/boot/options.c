/* Command line of the hypervisor: words `name`, `name=value`, `no-name`; quotes keep
 * blanks together. The options themselves are registered beside the code that they steer
 * (boot.h) and documented in xen/OPTIONS. SPDX-License-Identifier: GPL-2.0-or-later */
#include "boot/options.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "lib/errno.h"

#define MAX_WORD       256
#define MAX_COMPLAINTS 8

extern const struct option options_start[], options_end[];

static char complaints[MAX_COMPLAINTS][120];
static unsigned int complaint_count;

int parse_bool(const char *s)
{
    static const char *const names[] = {"off",  "on", "no", "yes",     "false",
                                        "true", "0",  "1",  "disable", "enable"};

    for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(s, names[i]))
            return i & 1;
    }
    return -EINVAL;
}

int parse_size(const char *s, uint64_t unit, uint64_t *bytes)
{
    static const char suffixes[] = "BKMGT";
    const char *end, *suffix;
    uint64_t v;

    if (*s < '0' || *s > '9')
        return -EINVAL;
    v = strtoull(s, &end, 0);
    if (*end) {
        suffix = strchr(suffixes, *end & ~32);
        if (!suffix || !*suffix || end[1])
            return -EINVAL;
        unit = 1ull << (10 * (suffix - suffixes));
    }
    return __builtin_mul_overflow(v, unit, bytes) ? -EINVAL : 0;
}

/* Set one option; `val` is NULL for a bare word. */
static int option_set(const struct option *o, const char *val, bool negated)
{
    const char *end;
    uint64_t n;
    int b;

    if (negated && (val || (o->kind != OPTION_BOOL && o->kind != OPTION_CUSTOM)))
        return -EINVAL;
    switch (o->kind) {
    case OPTION_BOOL:
        b = val ? parse_bool(val) : 1;
        if (b < 0)
            return b;
        *(bool *)o->var = negated ? !b : b;
        return 0;
    case OPTION_UINT:
        if (!val || *val < '0' || *val > '9')
            return -EINVAL;
        n = strtoull(val, &end, 0);
        if (*end || n > UINT32_MAX)
            return -EINVAL;
        *(unsigned int *)o->var = (unsigned int)n;
        return 0;
    case OPTION_SIZE:
        return val ? parse_size(val, 1, o->var) : -EINVAL;
    case OPTION_STRING:
        if (!val || strlen(val) >= o->size)
            return -EINVAL;
        strlcpy(o->var, val, o->size);
        return 0;
    case OPTION_CUSTOM:
        return o->parse(negated ? "no" : val ? val : "");
    }
    return -EINVAL;
}

static const struct option *option_find(const struct option *first,
                                        const struct option *end, const char *name)
{
    for (const struct option *o = first; o < end; o++) {
        if (!strcmp(o->name, name))
            return o;
    }
    return NULL;
}

static void parse_word(char *word, const struct option *first, const struct option *end,
                       void (*complain)(const char *, const char *))
{
    char name[MAX_WORD];
    const struct option *o;
    char *val = strchr(word, '=');
    bool negated = false;

    strlcpy(name, word, sizeof(name));
    if (val) {
        name[val - word] = 0;
        val++;
    }
    o = option_find(first, end, name);
    if (!o && !strncmp(name, "no-", 3)) {
        o = option_find(first, end, name + 3);
        negated = true;
    }
    if (!o)
        complain(word, "is not an option of this hypervisor");
    else if (option_set(o, val, negated))
        complain(word, "has a value that this option does not take");
}

void options_parse_table(const char *line, const struct option *first,
                         const struct option *end,
                         void (*complain)(const char *text, const char *why))
{
    char word[MAX_WORD];

    while (*line) {
        size_t n = 0;
        char quote = 0;

        while (*line == ' ' || *line == '\t')
            line++;
        for (; *line && (quote || (*line != ' ' && *line != '\t')); line++) {
            if (*line == quote)
                quote = 0;
            else if (!quote && (*line == '"' || *line == '\''))
                quote = *line;
            else if (n < sizeof(word))
                word[n++] = *line;
        }
        if (n == sizeof(word)) {
            word[60] = 0;
            complain(word, "is too long");
        } else if (n) {
            word[n] = 0;
            parse_word(word, first, end, complain);
        }
    }
}

static void remember(const char *text, const char *why)
{
    if (complaint_count < MAX_COMPLAINTS)
        snprintf(complaints[complaint_count], sizeof(complaints[0]), "'%.60s' %s", text,
                 why);
    complaint_count++;
}

void options_parse(const char *line)
{
    options_parse_table(line, options_start, options_end, remember);
}

void options_report(void)
{
    for (unsigned int i = 0; i < min(complaint_count, (unsigned int)MAX_COMPLAINTS); i++)
        printk("WARNING: command line: %s\n", complaints[i]);
    if (complaint_count > MAX_COMPLAINTS)
        printk("WARNING: command line: %u more like these\n",
               complaint_count - MAX_COMPLAINTS);
}
