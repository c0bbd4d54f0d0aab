/*
 * Command-line values of the form `kind,name=value,name=value` (a comma in a value is
 * written twice, as QEMU's users know), and their transfer into the fields of a struct.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_OPTIONS_H
#define DEVMODEL_OPTIONS_H

#include "device.h"

struct option {
    char *name, *value;
    bool used;
};

struct options {
    char *text; /* for messages */
    struct option *list;
    unsigned count;
};

/*
 * Parse.  The first item may lack `name=`; it is then the value of `implied` (NULL:
 * refused). Later items without `=` are on/off switches: `x` is x=on and `nox` is x=off
 * only where the table says so, so they are stored as x=on.
 */
int options_parse(struct options *o, const char *text, const char *implied,
                  struct error *error);
void options_free(struct options *o);
/* One more; both texts are copied, and need no doubled commas. */
void options_add(struct options *o, const char *name, const char *value);
/* The value, marking it as used; NULL when not given. */
const char *options_take(struct options *o, const char *name);
const char *options_peek(const struct options *o, const char *name);
/* Store every option of the table in `base`; set defaults. */
int options_apply(struct options *o, const struct option_desc *table, void *base,
                  struct machine *m, struct error *error);
/* -EINVAL, naming the first option that nobody used. */
int options_check_used(const struct options *o, const char *owner, struct error *error);

int parse_bool(const char *text, bool *value);
int parse_size(const char *text, uint64_t *bytes); /* K M G T suffixes */
int parse_u64(const char *text, uint64_t *value);
int parse_mac(const char *text, uint8_t mac[6]);

#endif
