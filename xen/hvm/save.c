/* HVM context: the registry of records, and the stream made of them.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Public ABI xen/hvm/save.h: records of a descriptor and a payload, HEADER first, END
 * last, by ascending type between. What is loaded comes from a tool or from another
 * machine: it is checked record by record, and an unknown type is refused.
 */
#include "hvm/save.h"
#include "hvm/tsc.h"
#include "cpu/x86.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/frame.h"

extern const struct hvm_save_handler hvm_save_start[], hvm_save_end[];

#define CHANGESET    0
#define TYPECODE_MAX HVM_SAVE_CODE_MAX

static const struct hvm_save_handler *find_handler(uint16_t typecode)
{
    /* cppcheck-suppress comparePointers */
    for (const struct hvm_save_handler *h = hvm_save_start; h < hvm_save_end; h++)
        if (h->typecode == typecode)
            return h;
    return NULL;
}

int hvm_save_put(struct hvm_context *c, uint16_t typecode, uint16_t instance,
                 const void *payload, uint32_t bytes)
{
    struct hvm_save_descriptor desc = {
        .typecode = typecode, .instance = instance, .length = bytes};
    size_t total = sizeof(desc) + bytes;

    if (c->data) {
        if (c->size - c->pos < total)
            return -ENOSPC;
        memcpy(c->data + c->pos, &desc, sizeof(desc));
        if (bytes)
            memcpy(c->data + c->pos + sizeof(desc), payload, bytes);
    }
    c->pos += total;
    return 0;
}

int hvm_load_payload(const struct hvm_record *r, void *to, size_t bytes)
{
    if (r->bytes > bytes)
        return -EINVAL;
    memcpy(to, r->payload, r->bytes);
    memset((uint8_t *)to + r->bytes, 0, bytes - r->bytes);
    return 0;
}

static int save_handler(struct domain *d, const struct hvm_save_handler *h,
                        struct hvm_context *c)
{
    int rc = 0;

    if (!h->per_vcpu)
        return d->nr_vcpus && d->vcpus[0] ? h->save(d->vcpus[0], c) : 0;
    for (unsigned int i = 0; i < d->nr_vcpus && !rc; i++)
        if (d->vcpus[i])
            rc = h->save(d->vcpus[i], c);
    return rc;
}

int hvm_save(struct domain *d, struct hvm_context *c)
{
    struct hvm_save_header header = {
        .magic = HVM_FILE_MAGIC,
        .version = HVM_FILE_VERSION,
        .changeset = CHANGESET,
        .gtsc_khz = hvm_tsc_khz(d),
    };
    uint32_t b, cx, dx;
    int rc;

    cpuid(1, &header.cpuid, &b, &cx, &dx);
    c->pos = 0;
    c->tsc = rdtsc();
    rc = hvm_save_put(c, HVM_SAVE_CODE(HEADER), 0, &header, sizeof(header));
    for (uint16_t type = 2; type <= TYPECODE_MAX && !rc; type++) {
        const struct hvm_save_handler *h = find_handler(type);

        if (h)
            rc = save_handler(d, h, c);
    }
    return rc ? rc : hvm_save_put(c, HVM_SAVE_CODE(END), 0, NULL, 0);
}

/* A vCPU that is down has no CPU record; the buffer has room for when it has. */
size_t hvm_save_size(struct domain *d)
{
    struct hvm_context c = {0};

    if (hvm_save(d, &c))
        return 0;
    for (unsigned int i = 0; i < d->nr_vcpus; i++)
        if (d->vcpus[i] && !hvm_vcpu_is_up(d->vcpus[i]))
            c.pos += sizeof(struct hvm_save_descriptor) + HVM_SAVE_LENGTH(CPU);
    return c.pos;
}

/* The TSC goes on at the frequency that the guest knows. */
static int load_header(struct domain *d, const struct hvm_record *r)
{
    struct hvm_save_header header;

    if (hvm_load_payload(r, &header, sizeof(header)) || header.magic != HVM_FILE_MAGIC ||
        header.version != HVM_FILE_VERSION)
        return -EINVAL;
    if (!header.gtsc_khz || d->tsc_mode == TSC_MODE_NATIVE)
        return 0;
    return hvm_set_tsc_khz(d, header.gtsc_khz);
}

static int load_record(struct domain *d, uint16_t typecode, const struct hvm_record *r)
{
    const struct hvm_save_handler *h = find_handler(typecode);
    struct vcpu *v;
    int rc;

    if (!h) {
        printk("d%d: HVM context: unknown record type %d\n", d->id, typecode);
        return -EINVAL;
    }
    v = domain_vcpu(d, h->per_vcpu ? r->instance : 0);
    rc = v ? h->load(v, r) : -ENODEV;
    if (rc)
        printk("d%d: HVM context: record %s, instance %d: error %d\n", d->id, h->name,
               r->instance, rc);
    return rc;
}

int hvm_load(struct domain *d, struct hvm_context *c)
{
    struct hvm_save_descriptor desc;
    struct hvm_record r = {.tsc = rdtsc()};
    bool first = true;
    int rc;

    for (c->pos = 0;; c->pos += desc.length, first = false) {
        if (c->size - c->pos < sizeof(desc))
            return -ENODATA;
        memcpy(&desc, c->data + c->pos, sizeof(desc));
        c->pos += sizeof(desc);
        if (desc.length > c->size - c->pos)
            return -ENODATA;
        r.instance = desc.instance;
        r.payload = c->data + c->pos;
        r.bytes = desc.length;
        if (first)
            rc = desc.typecode == HVM_SAVE_CODE(HEADER) ? load_header(d, &r) : -EINVAL;
        else if (desc.typecode == HVM_SAVE_CODE(END))
            return desc.length ? -EINVAL : 0;
        else
            rc = load_record(d, desc.typecode, &r);
        if (rc)
            return rc;
    }
}

int hvm_save_one(struct domain *d, uint16_t typecode, uint16_t instance, void *buf,
                 size_t *bytes)
{
    const struct hvm_save_handler *h = find_handler(typecode);
    struct hvm_context c = {.tsc = rdtsc()};
    struct hvm_save_descriptor desc;
    struct vcpu *v;
    int rc;

    if (!h)
        return -ENOENT;
    v = domain_vcpu(d, h->per_vcpu ? instance : 0);
    if (!v)
        return -ENOENT;
    rc = h->save(v, &c);
    if (rc || !c.pos)
        return rc ? rc : -ENOENT;
    c.size = c.pos;
    c.pos = 0;
    c.data = zalloc(c.size);
    if (!c.data)
        return -ENOMEM;
    rc = h->save(v, &c);
    for (size_t pos = 0; !rc; pos += sizeof(desc) + desc.length) {
        if (c.pos - pos < sizeof(desc)) {
            rc = -ENOENT;
            break;
        }
        memcpy(&desc, c.data + pos, sizeof(desc));
        if (desc.instance != instance)
            continue;
        if (*bytes < desc.length)
            rc = -ENOSPC;
        else
            memcpy(buf, c.data + pos + sizeof(desc), desc.length);
        *bytes = desc.length;
        break;
    }
    zfree(c.data);
    return rc;
}
