/* HVM context records (xen/hvm/save.h of the public ABI). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * One line registers a device: HVM_REGISTER_SAVE_RESTORE(TYPE, save, load, per_vcpu).
 */
#ifndef CORBEL_HVM_SAVE_H
#define CORBEL_HVM_SAVE_H

#include "hvm/hvm.h"
#include <xen/hvm/save.h>

/* Where records are read from or written to; see hvm_save_put and hvm_load_get. With no
 * data, records are only counted. */
struct hvm_context {
    uint8_t *data;
    size_t size, pos; /* bytes */
    uint64_t tsc;     /* the machine's, one value for all records of a context */
};

/* A record to load. The payload may be shorter than today's struct: hvm_load_payload().
 */
struct hvm_record {
    uint16_t instance;
    uint64_t tsc;
    const void *payload;
    size_t bytes;
};

struct hvm_save_handler {
    uint16_t typecode;
    bool per_vcpu; /* one record per vCPU, instance = its id */
    const char *name;
    /* Write what there is to write (v is vCPU 0 for per-domain ones): hvm_save_put. */
    int (*save)(struct vcpu *v, struct hvm_context *c);
    /* Check everything, then apply. -EINVAL: bad contents, -ENODEV: the domain has no
     * such device. */
    int (*load)(struct vcpu *v, const struct hvm_record *r);
};

#define HVM_REGISTER_SAVE_CODE(type, code, save_fn, load_fn, vcpu_kind)                  \
    static const struct hvm_save_handler hvm_save_##type                                 \
        __attribute__((used, section(".rodata.hvm_save"), aligned(8))) = {               \
            .typecode = (code),                                                          \
            .per_vcpu = (vcpu_kind),                                                     \
            .name = #type,                                                               \
            .save = (save_fn),                                                           \
            .load = (load_fn),                                                           \
    }
#define HVM_REGISTER_SAVE_RESTORE(type, save_fn, load_fn, vcpu_kind)                     \
    HVM_REGISTER_SAVE_CODE(type, HVM_SAVE_CODE(type), save_fn, load_fn, vcpu_kind)

/* Append a record: header, then payload. -ENOSPC. */
int hvm_save_put(struct hvm_context *c, uint16_t typecode, uint16_t instance,
                 const void *payload, uint32_t bytes);
/* Copy a payload into a struct of `bytes`; what it lacks is zero. -EINVAL if it is
 * longer. */
int hvm_load_payload(const struct hvm_record *r, void *to, size_t bytes);

/* Whole context. The domain is paused. Size needed: hvm_save_size(). hvm_save: bytes
 * written are c->pos. After a failed hvm_load the domain's state is undefined. */
size_t hvm_save_size(struct domain *d);
int hvm_save(struct domain *d, struct hvm_context *c);
int hvm_load(struct domain *d, struct hvm_context *c);
/* One record's payload by type and instance (XEN_DOMCTL_gethvmcontext_partial). *bytes:
 * size of buf, then of the payload. -ENOENT: no such record, -ENOSPC. */
int hvm_save_one(struct domain *d, uint16_t typecode, uint16_t instance, void *buf,
                 size_t *bytes);

#endif
