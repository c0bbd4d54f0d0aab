/* Dom0: a PVH container with identity-mapped RAM and the machine's devices.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Boot modules: the kernel (bzImage with any payload that lib/unpack knows, or a plain
 * ELF) and, if there is a second one, its initrd. They are first copied out of the way,
 * so that Dom0 gets the low memory in one piece; then Dom0's RAM is claimed from the
 * lowest free frame up, the kernel goes where it is linked, the rest below 4 GiB as high
 * as possible.
 *
 * What is not RAM is mapped when Dom0 touches it (dom0_map_mmio), so BARs may be
 * anywhere.
 */
#include "domain/dom0_build.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "domain/sched.h"
#include "hvm/exit.h"
#include "hvm/hvm.h"
#include "hvm/platform.h"
#include "lib/console.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "lib/unpack/unpack.h"
#include "mm/frame.h"
#include "mm/scrub.h"
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/domctl.h>

static unsigned int max_vcpus;
static uint64_t mem_bytes;

option_uint("dom0_max_vcpus", max_vcpus,
            "virtual CPUs of Dom0; default: one for each CPU");

/* Xen's syntax: "1G", "1G,max:1G", "min:512M". A plain or max: amount counts. */
static int parse_dom0_mem(const char *s)
{
    while (*s) {
        const char *end;
        uint64_t n;
        bool is_min = !strncmp(s, "min:", 4);

        if (is_min || !strncmp(s, "max:", 4))
            s += 4;
        n = strtoull(s, &end, 0);
        if (end == s)
            return -EINVAL;
        switch (*end) {
        case 'T':
        case 't':
            n <<= 10; /* fall through */
        case 'G':
        case 'g':
            n <<= 10; /* fall through */
        case 'M':
        case 'm':
            n <<= 10; /* fall through */
        case 'K':
        case 'k':
            end++;
            n <<= 10;
            break;
        case 'B':
        case 'b':
            end++;
            break;
        default:
            n <<= 10; /* KiB, as in Xen */
        }
        if (*end && *end != ',')
            return -EINVAL;
        if (!is_min && (!mem_bytes || n < mem_bytes))
            mem_bytes = n;
        s = *end ? end + 1 : end;
    }
    return 0;
}
option_custom("dom0_mem", parse_dom0_mem,
              "Dom0's memory, e.g. 1G or 1G,max:1G; default: a quarter, at least 512M");

/* ---- memory ---- */

static uint64_t wanted_frames(void)
{
    uint64_t total = frames_total() << PAGE_SHIFT, bytes = mem_bytes;
    /* Something is left for the hypervisor's own needs. */
    uint64_t most = frames_free() - min(frames_free() / 2, (uint64_t)2048);

    if (!bytes)
        bytes = max(total / 4, (uint64_t)MB(512));
    if (mem_bytes >> PAGE_SHIFT > most)
        printk("dom0_mem=%luM is more than there is: Dom0 gets %lu MiB\n",
               mem_bytes >> 20, most << PAGE_SHIFT >> 20);
    return min(bytes >> PAGE_SHIFT, most);
}

/* Claim free frames from the bottom of memory and map them one to one. Not cleared: it is
 * as the firmware left it, which is no secret from Dom0, and what must be zero is cleared
 * where it is made. Page 0 comes first, with the real mode vectors and the BIOS's data,
 * of which stock Xen gives its Dom0 a copy; if the firmware has reserved it, it is MMIO.
 */
static int populate(struct domain *d, uint64_t want)
{
    uint64_t from = 0, start, count;

    if (want && !frame_claim(d, MFN(0), ORDER_4K)) {
        int rc = p2m_set(d, GFN(0), MFN(0), P2M_RAM_RW, ORDER_4K);

        if (rc)
            return rc;
        want--;
    }
    while (want && frame_next_free(from, &start, &count)) {
        count = min(count, want);
        from = start;
        while (count) {
            unsigned int order = __builtin_ctzll(start);
            int rc;

            order = order >= ORDER_1G   ? ORDER_1G
                    : order >= ORDER_2M ? ORDER_2M
                                        : ORDER_4K;
            while (BIT(order) > count)
                order = order == ORDER_1G ? ORDER_2M : ORDER_4K;
            rc = frame_claim(d, MFN(start), order);
            if (rc == -EBUSY)
                break; /* became a page of the tables: look again */
            if (!rc)
                rc = p2m_set(d, GFN(start), MFN(start), P2M_RAM_RW, order);
            if (rc)
                return rc;
            start += BIT(order);
            count -= BIT(order);
            want -= BIT(order);
            from = start;
        }
    }
    return 0;
}

/* Is it Dom0's RAM; *order is that of the mapping, or of the hole, that it lies in. */
static bool is_dom0_ram(struct domain *d, uint64_t gfn, unsigned int *order)
{
    enum p2m_type t;

    p2m_lookup(d, GFN(gfn), &t, order);
    return t == P2M_RAM_RW;
}

/* Highest place below 4 GiB for `bytes` of Dom0's RAM, at or above `floor`; 0 if none. */
static uint64_t place_high(struct domain *d, uint64_t bytes, uint64_t floor, uint64_t top)
{
    uint64_t need = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT, run = 0, first;
    uint64_t low = ALIGN_UP(floor, PAGE_SIZE) >> PAGE_SHIFT;
    unsigned int order;

    for (uint64_t gfn = min(top, (uint64_t)GB(4)) >> PAGE_SHIFT; gfn > low; gfn = first) {
        bool ram = is_dom0_ram(d, gfn - 1, &order);

        first = max((gfn - 1) & ~(BIT(order) - 1), low);
        run = ram ? run + gfn - first : 0;
        if (run >= need)
            return (first + run - need) << PAGE_SHIFT;
    }
    return 0;
}

/* The map for Dom0: its RAM, what the firmware reserved, and as reserved the RAM that is
 * not Dom0's, so that it puts no BAR there. */
static unsigned int make_memmap(struct domain *d, struct hvm_memmap_table_entry *map,
                                unsigned int max_entries, uint64_t acpi_gpa,
                                uint64_t acpi_bytes)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];
        uint64_t gfn = e->addr >> PAGE_SHIFT, end = (e->addr + e->size) >> PAGE_SHIFT;

        if (e->type != E820_RAM) {
            if (n < max_entries)
                map[n++] = (struct hvm_memmap_table_entry){
                    .addr = e->addr, .size = e->size, .type = e->type};
            continue;
        }
        gfn = ALIGN_UP(e->addr, PAGE_SIZE) >> PAGE_SHIFT;
        while (gfn < end && n < max_entries) {
            uint64_t first = gfn, acpi_first = acpi_gpa >> PAGE_SHIFT;
            uint64_t acpi_end = (acpi_gpa + acpi_bytes) >> PAGE_SHIFT;
            bool acpi_page = gfn >= acpi_first && gfn < acpi_end;
            uint64_t limit = acpi_page          ? min(end, acpi_end)
                             : gfn < acpi_first ? min(end, acpi_first)
                                                : end;
            unsigned int order;
            bool ram = is_dom0_ram(d, gfn, &order);

            while (gfn < limit && is_dom0_ram(d, gfn, &order) == ram)
                gfn = min((gfn | (BIT(order) - 1)) + 1, limit);
            map[n++] = (struct hvm_memmap_table_entry){
                .addr = first << PAGE_SHIFT,
                .size = (gfn - first) << PAGE_SHIFT,
                .type = acpi_page ? E820_ACPI
                        : ram     ? E820_RAM
                                  : E820_RESERVED,
            };
        }
    }
    return n;
}

/* ---- kernel ---- */

/* The ELF image: the module itself, or what is packed in a bzImage. That is unpacked at
 * the top of Dom0's RAM, which is in use by nothing yet; the caller clears it. */
static int unpack_kernel(struct domain *d, const struct boot_module *m,
                         const void **image, size_t *bytes)
{
    const void *payload, *module = maddr_to_virt(m->maddr);
    uint64_t scratch;
    uint32_t size;
    size_t len;
    int rc;

    *image = module;
    *bytes = m->bytes;
    rc = bzimage_payload(module, m->bytes, &payload, &len);
    if (rc == -EINVAL)
        return 0;
    if (rc || len < 4) {
        printk("Dom0's kernel is cut short: %lu bytes are not all of this bzImage\n",
               m->bytes);
        return -EINVAL;
    }
    /* The kernel's build appends the unpacked size to the payload. */
    memcpy(&size, (const char *)payload + len - 4, 4);
    if (size < len || size > MB(512))
        size = MB(128);
    scratch = place_high(d, size, MB(1), GB(4));
    if (!scratch) {
        printk("No room to unpack Dom0's kernel (%u KiB): raise dom0_mem=\n", size >> 10);
        return -ENOMEM;
    }
    *image = maddr_to_virt(scratch);
    rc = unpack(payload, len, maddr_to_virt(scratch), size, bytes);
    if (rc)
        printk("Dom0's kernel cannot be unpacked: %s (error %d)\n",
               rc == -EINVAL       ? "the file is damaged"
               : rc == -EOPNOTSUPP ? "xz, gzip, lz4 and zstd are known, not this"
               : rc == -ENOSPC     ? "it is larger than it says"
                                   : "no memory",
               rc);
    return rc;
}

static int load_kernel(struct domain *d, uint32_t *entry, uint64_t *end)
{
    const struct boot_module *m = &boot_info.modules[0];
    const void *image;
    size_t bytes;
    int rc = unpack_kernel(d, m, &image, &bytes);

    if (rc)
        return rc;
    rc = dom0_load_elf(d, image, bytes, entry, end);
    if (image != maddr_to_virt(m->maddr))
        memset((void *)image, 0, bytes);
    return rc;
}

/* Is this machine address something that Dom0 may have mapped as it is? */
static bool may_map(uint64_t mfn)
{
    uint64_t maddr = mfn << PAGE_SHIFT;

    if (maddr >> (cpuid_get(0x80000008, CPUID_EAX) & 0xff))
        return false;
    if (mfn_valid(MFN(mfn)) && mfn_to_frame(MFN(mfn))->state != FRAME_RESERVED)
        return false; /* RAM that is not Dom0's */
    if (maddr >= boot_info.image_start && maddr < boot_info.image_end)
        return false;
    /* The local APICs and I/O APICs are the hypervisor's. */
    if (maddr == ALIGN_DOWN(acpi.lapic_base, PAGE_SIZE))
        return false;
    for (unsigned int i = 0; i < acpi.ioapic_count; i++)
        if (maddr == ALIGN_DOWN(acpi.ioapic[i].maddr, PAGE_SIZE))
            return false;
    return true;
}

bool dom0_map_mmio(struct domain *d, gfn_t gfn)
{
    uint64_t base = gfn.n & ~(BIT(ORDER_2M) - 1);
    unsigned int order = ORDER_2M;
    enum p2m_type t;

    if (!may_map(gfn.n))
        return false;
    for (uint64_t i = 0; i < BIT(ORDER_2M) && order; i++) {
        p2m_lookup(d, GFN(base + i), &t, NULL);
        if (!may_map(base + i) || t != P2M_INVALID)
            order = ORDER_4K;
    }
    if (order == ORDER_4K)
        base = gfn.n;
    return !p2m_set(d, GFN(base), MFN(base), P2M_MMIO_DIRECT, order);
}

/* ---- start ---- */

/* PVH start of day: flat 32-bit protected mode (docs/misc/pvh of Xen; start_info.h). */
static void set_entry_state(struct vcpu *v, uint32_t entry, uint32_t start_info)
{
    struct emul_seg code = {.sel = 8, .attr = 0xc9b, .limit = ~0u};
    struct emul_seg data = {.sel = 16, .attr = 0xc93, .limit = ~0u};
    struct emul_seg tss = {.attr = 0x8b, .limit = 0x67};
    struct hvm_vcpu *h = v->hvm;

    for (unsigned int s = EMUL_ES; s <= EMUL_GS; s++)
        hvm_ops->set_segment(v, s, s == EMUL_CS ? &code : &data);
    hvm_ops->set_segment(v, EMUL_TR, &tss);
    h->cr0 = CR0_PE | CR0_ET;
    hvm_ops->update_cr(v, 0);
    h->regs.rip = entry;
    h->regs.rbx = start_info;
    h->regs.rdx = 0;
    v->initialised = true;
}

#define SWIOTLB_FORCE " swiotlb=force"

/* The same for XENMEM_memory_map, which has the BIOS's 20-byte entries. */
static void keep_memmap(struct domain *d, const struct hvm_memmap_table_entry *map,
                        unsigned int n)
{
    struct e820_entry *kept = zalloc(n * sizeof(*kept));

    if (!kept)
        panic("No memory for Dom0's memory map");
    for (unsigned int i = 0; i < n; i++)
        kept[i] = (struct e820_entry){map[i].addr, map[i].size, map[i].type};
    d->memory_map = (uint8_t *)kept;
    d->memory_map_entries = n;
}

/* start_info, module list, command line, memory map and ACPI tables in one block: returns
 * the address of start_info, 0 if there is no room. */
static uint64_t make_start_info(struct domain *d, uint64_t kernel_end, uint64_t initrd,
                                size_t initrd_bytes)
{
    enum { ACPI_BYTES = 4 * PAGE_SIZE, MAP_MAX = 512, BLOCK = 10 * PAGE_SIZE };
    /* Linux reads it through its first page tables, which map 1 GiB. */
    uint64_t top = min(initrd ? initrd : GB(1), (uint64_t)GB(1));
    uint64_t gpa = place_high(d, BLOCK, kernel_end, top), acpi_gpa;
    char *block = maddr_to_virt(gpa), *p = block + ACPI_BYTES;
    struct hvm_start_info *si = (void *)p;
    struct hvm_modlist_entry *mod = (void *)(p + 256);
    struct hvm_memmap_table_entry *map = (void *)(p + 512);
    char *cmdline = (char *)(map + MAP_MAX);

    if (!gpa)
        return 0;
    acpi_gpa = gpa;
    memset(block, 0, BLOCK);
    si->magic = XEN_HVM_START_MAGIC_VALUE;
    si->version = 1;
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si->cmdline_paddr = gpa + (cmdline - block);
    si->rsdp_paddr = dom0_acpi_build(block, ACPI_BYTES, acpi_gpa, d->nr_vcpus);
    if (!si->rsdp_paddr)
        si->rsdp_paddr = boot_info.rsdp;
    si->memmap_paddr = gpa + ((char *)map - block);
    si->memmap_entries = make_memmap(d, map, MAP_MAX, acpi_gpa, ACPI_BYTES);
    keep_memmap(d, map, si->memmap_entries);
    strlcpy(cmdline, boot_info.modules[0].cmdline, 1536);
    /* A page of a guest that Dom0 has mapped must not be a DMA target under its
     * guest-physical address: without an IOMMU (none is driven yet) that address means
     * another page. */
    if (!strstr(cmdline, "swiotlb="))
        strlcpy(cmdline + strlen(cmdline), SWIOTLB_FORCE, 2048 - strlen(cmdline));
    if (initrd) {
        si->nr_modules = 1;
        si->modlist_paddr = gpa + ((char *)mod - block);
        mod->paddr = initrd;
        mod->size = initrd_bytes;
    }
    return gpa + ACPI_BYTES;
}

static struct domain *create(unsigned int vcpus)
{
    struct xen_domctl_createdomain config = {
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .max_vcpus = vcpus,
        .max_evtchn_port = -1,
        .max_grant_frames = 64,
        .max_maptrack_frames = 1024,
        .grant_opts = XEN_DOMCTL_GRANT_version(2),
        .arch.emulation_flags = XEN_X86_EMU_LAPIC | XEN_X86_EMU_IOAPIC | XEN_X86_EMU_VPCI,
    };
    struct domain *d;
    int rc = domain_create(0, &config, true, &d);

    if (!rc) {
        dom0 = d;
        d->is_dom0_identity = true;
        d->hvm->passthrough_io = true;
        rc = domain_set_max_vcpus(d, vcpus);
    }
    if (rc)
        panic("Dom0 cannot be created: error %d", rc);
    for (unsigned int i = 0; i < vcpus; i++)
        vlapic_set_initial_id(d->vcpus[i], cpus[i]->apic_id);
    return d;
}

void dom0_build(void)
{
    unsigned int vcpus = max_vcpus && max_vcpus < nr_cpus ? max_vcpus : nr_cpus;
    const struct boot_module *initrd = &boot_info.modules[1];
    uint64_t kernel_end, initrd_gpa = 0, start_info;
    struct domain *d;
    uint32_t entry;
    int rc;

    if (!boot_info.module_count)
        panic("No boot module: the first one is Dom0's kernel, the second its initrd "
              "(qemu: -initrd \"vmlinuz args,initrd\"; GRUB: module2 lines)");
    if (max_vcpus > nr_cpus)
        printk("dom0_max_vcpus=%u: there %s only %u CPU%s\n", max_vcpus,
               nr_cpus == 1 ? "is" : "are", nr_cpus, nr_cpus == 1 ? "" : "s");
    d = create(vcpus);
    if (populate(d, wanted_frames()))
        panic("Dom0's memory cannot be allocated");
    if (load_kernel(d, &entry, &kernel_end))
        panic("Dom0's kernel cannot be used: see the message above");
    if (boot_info.module_count > 1) {
        initrd_gpa = place_high(d, initrd->bytes, kernel_end, GB(4));
        if (!initrd_gpa)
            panic("No room for Dom0's initrd (%lu KiB) in its memory: raise dom0_mem=",
                  initrd->bytes >> 10);
        memcpy(maddr_to_virt(initrd_gpa), maddr_to_virt(initrd->maddr), initrd->bytes);
    }
    start_info = make_start_info(d, kernel_end, initrd_gpa, initrd->bytes);
    if (!start_info)
        panic("No room for Dom0's start information: raise dom0_mem=");
    boot_free_modules();

    rc = dom0_open_ports(d);
    if (rc)
        panic("Dom0's ports: error %d", rc);
    set_entry_state(d->vcpus[0], entry, start_info);
    printk("Dom0: %lu MiB, %u vCPU%s, entry %#x, initrd %#lx\n",
           (d->tot_pages << PAGE_SHIFT) >> 20, vcpus, vcpus == 1 ? "" : "s", entry,
           initrd_gpa);
    console_end_boot();
    scrub_start();
    vcpu_online(d->vcpus[0]);
}
