/* The words of the option spec-ctrl, as users of Xen know them.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu/mitigation/mitigation.h"
#include "boot/options.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAX_WORD 32

void mitigation_wishes_init(struct mitigation_wishes *w)
{
    memset(w, 0xff, sizeof(*w)); /* -1 everywhere */
}

static const struct {
    const char *name;
    size_t offset;
} switches[] = {
    {"xen", offsetof(struct mitigation_wishes, own)},
    {"hvm", offsetof(struct mitigation_wishes, guests)},
    {"msr-sc", offsetof(struct mitigation_wishes, msr)},
    {"rsb", offsetof(struct mitigation_wishes, rsb)},
    {"verw", offsetof(struct mitigation_wishes, verw)},
    {"md-clear", offsetof(struct mitigation_wishes, verw)},
    {"ibpb-entry", offsetof(struct mitigation_wishes, ibpb_entry)},
    {"ibpb", offsetof(struct mitigation_wishes, ibpb)},
    {"ibrs", offsetof(struct mitigation_wishes, ibrs)},
    {"stibp", offsetof(struct mitigation_wishes, stibp)},
    {"ssbd", offsetof(struct mitigation_wishes, ssbd)},
    {"psfd", offsetof(struct mitigation_wishes, psfd)},
    {"l1d-flush", offsetof(struct mitigation_wishes, l1d_flush)},
    {"bhi-seq", offsetof(struct mitigation_wishes, bhi_seq)},
    {"bhi-dis-s", offsetof(struct mitigation_wishes, bhi_dis)},
    {"gds-mit", offsetof(struct mitigation_wishes, gds)},
    {"bp-spec-reduce", offsetof(struct mitigation_wishes, bp_spec_reduce)},
};

static int parse_thunk(struct mitigation_wishes *w, const char *val)
{
    if (!strcmp(val, "retpoline"))
        w->thunk = THUNK_RETPOLINE;
    else if (!strcmp(val, "lfence"))
        w->thunk = THUNK_LFENCE;
    else if (!strcmp(val, "jmp"))
        w->thunk = THUNK_JMP;
    else
        return -EINVAL;
    return 0;
}

/* `name`, `no-name` or `name=bool`. */
static int parse_switch(struct mitigation_wishes *w, const char *name, const char *val)
{
    int on = val ? parse_bool(val) : 1;

    if (!val && !strncmp(name, "no-", 3)) {
        name += 3;
        on = 0;
    }
    if (on < 0)
        return -EINVAL;
    for (unsigned int i = 0; i < ARRAY_SIZE(switches); i++)
        if (!strcmp(name, switches[i].name)) {
            *(int *)((char *)w + switches[i].offset) = on;
            return 0;
        }
    return -EINVAL;
}

static int parse_word(struct mitigation_wishes *w, char *word)
{
    char *val = strchr(word, '=');

    if (val)
        *val++ = 0;
    if (!val && parse_bool(word) >= 0) { /* the whole of it */
        w->all = parse_bool(word);
        return 0;
    }
    if (!strcmp(word, "bti-thunk"))
        return val ? parse_thunk(w, val) : -EINVAL;
    return parse_switch(w, word, val);
}

int mitigation_wishes_parse(struct mitigation_wishes *w, const char *list)
{
    char word[MAX_WORD];

    if (!*list) { /* the bare option */
        w->all = 1;
        return 0;
    }
    while (*list) {
        const char *end = strchr(list, ',');
        size_t n = end ? (size_t)(end - list) : strlen(list);

        if (n >= sizeof(word))
            return -EINVAL;
        memcpy(word, list, n);
        word[n] = 0;
        if (parse_word(w, word))
            return -EINVAL;
        list += n + !!end;
    }
    return 0;
}
