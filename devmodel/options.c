/*
 * Command-line options: parsing and checking.  See options.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

int parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"on", "yes", "true", "1"};
    static const char *const no[] = {"off", "no", "false", "0"};

    for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0) {
            *value = true;
            return 0;
        }
        if (strcmp(text, no[i]) == 0) {
            *value = false;
            return 0;
        }
    }
    return -EINVAL;
}

int parse_u64(const char *text, uint64_t *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (errno || *end)
        return -EINVAL;
    *value = v;
    return 0;
}

int parse_size(const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMGT";
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (errno)
        return -EINVAL;
    unsigned shift = 0;
    if (*end) {
        const char *at = strchr(suffixes, *end & ~0x20);
        if (!at || end[1])
            return -EINVAL;
        shift = 10 * (unsigned)(at - suffixes + 1);
    }
    if (v > UINT64_MAX >> shift)
        return -ERANGE;
    *bytes = v << shift;
    return 0;
}

int parse_mac(const char *text, uint8_t mac[6])
{
    unsigned byte[6];
    int end = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
               &byte[4], &byte[5], &end) != 6 ||
        text[end])
        return -EINVAL;
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)byte[i];
    return mac[0] & 1 ? -EINVAL : 0; /* a group address is nobody's own */
}

/* Copy one item up to a single comma, undoubling commas; returns where the next one
 * starts. */
static const char *next_item(const char *text, char *item)
{
    while (*text) {
        if (*text == ',') {
            if (text[1] != ',')
                break;
            text++;
        }
        *item++ = *text++;
    }
    *item = 0;
    return *text ? text + 1 : NULL;
}

void options_add(struct options *o, const char *name, const char *value)
{
    o->list = must_realloc(o->list, (o->count + 1) * sizeof(*o->list));
    o->list[o->count++] = (struct option){
        .name = must_strdup(name),
        .value = must_strdup(value),
    };
}

int options_parse(struct options *o, const char *text, const char *implied,
                  struct error *error)
{
    char *item = must_alloc(strlen(text) + 1);
    int err = 0;

    memset(o, 0, sizeof(*o));
    o->text = must_strdup(text);
    for (const char *at = text; at && *at;) {
        bool first = at == text;
        at = next_item(at, item);
        char *equals = strchr(item, '=');
        const char *name = item, *value = "on";
        if (equals) {
            *equals = 0;
            value = equals + 1;
        } else if (first && implied) {
            name = implied;
            value = item;
        }
        if (!*name) {
            err = error_set(error, -EINVAL, "'%s': an option without a name", text);
            break;
        }
        options_add(o, name, value);
    }
    free(item);
    if (err)
        options_free(o);
    return err;
}

void options_free(struct options *o)
{
    for (unsigned i = 0; i < o->count; i++) {
        free(o->list[i].name);
        free(o->list[i].value);
    }
    free(o->list);
    free(o->text);
    memset(o, 0, sizeof(*o));
}

const char *options_take(struct options *o, const char *name)
{
    const char *value = NULL;

    /* The last one given counts, as in QEMU. */
    for (unsigned i = 0; i < o->count; i++) {
        if (strcmp(o->list[i].name, name) == 0) {
            o->list[i].used = true;
            value = o->list[i].value;
        }
    }
    return value;
}

const char *options_peek(const struct options *o, const char *name)
{
    const char *value = NULL;

    for (unsigned i = 0; i < o->count; i++) {
        if (strcmp(o->list[i].name, name) == 0)
            value = o->list[i].value;
    }
    return value;
}

static int store_number(const struct option_desc *d, const char *value, void *field)
{
    uint64_t number;
    int err =
        d->type == OPTION_SIZE ? parse_size(value, &number) : parse_u64(value, &number);

    if (err)
        return err;
    if (d->type == OPTION_U32) {
        if (number > UINT32_MAX)
            return -ERANGE;
        *(uint32_t *)field = (uint32_t)number;
    } else {
        *(uint64_t *)field = number;
    }
    return 0;
}

static int store_backend(const struct option_desc *d, const char *value, void *field,
                         struct machine *m)
{
    void *found = NULL;

    if (d->type == OPTION_BLOCK)
        found = block_by_id(m, value);
    else if (d->type == OPTION_CHAR)
        found = char_by_id(m, value);
    else
        found = net_by_id(m, value);
    *(void **)field = found;
    return found ? 0 : -ENOENT;
}

static int store(const struct option_desc *d, const char *value, void *field,
                 struct machine *m)
{
    switch (d->type) {
    case OPTION_STRING:
    case OPTION_LIST:
        *(const char **)field = machine_string(m, value);
        return 0;
    case OPTION_BOOL:
        return parse_bool(value, field);
    case OPTION_U32:
    case OPTION_U64:
    case OPTION_SIZE:
        return store_number(d, value, field);
    case OPTION_MAC:
        return parse_mac(value, field);
    case OPTION_BLOCK:
    case OPTION_CHAR:
    case OPTION_NET:
        return store_backend(d, value, field, m);
    case OPTION_IGNORE:
        return 0;
    }
    return -EINVAL;
}

/* All values of the name, one a line; the caller frees it. */
static char *all_values(const struct options *o, const char *name)
{
    size_t bytes = 1;

    for (unsigned i = 0; i < o->count; i++) {
        if (strcmp(o->list[i].name, name) == 0)
            bytes += strlen(o->list[i].value) + 1;
    }
    char *text = must_alloc(bytes);
    for (unsigned i = 0; i < o->count; i++) {
        if (strcmp(o->list[i].name, name) != 0)
            continue;
        if (*text)
            strcat(text, "\n");
        strcat(text, o->list[i].value);
    }
    return text;
}

int options_apply(struct options *o, const struct option_desc *table, void *base,
                  struct machine *m, struct error *error)
{
    static const char *const expected[] = {
        [OPTION_STRING] = "a text",
        [OPTION_LIST] = "a text",
        [OPTION_BOOL] = "on or off",
        [OPTION_U32] = "a number",
        [OPTION_U64] = "a number",
        [OPTION_SIZE] = "a size such as 512M",
        [OPTION_MAC] = "an address such as 52:54:00:12:34:56",
        [OPTION_BLOCK] = "the id of a drive",
        [OPTION_CHAR] = "the id of a character device",
        [OPTION_NET] = "the id of a network",
        [OPTION_IGNORE] = "anything",
    };

    for (const struct option_desc *d = table; d && d->name; d++) {
        const char *value = options_take(o, d->name);
        if (!value)
            value = d->value;
        if (!value)
            continue;
        char *list = d->type == OPTION_LIST ? all_values(o, d->name) : NULL;
        int err = store(d, list && *list ? list : value, (char *)base + d->offset, m);
        free(list);
        if (err)
            return error_set(error, err, "'%s': %s=%s is not %s", o->text, d->name, value,
                             expected[d->type]);
    }
    return 0;
}

int options_check_used(const struct options *o, const char *owner, struct error *error)
{
    for (unsigned i = 0; i < o->count; i++) {
        if (!o->list[i].used)
            return error_set(error, -EINVAL, "'%s': %s has no option '%s'", o->text,
                             owner, o->list[i].name);
    }
    return 0;
}
