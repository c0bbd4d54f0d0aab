/* HVM context records (xen/hvm/save.h of the public ABI). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * One line registers a device: HVM_REGISTER_SAVE_RESTORE(TYPE, save, load, per_vcpu).
 */
#ifndef CORBEL_HVM_SAVE_H
#define CORBEL_HVM_SAVE_H

#include "hvm/hvm.h"

/* Where records are read from or written to; see hvm_save_put and hvm_load_get. */
struct hvm_context {
    uint8_t *data;
    size_t size, pos; /* bytes */
};

struct hvm_save_handler {
    uint16_t typecode;
    bool per_vcpu; /* one record per vCPU, instance = its id */
    const char *name;
    /* Write one record (v is vCPU 0 for per-domain ones): hvm_save_put. */
    int (*save)(struct vcpu *v, struct hvm_context *c);
    /* Check and apply the payload; may be shorter than today's struct: the rest is zero.
     */
    int (*load)(struct vcpu *v, const void *payload, size_t bytes);
};

#define HVM_REGISTER_SAVE_RESTORE(type, save_fn, load_fn, vcpu_kind)                     \
    static const struct hvm_save_handler hvm_save_##type                                 \
        __attribute__((used, section(".rodata.hvm_save"), aligned(8))) = {               \
            .typecode = HVM_SAVE_CODE(type),                                             \
            .per_vcpu = (vcpu_kind),                                                     \
            .name = #type,                                                               \
            .save = (save_fn),                                                           \
            .load = (load_fn),                                                           \
    }

/* Append a record: header, then payload. -ENOSPC. */
int hvm_save_put(struct hvm_context *c, uint16_t typecode, uint16_t instance,
                 const void *payload, uint32_t bytes);

/* Whole context. The domain is paused. Size needed: hvm_save_size(). */
size_t hvm_save_size(struct domain *d);
int hvm_save(struct domain *d, struct hvm_context *c);
int hvm_load(struct domain *d, struct hvm_context *c);
/* One record by type and instance (XEN_DOMCTL_gethvmcontext_partial). */
int hvm_save_one(struct domain *d, uint16_t typecode, uint16_t instance, void *buf,
                 size_t *bytes);

#endif
