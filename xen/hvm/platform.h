/* The platform devices of a guest that live in the hypervisor, as the rest of xen/ sees
 * them. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each device has: <dev>_init(d), _destroy(d), _reset(d), and save/load through
 * hvm/save.h. Handlers are called on the vCPU that accesses, in hypervisor context, no
 * lock held.
 */
#ifndef CORBEL_HVM_PLATFORM_H
#define CORBEL_HVM_PLATFORM_H

#include "hvm/hvm.h"

/* In-hypervisor I/O: tried before ioreq servers. They return true if they took the
 * access; if not (nobody's port, or one that a device only listens to, as port 0x70) it
 * goes on to the ioreq servers. Accesses are 1, 2 or 4 bytes. One table look-up by port
 * number. */
bool platform_port_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val);
bool platform_port_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val);

/* Is there a handler for this port? */
bool platform_port_claimed(struct vcpu *v, uint16_t port);

/* In-hypervisor MMIO: sorted ranges per domain, binary search, handlers get offsets
 * relative to their range. Bytes 1, 2, 4, 8. */
struct mmio_handler {
    uint64_t gpa, bytes;
    uint64_t (*read)(struct vcpu *v, uint64_t offset, unsigned int bytes);
    void (*write)(struct vcpu *v, uint64_t offset, unsigned int bytes, uint64_t val);
    /* NULL, or whether this vCPU sees the range now (local APIC at its own base). */
    bool (*active)(struct vcpu *v);
};
const struct mmio_handler *platform_mmio_find(struct vcpu *v, uint64_t gpa);

int platform_domain_init(struct domain *d); /* by d->emulation_flags (XEN_X86_EMU_*) */
void platform_domain_destroy(struct domain *d);
int platform_vcpu_init(struct vcpu *v);
void platform_vcpu_destroy(struct vcpu *v);
/* A vCPU moved to another CPU, or runs again: its timers follow. No run queue lock held;
 * without it they fire where they were set, which is right too, but costs a kick. */
void platform_vcpu_switch_to(struct vcpu *v);
/* Devices back to their state after RESET (not the local APICs), but for the RTC, which
 * has a battery; a timer mode or a HVM_PARAM_ACPI_IOPORTS_LOCATION that was set before
 * counts. Interrupt lines that somebody else holds stay up, and PCI links stay routed. d
 * is paused. */
void platform_domain_reset(struct domain *d);
/* Xen's platform, not the native board. */
bool platform_is_xens(const struct domain *d);
/* HVM_PARAM_ACPI_IOPORTS_LOCATION was set: the PM timer's port follows. -EINVAL. */
int platform_set_acpi_location(struct domain *d, uint64_t location);

/* Interrupt lines, any context without p2m or run-queue locks. */
void hvm_isa_irq_set(struct domain *d, unsigned int irq, bool level);
void hvm_pci_intx_set(struct domain *d, unsigned int device, unsigned int intx,
                      bool level);
/* The callback line's sources; these may be called while an event is raised. */
void hvm_callback_gsi_set(struct domain *d, unsigned int gsi, bool level);
void hvm_callback_intx_set(struct domain *d, unsigned int device, unsigned int intx,
                           bool level);
int hvm_pci_link_route(struct domain *d, unsigned int link, unsigned int isa_irq);
/* Message signalled interrupt as the device would write it. -EINVAL for a bad message. */
int hvm_inject_msi(struct domain *d, uint64_t addr, uint32_t data);

/* Local APIC */
void vlapic_set_irq(struct vcpu *v, uint8_t vector, bool level);
/* The vCPU's upcall vector. It is taken into IRR also while software has the APIC
 * disabled, and waits there: Linux names the vector while it resumes, before it enables
 * its APIC, and an upcall that is pending already raises nothing a second time. */
void vlapic_set_upcall(struct vcpu *v, uint8_t vector);
/* Highest deliverable vector (above PPR), -1 if none; looks at ExtINT of the PIC as well.
 */
struct hvm_intack {
    enum { INTACK_NONE, INTACK_LAPIC, INTACK_PIC, INTACK_VECTOR } source;
    uint8_t vector; /* of PIC: known only after hvm_intr_ack */
};
struct hvm_intack hvm_intr_pending(struct vcpu *v); /* no side effect */
/* Would v get an interrupt now, if its RFLAGS.IF allows? Also one that the processor
 * delivers itself, of which hvm_intr_pending() says nothing. v is current. */
bool hvm_interrupt_pending(struct vcpu *v);
int hvm_intr_ack(struct vcpu *v, struct hvm_intack intack); /* vector; IRR to ISR */
/* Does another wait behind the one that was acknowledged? The upcall flag stays set until
 * the guest's handler clears it, and does not count again: whoever sets it anew kicks. */
bool hvm_intr_more(struct vcpu *v, struct hvm_intack taken);
/* Is there an interrupt that only the TPR keeps out? */
bool vlapic_tpr_blocks(const struct vcpu *v);
void vlapic_set_tpr(struct vcpu *v, uint8_t cr8);
int vlapic_msr_read(struct vcpu *v, uint32_t msr,
                    uint64_t *val); /* 0x1b, 0x800-0x8ff, 0x6e0 */
int vlapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val);
void vlapic_reset(struct vcpu *v, bool init); /* init: INIT keeps the id and base */
uint32_t vlapic_id(const struct vcpu *v);
/* The id that vlapic_reset() gives: by default vcpu id * 2, as hvmloader's and libxl's
 * tables say. Dom0's are those of the machine. Before the vCPU runs. */
void vlapic_set_initial_id(struct vcpu *v, uint32_t id);
/* The guest's TSC jumped: an armed TSC deadline moves. */
void vlapic_tsc_changed(struct vcpu *v);
/* INIT and SIPI from another vCPU: sets hvm_vcpu.init_pending/sipi_*, wakes v. */
void hvm_vcpu_init_ipi(struct vcpu *v);
void hvm_vcpu_sipi(struct vcpu *v, uint8_t vector);

/* EOI of a level-triggered vector: the I/O APIC looks for its pins; Dom0's machine pins
 * are unmasked in dom0_gsi_eoi() (domain/dom0_irq.c). */
void vioapic_eoi(struct domain *d, uint8_t vector);
/* Dom0: a redirection entry was written; program the machine's pin (domain/dom0_irq.c).
 */
void dom0_gsi_update(unsigned int gsi, uint64_t rte);
void dom0_gsi_eoi(unsigned int gsi);

/* MTRR and PAT (hvm/mtrr.c). */
int vmtrr_msr_read(struct vcpu *v, uint32_t msr,
                   uint64_t *val); /* -ENOENT: not one of its */
int vmtrr_msr_write(struct vcpu *v, uint32_t msr, uint64_t val);

/* Guest-side time for devices: ns of system time, stopped while the domain is paused when
 * params[HVM_PARAM_TIMER_MODE] asks for it. */
ns_t hvm_guest_time(const struct domain *d);

#endif
