/*
 * Option ROMs from the distribution's packages (iPXE, VGA BIOS) in the expansion ROM BAR
 * (PCI Local Bus 3.0, 6.3).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../firmware/lookup.h"
#include "machine.h"

#define ROM_LARGEST (16u << 20)

/*
 * The image names the card it is for (PCI Data Structure, 6.3.1.2); firmware compares
 * that with the header.  Packages ship one image for several cards, so write our ids and
 * mend the sum.
 */
static void adopt_ids(const struct pci_device *pci, uint8_t *rom, size_t bytes)
{
    if (bytes < 0x1a || load_le16(rom) != 0xaa55)
        return;
    size_t pcir = load_le16(rom + 0x18);
    if (pcir + 8 > bytes || memcmp(rom + pcir, "PCIR", 4) != 0)
        return;
    uint8_t before = 0, after = 0;
    for (unsigned i = 4; i < 8; i++) {
        before = (uint8_t)(before + rom[pcir + i]);
        rom[pcir + i] = pci->config[i - 4];
        after = (uint8_t)(after + rom[pcir + i]);
    }
    rom[6] = (uint8_t)(rom[6] + before - after); /* a spare byte of the header */
}

int pci_rom_file(struct pci_device *pci, const char *file, struct error *error)
{
    size_t bytes;
    uint8_t *data = NULL;

    /* Nobody boots from a device that came later, and the sandbox makes no memory. */
    if (pci->dev.machine->assembled)
        return 0;
    int err = firmware_read_file(file, ROM_LARGEST, &data, &bytes);

    if (err)
        return error_set(error, err, "option ROM '%s': %s", file, strerror(-err));
    uint64_t size = 4096;
    while (size < bytes)
        size *= 2;
    err = ram_window_init(&pci->rom, &pci->dev, "rom", size);
    if (err) {
        free(data);
        return error_set(error, err, "option ROM '%s': no memory for it: %s", file,
                         strerror(-err));
    }
    memset(pci->rom.host, 0xff, size);
    memcpy(pci->rom.host, data, bytes);
    free(data);
    adopt_ids(pci, pci->rom.host, bytes);
    pci->rom.read_only = true;
    pci_bar_window(pci, PCI_ROM_BAR, &pci->rom, 0);
    return 0;
}
