/* Dom0's view of the machine's ACPI tables. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI 6.4, 5.2. Dom0 uses the machine's tables where they are, found through an XSDT of
 * ours (also on machines that have only an RSDT), but for the MADT: it lists Dom0's
 * processors, whose APIC ids are those of the machine's first CPUs, and says that there
 * are no 8259s.
 */
#include "domain/dom0_build.h"
#include "cpu/percpu.h"
#include "lib/string.h"

struct acpi_header {
    char sig[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator[4];
    uint32_t creator_revision;
} __packed;

struct acpi_rsdp {
    char sig[8];
    uint8_t checksum;
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t ext_checksum, reserved[3];
} __packed;

struct acpi_madt {
    struct acpi_header h;
    uint32_t lapic_base, flags;
} __packed;

#define MADT_LAPIC         0
#define MADT_X2APIC        9
#define MADT_LAPIC_ENABLED 1u
#define MADT_LAPIC_CAPABLE 2u

static void set_checksum(void *table, size_t bytes, uint8_t *checksum)
{
    uint8_t sum = 0;

    *checksum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += ((uint8_t *)table)[i];
    *checksum = -sum;
}

static bool is_vcpu(uint32_t apic_id, unsigned int vcpus)
{
    for (unsigned int i = 0; i < vcpus; i++)
        if (cpus[i]->apic_id == apic_id)
            return true;
    return false;
}

/* Copy the MADT; processors that are not Dom0's are marked as not there. */
static size_t make_madt(uint8_t *out, size_t bytes, const struct acpi_madt *from,
                        unsigned int vcpus)
{
    struct acpi_madt *to = (struct acpi_madt *)out;

    if (from->h.length > bytes)
        return 0;
    memcpy(out, from, from->h.length);
    to->flags &= ~1u; /* PCAT_COMPAT: dual 8259s */
    for (uint32_t pos = sizeof(*to); pos + 2 <= to->h.length;) {
        uint8_t *e = out + pos, len = e[1];
        uint32_t flags;

        if (len < 2 || pos + len > to->h.length)
            break;
        if (e[0] == MADT_LAPIC && len >= 8 && !is_vcpu(e[3], vcpus)) {
            memset(e + 4, 0, 4);
        } else if (e[0] == MADT_X2APIC && len >= 16) {
            uint32_t id;

            memcpy(&id, e + 4, 4);
            memcpy(&flags, e + 8, 4);
            if (!is_vcpu(id, vcpus))
                flags &= ~(MADT_LAPIC_ENABLED | MADT_LAPIC_CAPABLE);
            memcpy(e + 8, &flags, 4);
        }
        pos += len;
    }
    set_checksum(to, to->h.length, &to->h.checksum);
    return to->h.length;
}

static bool hidden(const char sig[4])
{
    return !memcmp(sig, "DMAR", 4) || !memcmp(sig, "IVRS", 4) ||
           !memcmp(sig, "APIC", 4) || !memcmp(sig, "XSDT", 4) || !memcmp(sig, "RSDT", 4);
}

uint64_t dom0_acpi_build(void *buf, size_t bytes, uint64_t gpa, unsigned int vcpus)
{
    const struct acpi_header *madt = acpi_find_table("APIC", 0), *fadt;
    struct acpi_rsdp *rsdp = buf;
    struct acpi_header *xsdt = (void *)((char *)buf + 64);
    uint64_t *entry = (uint64_t *)(xsdt + 1);
    size_t used, madt_bytes;

    fadt = acpi_find_table("FACP", 0);
    if (!madt || !fadt || bytes < PAGE_SIZE)
        return 0;
    used = ALIGN_UP(64 + sizeof(*xsdt) + 64 * sizeof(*entry), 64);
    madt_bytes = make_madt((uint8_t *)buf + used, bytes - used,
                           (const struct acpi_madt *)madt, vcpus);
    if (!madt_bytes)
        return 0;

    *xsdt = *fadt;
    memcpy(xsdt->sig, "XSDT", 4);
    xsdt->revision = 1;
    memcpy(entry++, &(uint64_t){gpa + used}, 8);
    for (unsigned int i = 0; entry < (uint64_t *)(xsdt + 1) + 64; i++) {
        uint64_t maddr;
        const struct acpi_header *t = acpi_table_by_index(i, &maddr);

        if (!t)
            break;
        if (!hidden(t->sig))
            memcpy(entry++, &maddr, 8);
    }
    xsdt->length = (char *)entry - (char *)xsdt;
    set_checksum(xsdt, xsdt->length, &xsdt->checksum);

    memset(rsdp, 0, sizeof(*rsdp));
    memcpy(rsdp->sig, "RSD PTR ", 8);
    memcpy(rsdp->oem_id, fadt->oem_id, 6);
    rsdp->revision = 2;
    rsdp->length = sizeof(*rsdp);
    rsdp->xsdt = gpa + 64;
    set_checksum(rsdp, 20, &rsdp->checksum);
    set_checksum(rsdp, sizeof(*rsdp), &rsdp->ext_checksum);
    return gpa;
}
