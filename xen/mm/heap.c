/* Heap for small objects. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sizes up to 2032 bytes come from slabs: one page with a header and objects of one size
 * class. Pages with free objects are in the list of their class; a page whose objects are
 * all free goes back to the frame allocator. Larger sizes are whole pages; the order is
 * kept in frame.use. Objects of slabs never begin a page, larger ones always do.
 */
#include "mm/frame.h"
#include "lib/list.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define MAX_HEAP_BYTES (256 * 1024)
#define SLAB_MAGIC     0x51ab

struct slab {
    struct list link;
    uint16_t magic, class;
    uint16_t used;  /* objects in use */
    uint16_t first; /* offset of the first free object, 0: none */
    uint64_t pad;
};

/* As many 16-byte multiples as fit n times behind the header. */
static const uint16_t class_size[] = {16,  32,  48,  64,  96,   128,  176, 256,
                                      336, 448, 576, 800, 1008, 1344, 2032};
#define CLASSES  ARRAY_SIZE(class_size)
#define MAX_SLAB 2032

static struct spinlock heap_lock; /* guards partial, the slabs and usage */
static struct list partial[CLASSES];
static struct heap_usage usage;
static bool heap_ready;

static void heap_init(void)
{
    for (unsigned int i = 0; i < CLASSES; i++)
        list_init(&partial[i]);
    heap_ready = true;
}

static unsigned int class_of(size_t bytes)
{
    unsigned int c = 0;

    while (class_size[c] < bytes)
        c++;
    return c;
}

static struct slab *slab_create(unsigned int class)
{
    struct slab *s = alloc_pages(0);
    uint16_t size = class_size[class];

    if (!s)
        return NULL;
    s->magic = SLAB_MAGIC;
    s->class = (uint16_t) class;
    for (size_t off = sizeof(*s); off + size <= PAGE_SIZE; off += size) {
        *(uint16_t *)((char *)s + off) = s->first;
        s->first = (uint16_t)off;
    }
    list_add(&s->link, &partial[class]);
    usage.slab_pages++;
    return s;
}

static void *slab_alloc(unsigned int class)
{
    struct slab *s;
    void *p;

    if (!heap_ready)
        heap_init();
    if (list_empty(&partial[class])) {
        s = slab_create(class);
        if (!s)
            return NULL;
    } else {
        s = list_entry(partial[class].next, struct slab, link);
    }
    p = (char *)s + s->first;
    s->first = *(uint16_t *)p;
    s->used++;
    usage.objects++;
    usage.bytes += class_size[class];
    if (!s->first)
        list_del(&s->link);
    return p;
}

static void slab_free(void *p)
{
    struct slab *s = (struct slab *)ALIGN_DOWN((uintptr_t)p, PAGE_SIZE);

    BUG_ON(s->magic != SLAB_MAGIC || !s->used);
    if (!s->first)
        list_add(&s->link, &partial[s->class]);
    *(uint16_t *)p = s->first;
    s->first = (uint16_t)((uintptr_t)p & ~PAGE_MASK);
    usage.objects--;
    usage.bytes -= class_size[s->class];
    if (--s->used)
        return;
    list_del(&s->link);
    s->magic = 0;
    usage.slab_pages--;
    free_pages(s, 0);
}

static unsigned int order_of(size_t bytes)
{
    unsigned int order = 0;

    while (PAGE_SIZE << order < bytes)
        order++;
    return order;
}

/* Pages for a larger object came or went. */
static void count_large(int64_t pages)
{
    spin_lock(&heap_lock);
    usage.large_pages += (uint64_t)pages;
    spin_unlock(&heap_lock);
}

static void *large_alloc(unsigned int order)
{
    void *p = alloc_pages(order);

    if (!p)
        return NULL;
    mfn_to_frame(virt_to_mfn(p))->use = order;
    count_large(1ll << order);
    return p;
}

void *zalloc(size_t bytes)
{
    void *p;

    if (!bytes || bytes > MAX_HEAP_BYTES)
        return NULL;
    if (bytes > MAX_SLAB)
        return large_alloc(order_of(bytes));
    spin_lock(&heap_lock);
    p = slab_alloc(class_of(bytes));
    spin_unlock(&heap_lock);
    if (p)
        memset(p, 0, class_size[class_of(bytes)]);
    return p;
}

void zfree(void *p)
{
    if (!p)
        return;
    if (((uintptr_t)p & ~PAGE_MASK) == 0) {
        unsigned int order = (unsigned int)mfn_to_frame(virt_to_mfn(p))->use;

        free_pages(p, order);
        count_large(-(1ll << order));
        return;
    }
    spin_lock(&heap_lock);
    slab_free(p);
    spin_unlock(&heap_lock);
}

struct heap_usage heap_usage(void)
{
    struct heap_usage now;

    spin_lock(&heap_lock);
    now = usage;
    spin_unlock(&heap_lock);
    return now;
}
