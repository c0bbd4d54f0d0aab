/* The machine's ACPI tables: what the hypervisor itself needs of them.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ACPI 6.4, 5.2: RSDP, RSDT/XSDT, MADT, FADT, HPET, MCFG. Of the DSDT only the package
 * \_S5 is looked for, by its byte pattern; there is no AML interpreter.
 *
 * Tables are firmware's: lengths and checksums are checked, contents are not trusted to
 * stay inside them.
 */
#include "boot/acpi_tables.h"
#include "boot/boot.h"
#include "boot/multiboot.h"
#include "mm/frame.h"
#include "lib/printk.h"
#include "lib/string.h"

struct acpi_info acpi;

#define MAX_TABLES     128
#define MAX_TABLE_SIZE MB(16)

static const struct acpi_header *tables[MAX_TABLES];
static unsigned int table_count;

static bool checksum_ok(const void *p, size_t bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)p)[i]);
    return !sum;
}

/* The table at an address, if the length is sane and the checksum right. Tables lie in
 * memory that the direct map has; what lies elsewhere is mapped. */
static const struct acpi_header *table_at(uint64_t maddr)
{
    const struct acpi_header *h;

    if (!maddr)
        return NULL;
    h = acpi_map(maddr, sizeof(*h));
    if (!h || h->length < sizeof(*h) || h->length > MAX_TABLE_SIZE)
        return NULL;
    h = acpi_map(maddr, h->length);
    return h && checksum_ok(h, h->length) ? h : NULL;
}

const void *acpi_find_table(const char sig[4], unsigned int index)
{
    for (unsigned int i = 0; i < table_count; i++) {
        if (!memcmp(tables[i]->signature, sig, 4) && !index--)
            return tables[i];
    }
    return NULL;
}

const void *acpi_table_by_index(unsigned int index, uint64_t *maddr)
{
    if (index >= table_count)
        return NULL;
    *maddr = virt_to_maddr(tables[index]);
    return tables[index];
}

static void add_table(uint64_t maddr)
{
    const struct acpi_header *h = table_at(maddr);

    if (!h)
        printk("WARNING: ACPI table at %lx is damaged\n", maddr);
    else if (table_count < MAX_TABLES)
        tables[table_count++] = h;
}

/* The XSDT has 64-bit pointers behind its header, unaligned; the RSDT 32-bit ones. */
static bool read_root(uint64_t maddr, unsigned int pointer_size)
{
    const struct acpi_header *root = table_at(maddr);
    const char *p;

    if (!root)
        return false;
    p = (const char *)(root + 1);
    for (; p + pointer_size <= (const char *)root + root->length; p += pointer_size) {
        uint64_t table = 0;

        memcpy(&table, p, pointer_size);
        if (table)
            add_table(table);
    }
    return true;
}

static const struct acpi_rsdp *check_rsdp(const struct acpi_rsdp *r)
{
    return !memcmp(r->signature, "RSD PTR ", 8) && checksum_ok(r, 20) ? r : NULL;
}

static const struct acpi_rsdp *scan_rsdp(uint64_t start, uint64_t end)
{
    for (uint64_t a = start; a + sizeof(struct acpi_rsdp) <= end; a += 16) {
        const struct acpi_rsdp *r = check_rsdp(acpi_map(a, sizeof(*r)));

        if (r) {
            acpi.rsdp = a;
            return r;
        }
    }
    return NULL;
}

/* UEFI machines have it in the system table's configuration tables: UEFI 2.10, 4.6. */
static const struct acpi_rsdp *efi_rsdp(void)
{
    static const uint8_t acpi20_guid[16] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4,
                                            0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80,
                                            0xc7, 0x3c, 0x88, 0x81};
    const struct efi_system_table *st;
    const struct efi_config_table *t;
    const struct acpi_rsdp *r;

    if (!boot_info.efi_systab)
        return NULL;
    st = acpi_map(boot_info.efi_systab, sizeof(*st));
    if (!st || memcmp(st->signature, "IBI SYST", 8) || st->table_count > 1024)
        return NULL;
    t = acpi_map(st->tables, st->table_count * sizeof(*t));
    for (uint64_t i = 0; t && i < st->table_count; i++) {
        if (memcmp(t[i].guid, acpi20_guid, sizeof(acpi20_guid)))
            continue;
        r = acpi_map(t[i].table, sizeof(*r));
        if (r && check_rsdp(r)) {
            acpi.rsdp = t[i].table;
            return r;
        }
    }
    return NULL;
}

/* From the loader, from UEFI, or where a BIOS puts it: EBDA and E0000-FFFFF. */
static const struct acpi_rsdp *find_rsdp(void)
{
    const struct acpi_rsdp *r = NULL;
    uint64_t ebda = (uint64_t) * (const uint16_t *)acpi_map(0x40e, 2) << 4;

    if (boot_info.rsdp) {
        r = check_rsdp(acpi_map(boot_info.rsdp, sizeof(*r)));
        acpi.rsdp = r ? boot_info.rsdp : 0;
    }
    if (!r)
        r = efi_rsdp();
    if (!r && !boot_info.efi_systab && ebda >= KB(512) && ebda < KB(640))
        r = scan_rsdp(ebda, ebda + KB(1));
    if (!r && !boot_info.efi_systab)
        r = scan_rsdp(0xe0000, 0x100000);
    if (!r)
        r = check_rsdp((const struct acpi_rsdp *)boot_rsdp_copy);
    return r;
}

static void add_cpu(uint32_t apic_id, uint32_t acpi_id, uint32_t flags)
{
    if (!(flags & MADT_CPU_ENABLED))
        return;
    if (acpi.cpu_count == MAX_CPUS) {
        printk("WARNING: more than %u processors; APIC id %u is not used\n", MAX_CPUS,
               apic_id);
        return;
    }
    acpi.cpu[acpi.cpu_count].apic_id = apic_id;
    acpi.cpu[acpi.cpu_count].acpi_id = acpi_id;
    acpi.cpu_count++;
}

static void madt_entry(const struct madt_entry *e)
{
    switch (e->type) {
    case MADT_LAPIC:
        if (e->length >= 8)
            add_cpu(e->lapic.apic_id, e->lapic.acpi_id, e->lapic.flags);
        break;
    case MADT_X2APIC:
        if (e->length >= 16)
            add_cpu(e->x2apic.apic_id, e->x2apic.acpi_id, e->x2apic.flags);
        break;
    case MADT_IOAPIC:
        if (e->length < 12 || acpi.ioapic_count == ARRAY_SIZE(acpi.ioapic))
            break;
        acpi.ioapic[acpi.ioapic_count].id = e->ioapic.id;
        acpi.ioapic[acpi.ioapic_count].maddr = e->ioapic.address;
        acpi.ioapic[acpi.ioapic_count].gsi_base = e->ioapic.gsi_base;
        acpi.ioapic_count++;
        break;
    case MADT_OVERRIDE:
        if (e->length < 10 || acpi.override_count == ARRAY_SIZE(acpi.override))
            break;
        acpi.override[acpi.override_count].irq = e->override.irq;
        acpi.override[acpi.override_count].gsi = e->override.gsi;
        acpi.override[acpi.override_count].flags = e->override.flags;
        acpi.override_count++;
        break;
    case MADT_LAPIC_ADDRESS:
        if (e->length >= 12)
            acpi.lapic_base = e->lapic_address.address;
        break;
    }
}

void acpi_parse_madt(const void *table)
{
    const struct acpi_madt *madt = table;
    const char *p = (const char *)(madt + 1), *end = (const char *)madt + madt->h.length;

    if (madt->h.length < sizeof(*madt))
        return;
    acpi.lapic_base = madt->lapic_address;
    while (end - p >= 2) {
        const struct madt_entry *e = (const struct madt_entry *)p;

        if (e->length < 2 || e->length > end - p)
            break;
        madt_entry(e);
        p += e->length;
    }
}

/* The values to write to PM1x_CNT.SLP_TYP for S5: `Name (_S5, Package () {a, b, ...})` is
 * 08 [5c] '_S5_' 12 length count, then small integers (ACPI 6.4, 20.2). */
bool acpi_parse_s5(const uint8_t *aml, size_t bytes, uint8_t typ[2])
{
    for (size_t i = 1; i + 16 < bytes; i++) {
        const uint8_t *p = aml + i;

        if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
            continue;
        if (p[-1] != 0x08 && !(i >= 2 && p[-1] == '\\' && p[-2] == 0x08))
            continue;
        p += 5;
        p += (*p >> 6) + 1; /* package length: top bits tell how many more bytes */
        p++;                /* number of elements */
        for (int k = 0; k < 2 && p < aml + bytes - 1; k++) {
            if (*p == 0x0a) /* BytePrefix */
                p++;
            typ[k] = *p++ & 7;
        }
        return true;
    }
    return false;
}

void acpi_parse_fadt(const void *table)
{
    struct acpi_fadt f = {0};
    const struct acpi_header *h = table, *dsdt;

    memcpy(&f, h, min((size_t)h->length, sizeof(f)));
    acpi.pm_timer_port = f.pm_timer_length == 4 ? f.pm_timer : 0;
    acpi.pm_timer_32bit = f.flags & FADT_TMR_VAL_EXT;
    acpi.pm1a_cnt = (uint16_t)f.pm1a_cnt;
    acpi.pm1b_cnt = (uint16_t)f.pm1b_cnt;
    acpi.pm1a_evt = (uint16_t)f.pm1a_evt;
    acpi.pm1b_evt = (uint16_t)f.pm1b_evt;
    acpi.smi_cmd = (uint16_t)f.smi_cmd;
    acpi.acpi_enable = f.acpi_enable;
    if (h->length >= offsetof(struct acpi_fadt, x_dsdt) && (f.flags & FADT_RESET_REG) &&
        f.reset.address) {
        acpi.reset_space = f.reset.space;
        acpi.reset_addr = f.reset.address;
        acpi.reset_value = f.reset_value;
    }
    dsdt = table_at(f.x_dsdt ? f.x_dsdt : f.dsdt);
    if (dsdt)
        acpi_parse_s5((const uint8_t *)dsdt, dsdt->length, acpi.s5_slp_typ);
}

static void parse_hpet(const struct acpi_hpet *h)
{
    if (h->h.length >= sizeof(*h) && h->address.space == 0)
        acpi.hpet = h->address.address;
}

static void parse_mcfg(const struct acpi_mcfg *m)
{
    size_t n =
        m->h.length < sizeof(*m) ? 0 : (m->h.length - sizeof(*m)) / sizeof(m->entry[0]);

    acpi.mcfg_count = (unsigned int)min(n, ARRAY_SIZE(acpi.mcfg));
    for (unsigned int i = 0; i < acpi.mcfg_count; i++) {
        acpi.mcfg[i].base = m->entry[i].base;
        acpi.mcfg[i].segment = m->entry[i].segment;
        acpi.mcfg[i].bus_start = m->entry[i].bus_start;
        acpi.mcfg[i].bus_end = m->entry[i].bus_end;
    }
}

static void report(const char *root)
{
    printk("ACPI: %s,", root);
    for (unsigned int i = 0; i < table_count; i++)
        printk(" %.4s", tables[i]->signature);
    printk("\n");
}

void acpi_init(void)
{
    const struct acpi_rsdp *rsdp = find_rsdp();
    const void *t;
    bool xsdt;

    if (!rsdp)
        panic("No ACPI tables found (no RSDP from the boot loader, UEFI or the BIOS)");
    xsdt = rsdp->revision >= 2 && rsdp->xsdt && read_root(rsdp->xsdt, 8);
    if (!xsdt && !read_root(rsdp->rsdt, 4))
        panic("The ACPI tables' root (RSDT or XSDT) is damaged");
    report(xsdt ? "XSDT" : "RSDT");
    t = acpi_find_table("APIC", 0);
    if (!t)
        panic("No ACPI MADT: processors and interrupt controllers are not known");
    acpi_parse_madt(t);
    t = acpi_find_table("FACP", 0);
    if (t)
        acpi_parse_fadt(t);
    t = acpi_find_table("HPET", 0);
    if (t)
        parse_hpet(t);
    t = acpi_find_table("MCFG", 0);
    if (t)
        parse_mcfg(t);
}
