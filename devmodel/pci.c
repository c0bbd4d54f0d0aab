/*
 * The conventional part of PCI (PCI Local Bus 3.0, chapter 6): configuration headers,
 * base address registers that move regions, INTx, capabilities, and MSI-X (6.8.2). One
 * bus; bridges are not modelled.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "pci_host.h"
#include "pci_internal.h"

enum {
    CFG_VENDOR = 0x00,
    CFG_DEVICE = 0x02,
    CFG_COMMAND = 0x04,
    CFG_STATUS = 0x06,
    CFG_REVISION = 0x08,
    CFG_CLASS = 0x09,
    CFG_HEADER_TYPE = 0x0e,
    CFG_BAR0 = 0x10,
    CFG_SUBSYSTEM_VENDOR = 0x2c,
    CFG_SUBSYSTEM = 0x2e,
    CFG_ROM = 0x30,
    CFG_CAPABILITIES = 0x34,
    CFG_INTERRUPT_LINE = 0x3c,
    CFG_INTERRUPT_PIN = 0x3d,

    COMMAND_IO = 1 << 0,
    COMMAND_MEMORY = 1 << 1,
    COMMAND_MASTER = 1 << 2,
    COMMAND_PARITY = 1 << 6,
    COMMAND_SERR = 1 << 8,
    COMMAND_INTX_DISABLE = 1 << 10,

    STATUS_INTX = 1 << 3,
    STATUS_CAPABILITIES = 1 << 4,
    STATUS_ERRORS = 0xf900, /* cleared by writing 1 */

    BAR_IO = 1,
    BAR_64 = 4,
    BAR_PREFETCH = 8,

    FIRST_CAPABILITY = 0x40,
    CAP_MSIX = 0x11,
    MSIX_ENABLE = 1 << 15,
    MSIX_MASK_ALL = 1 << 14,
    MSIX_ENTRY = 16, /* bytes: address, upper address, data, vector control */
    MSIX_ENTRY_DATA = 8,
    MSIX_ENTRY_CONTROL = 12,
};

static unsigned bar_offset(unsigned bar)
{
    return bar == PCI_ROM_BAR ? CFG_ROM : CFG_BAR0 + 4 * bar;
}

void pci_setup(struct pci_device *pci, const struct pci_ids *ids)
{
    pci_set16(pci, CFG_VENDOR, ids->vendor);
    pci_set16(pci, CFG_DEVICE, ids->device);
    pci->config[CFG_REVISION] = ids->revision;
    pci->config[CFG_CLASS] = (uint8_t)ids->class_code;
    pci_set16(pci, CFG_CLASS + 1, (uint16_t)(ids->class_code >> 8));
    pci_set16(pci, CFG_SUBSYSTEM_VENDOR, ids->subsystem_vendor);
    pci_set16(pci, CFG_SUBSYSTEM, ids->subsystem);
    pci->config[CFG_INTERRUPT_PIN] = ids->interrupt_pin;

    uint16_t command = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY |
                       COMMAND_SERR | COMMAND_INTX_DISABLE;
    pci->writable[CFG_COMMAND] = (uint8_t)command;
    pci->writable[CFG_COMMAND + 1] = (uint8_t)(command >> 8);
    pci->clear[CFG_STATUS + 1] = (uint8_t)(STATUS_ERRORS >> 8);
    pci->writable[0x0c] = 0xff; /* cache line size, and nothing behind it */
    pci->writable[CFG_INTERRUPT_LINE] = 0xff;
    pci->next_cap = FIRST_CAPABILITY;
}

static uint64_t power_of_two(uint64_t bytes, uint64_t least)
{
    uint64_t size = least;

    while (size < bytes)
        size *= 2;
    return size;
}

static void bar_setup(struct pci_device *pci, unsigned n, uint64_t size, uint32_t type)
{
    unsigned offset = bar_offset(n);
    uint64_t mask = ~(size - 1);

    pci->bar[n].size = size;
    pci_set32(pci, offset, type);
    for (unsigned i = 0; i < 4; i++)
        pci->writable[offset + i] = (uint8_t)(mask >> (8 * i));
    if (n == PCI_ROM_BAR)
        pci->writable[offset] |= 1;
    if (type & BAR_64 && !(type & BAR_IO)) {
        for (unsigned i = 4; i < 8; i++)
            pci->writable[offset + i] = (uint8_t)(mask >> (8 * i));
    }
}

static uint32_t memory_bar_type(unsigned flags)
{
    return (flags & PCI_BAR_64 ? BAR_64 : 0) |
           (flags & PCI_BAR_PREFETCH ? BAR_PREFETCH : 0);
}

void pci_bar_region(struct pci_device *pci, unsigned bar, struct io_region *r,
                    unsigned flags)
{
    pci->bar[bar].region = r;
    pci->bar[bar].flags = flags;
    if (r->space == IO_PORT)
        bar_setup(pci, bar, power_of_two(r->size, 4), BAR_IO);
    else
        bar_setup(pci, bar, power_of_two(r->size, 16), memory_bar_type(flags));
}

void pci_bar_window(struct pci_device *pci, unsigned bar, struct ram_window *w,
                    unsigned flags)
{
    pci->bar[bar].window = w;
    pci->bar[bar].flags = flags;
    bar_setup(pci, bar, power_of_two(w->size, 4096),
              bar == PCI_ROM_BAR ? 0 : memory_bar_type(flags));
}

/* Where the BAR decodes now; false: nowhere. */
static bool bar_address(const struct pci_device *pci, unsigned n, uint64_t *address)
{
    const struct pci_bar *bar = &pci->bar[n];
    uint16_t command = pci_get16(pci, CFG_COMMAND);
    uint32_t low = pci_get32(pci, bar_offset(n));

    if (!bar->size)
        return false;
    if (bar->region && bar->region->space == IO_PORT) {
        *address = low & ~3u;
        return command & COMMAND_IO && *address && *address + bar->size <= 0x10000;
    }
    if (!(command & COMMAND_MEMORY) || (n == PCI_ROM_BAR && !(low & 1)))
        return false;
    *address = low & ~(uint64_t)(bar->size - 1) & 0xfffffff0u;
    if (bar->flags & PCI_BAR_64)
        *address |= (uint64_t)pci_get32(pci, bar_offset(n) + 4) << 32;
    /* 0 and the very top are what a size probe leaves behind. */
    if (!*address || *address + (bar->size - 1) < *address)
        return false;
    return bar->flags & PCI_BAR_64 || *address + (bar->size - 1) < UINT32_MAX;
}

/* A window replaces what is below it, so it must not be put over RAM. */
static bool over_ram(const struct machine *m, uint64_t address, uint64_t size)
{
    if (address < m->board.ram_below_4g)
        return true;
    return address < (1ULL << 32) + m->board.ram_above_4g && address + size > 1ULL << 32;
}

static void bar_update(struct pci_device *pci, unsigned n)
{
    struct pci_bar *bar = &pci->bar[n];
    uint64_t address;
    int err = 0;

    if (!bar->region && !bar->window)
        return;
    bool decode = bar_address(pci, n, &address);
    bool mapped = bar->region ? bar->region->mapped : bar->window->mapped;
    if (mapped && (!decode || bar->address != address)) {
        if (bar->region)
            io_region_unmap(bar->region);
        else if (!decode)
            ram_window_unmap(bar->window);
        mapped = bar->window && decode;
        pci->dev.machine->rescan_bars = true;
    }
    if (!decode || (mapped && bar->address == address))
        return;
    bar->address = address;
    if (bar->region)
        err = io_region_map(bar->region, address);
    else if (over_ram(pci->dev.machine, address, bar->size))
        err = -EFAULT;
    else
        err = ram_window_map(bar->window, address);
    if (err) {
        guest_error(&pci->dev, "BAR %u cannot decode %#llx: %s", n,
                    (unsigned long long)address, strerror(-err));
        if (bar->window)
            ram_window_unmap(bar->window);
    }
}

static void update_bars(struct pci_device *pci)
{
    for (unsigned n = 0; n < PCI_BARS; n++)
        bar_update(pci, n);
}

/* A BAR that moved away may have left room for one that was refused. */
static void rescan(struct machine *m)
{
    while (m->rescan_bars) {
        m->rescan_bars = false;
        for (unsigned devfn = 0; devfn < ARRAY_LEN(m->pci); devfn++) {
            if (m->pci[devfn])
                update_bars(m->pci[devfn]);
        }
    }
}

static void update_intx(struct pci_device *pci)
{
    bool level = pci->intx && !(pci_get16(pci, CFG_COMMAND) & COMMAND_INTX_DISABLE);
    unsigned pin = pci->config[CFG_INTERRUPT_PIN];

    if (level == pci->intx_out || !pin)
        return;
    pci->intx_out = level;
    machine_pci_intx(pci->dev.machine, pci->devfn >> 3, pin - 1, level);
}

void pci_intx(struct pci_device *pci, bool level)
{
    pci->intx = level;
    if (level)
        pci->config[CFG_STATUS] |= STATUS_INTX;
    else
        pci->config[CFG_STATUS] &= (uint8_t)~STATUS_INTX;
    update_intx(pci);
}

bool pci_bus_master(const struct pci_device *pci)
{
    return pci_get16(pci, CFG_COMMAND) & COMMAND_MASTER;
}

int pci_capability(struct pci_device *pci, uint8_t id, uint8_t bytes)
{
    unsigned offset = pci->next_cap;

    if (offset + bytes > sizeof(pci->config))
        return -ENOSPC;
    pci->next_cap = (uint8_t)((offset + bytes + 3) & ~3u);
    pci->config[offset] = id;
    pci->config[offset + 1] = 0;
    /* Newest first, as firmware and drivers search by id anyway. */
    pci->config[offset + 1] = pci->config[CFG_CAPABILITIES];
    pci->config[CFG_CAPABILITIES] = (uint8_t)offset;
    pci->config[CFG_STATUS] |= STATUS_CAPABILITIES;
    return (int)offset;
}

/* ---- MSI-X --------------------------------------------------------------------------
 */

static uint64_t msix_pba_offset(const struct pci_msix *x)
{
    return x->region.size / 2;
}

static bool vector_masked(const struct pci_msix *x, unsigned vector)
{
    return x->function_masked || x->table[vector * MSIX_ENTRY + MSIX_ENTRY_CONTROL] & 1;
}

static void msix_fire(struct pci_device *pci, unsigned vector)
{
    struct pci_msix *x = &pci->msix;
    const uint8_t *entry = &x->table[vector * MSIX_ENTRY];

    x->pba[vector / 64] &= ~(1ULL << (vector % 64));
    msi_send(&pci->dev, load_le64(entry), load_le32(entry + MSIX_ENTRY_DATA));
}

static void msix_deliver_pending(struct pci_device *pci)
{
    struct pci_msix *x = &pci->msix;

    for (unsigned v = 0; x->enabled && v < x->vectors; v++) {
        if (x->pba[v / 64] >> (v % 64) & 1 && !vector_masked(x, v))
            msix_fire(pci, v);
    }
}

void pci_msix_notify(struct pci_device *pci, unsigned vector)
{
    struct pci_msix *x = &pci->msix;

    if (!x->enabled || vector >= x->vectors)
        return;
    if (vector_masked(x, vector))
        x->pba[vector / 64] |= 1ULL << (vector % 64);
    else
        msix_fire(pci, vector);
}

void pci_msix_clear(struct pci_device *pci, unsigned vector)
{
    if (vector < pci->msix.vectors)
        pci->msix.pba[vector / 64] &= ~(1ULL << (vector % 64));
}

bool pci_msix_enabled(const struct pci_device *pci)
{
    return pci->msix.enabled;
}

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct pci_device *pci = opaque;
    const struct pci_msix *x = &pci->msix;
    uint64_t value = 0;

    if (offset + size <= (uint64_t)x->vectors * MSIX_ENTRY)
        memcpy(&value, x->table + offset, size);
    else if (offset >= msix_pba_offset(x) &&
             offset + size <= msix_pba_offset(x) + (x->vectors + 63u) / 64 * 8)
        memcpy(&value, (const uint8_t *)x->pba + (offset - msix_pba_offset(x)), size);
    return value;
}

static void msix_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_device *pci = opaque;
    struct pci_msix *x = &pci->msix;

    if (offset + size > (uint64_t)x->vectors * MSIX_ENTRY)
        return;
    memcpy(x->table + offset, &value, size);
    /* Only the mask bit of vector control exists (6.8.2.9). */
    x->table[offset / MSIX_ENTRY * MSIX_ENTRY + MSIX_ENTRY_CONTROL] &= 1;
    memset(&x->table[offset / MSIX_ENTRY * MSIX_ENTRY + MSIX_ENTRY_CONTROL + 1], 0, 3);
    msix_deliver_pending(pci);
}

static const struct io_ops msix_ops = {
    .read = msix_read,
    .write = msix_write,
    .max_size = 8,
};

static void msix_reset_table(struct pci_msix *x)
{
    memset(x->table, 0, (size_t)x->vectors * MSIX_ENTRY);
    memset(x->pba, 0, (x->vectors + 63u) / 64 * 8);
    for (unsigned v = 0; v < x->vectors; v++)
        x->table[v * MSIX_ENTRY + MSIX_ENTRY_CONTROL] = 1;
}

int pci_msix_init(struct pci_device *pci, unsigned bar, unsigned vectors)
{
    struct pci_msix *x = &pci->msix;

    if (!vectors || vectors > 2048 || bar >= PCI_ROM_BAR)
        return -EINVAL;
    int cap = pci_capability(pci, CAP_MSIX, 12);
    if (cap < 0)
        return cap;
    x->cap = (uint8_t)cap;
    x->vectors = (uint16_t)vectors;
    x->table = must_alloc((size_t)vectors * MSIX_ENTRY);
    x->pba = must_alloc((vectors + 63) / 64 * 8);
    msix_reset_table(x);
    uint64_t size = power_of_two((uint64_t)vectors * MSIX_ENTRY, 2048) * 2;
    io_region_init(&x->region, &pci->dev, "msix", IO_MEM, size, &msix_ops, pci);
    pci_bar_region(pci, bar, &x->region, 0);
    pci_set16(pci, x->cap + 2u, (uint16_t)(vectors - 1));
    pci->writable[x->cap + 3] = (MSIX_ENABLE | MSIX_MASK_ALL) >> 8;
    pci_set32(pci, x->cap + 4u, bar);
    pci_set32(pci, x->cap + 8u, (uint32_t)msix_pba_offset(x) | bar);
    return 0;
}

static void msix_update(struct pci_device *pci)
{
    struct pci_msix *x = &pci->msix;

    if (!x->vectors)
        return;
    uint16_t control = pci_get16(pci, x->cap + 2u);
    x->enabled = control & MSIX_ENABLE;
    x->function_masked = control & MSIX_MASK_ALL;
    msix_deliver_pending(pci);
}

/* ---- configuration accesses ---------------------------------------------------------
 */

uint32_t pci_config_read(struct machine *m, unsigned devfn, unsigned offset,
                         unsigned size)
{
    struct pci_device *pci = devfn < ARRAY_LEN(m->pci) ? m->pci[devfn] : NULL;
    uint32_t value = 0;

    if (!pci || pci->gone || offset + size > sizeof(pci->config))
        return UINT32_MAX;
    memcpy(&value, &pci->config[offset], size);
    if (pci->config_read)
        value = pci->config_read(pci, offset, size, value);
    return value;
}

static bool touches(unsigned offset, unsigned size, unsigned reg, unsigned bytes)
{
    return offset < reg + bytes && reg < offset + size;
}

void pci_config_write(struct machine *m, unsigned devfn, unsigned offset, unsigned size,
                      uint32_t value)
{
    struct pci_device *pci = devfn < ARRAY_LEN(m->pci) ? m->pci[devfn] : NULL;

    if (!pci || pci->gone || offset + size > sizeof(pci->config))
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        uint8_t mask = pci->writable[offset + i];
        uint8_t *at = &pci->config[offset + i];
        *at = (uint8_t)((*at & ~mask) | (byte & mask));
        *at &= (uint8_t) ~(byte & pci->clear[offset + i]);
    }
    if (touches(offset, size, CFG_COMMAND, 2) || touches(offset, size, CFG_BAR0, 24) ||
        touches(offset, size, CFG_ROM, 4)) {
        update_bars(pci);
        update_intx(pci);
        rescan(m);
    }
    if (pci->msix.vectors && touches(offset, size, pci->msix.cap, 4))
        msix_update(pci);
    if (pci->config_written)
        pci->config_written(pci, offset, size);
}

/* ---- life cycle ---------------------------------------------------------------------
 */

int pci_plug(struct pci_device *pci, struct error *error)
{
    struct machine *m = pci->dev.machine;

    if (m->pci[pci->devfn])
        return error_set(error, -EBUSY, "%s: PCI address %02x.%x is taken by %s",
                         pci->dev.id, pci->devfn >> 3, pci->devfn & 7,
                         m->pci[pci->devfn]->dev.id);
    m->pci[pci->devfn] = pci;
    int err = m->front->pci_present ? m->front->pci_present(m, pci->devfn) : 0;
    if (err) {
        m->pci[pci->devfn] = NULL;
        return error_set(error, err, "%s: the hypervisor refused PCI address %02x.%x: %s",
                         pci->dev.id, pci->devfn >> 3, pci->devfn & 7, strerror(-err));
    }
    return 0;
}

void pci_unplug(struct pci_device *pci)
{
    struct machine *m = pci->dev.machine;

    if (m->pci[pci->devfn] != pci)
        return;
    m->pci[pci->devfn] = NULL;
    if (m->front->pci_absent)
        m->front->pci_absent(m, pci->devfn);
}

void pci_leave(struct pci_device *pci)
{
    pci_reset(pci); /* no BAR decodes, no DMA, no interrupt */
    if (pci->dev.ops->reset)
        pci->dev.ops->reset(&pci->dev);
    pci->gone = true;
}

bool pci_is_network(const struct pci_device *pci)
{
    return pci->config[CFG_CLASS + 2] == 0x02;
}

/* What RST# does to the header; the device's reset() does the rest. */
void pci_reset(struct pci_device *pci)
{
    pci_intx(pci, false);
    pci_set16(pci, CFG_COMMAND, 0);
    pci_set16(pci, CFG_STATUS, pci_get16(pci, CFG_STATUS) & ~STATUS_ERRORS);
    pci->config[0x0c] = 0;
    pci->config[CFG_INTERRUPT_LINE] = 0;
    for (unsigned n = 0; n < PCI_BARS; n++) {
        unsigned offset = bar_offset(n);
        for (unsigned i = 0; pci->bar[n].size && i < 4; i++)
            pci->config[offset + i] &= (uint8_t)~pci->writable[offset + i];
        if (pci->bar[n].size && pci->bar[n].flags & PCI_BAR_64)
            pci_set32(pci, offset + 4, 0);
    }
    if (pci->msix.vectors) {
        pci->config[pci->msix.cap + 3] &= (uint8_t) ~((MSIX_ENABLE | MSIX_MASK_ALL) >> 8);
        msix_reset_table(&pci->msix);
        msix_update(pci);
    }
    update_bars(pci);
    rescan(pci->dev.machine);
}

void pci_free(struct pci_device *pci)
{
    pci_intx(pci, false);
    for (unsigned n = 0; n < PCI_BARS; n++) {
        if (pci->bar[n].region)
            io_region_unmap(pci->bar[n].region);
    }
    ram_window_fini(&pci->rom);
    free(pci->msix.table);
    free(pci->msix.pba);
    pci->msix.table = NULL;
    pci->msix.pba = NULL;
}

int pci_state(struct pci_device *pci, struct state *state)
{
    struct pci_msix *x = &pci->msix;
    uint8_t config[sizeof(pci->config)];
    bool intx = pci->intx;

    memcpy(config, pci->config, sizeof(config));
    state_bytes(state, "config", config, sizeof(config));
    state_bool(state, "intx", &intx);
    if (x->vectors) {
        state_bytes(state, "msix-table", x->table, (size_t)x->vectors * MSIX_ENTRY);
        state_bytes(state, "msix-pending", x->pba, (x->vectors + 63u) / 64 * 8);
    }
    if (!state_loading(state) || state_error(state))
        return state_error(state);
    /* The device must be the same; only what a guest can write is taken over. */
    if (memcmp(config, pci->config, 4) != 0)
        return state_fail(state, "another PCI device (%04x:%04x) was saved here",
                          load_le16(config), load_le16(config + 2));
    for (unsigned i = 0; i < sizeof(config); i++) {
        uint8_t mask = pci->writable[i] | pci->clear[i];
        pci->config[i] = (uint8_t)((pci->config[i] & ~mask) | (config[i] & mask));
    }
    update_bars(pci);
    rescan(pci->dev.machine);
    msix_update(pci);
    pci_intx(pci, intx);
    return 0;
}

/* ---- for host bridges ---------------------------------------------------------------
 */

uint32_t pci_host_read(struct device *bridge, unsigned bdf, unsigned offset,
                       unsigned size)
{
    return bdf > 0xff ? UINT32_MAX : pci_config_read(bridge->machine, bdf, offset, size);
}

void pci_host_write(struct device *bridge, unsigned bdf, unsigned offset, unsigned size,
                    uint32_t value)
{
    if (bdf <= 0xff)
        pci_config_write(bridge->machine, bdf, offset, size, value);
}
