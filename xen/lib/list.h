/* Doubly linked, circular, intrusive lists. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_LIST_H
#define CORBEL_LIB_LIST_H

#include "lib/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
/* Insert `n` before `at`; with the head of a list, at its end. */
static inline void list_add_tail(struct list *n, struct list *at)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}
static inline void list_add(struct list *n, struct list *at)
{
    list_add_tail(n, at->next);
}
/* Remove `n` and leave it an empty list, so that removing twice does no harm. */
static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each(pos, head)                                                         \
    for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);        \
         pos = pos##_next, pos##_next = pos->next)

#endif
