/* Which I/O ports Dom0 has. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * All are its own but those of what the hypervisor drives or a PVH domain does not have:
 * PICs, PIT and our serial port. Writes to the registers that end the machine (PM1
 * control, ACPI 6.4, 4.8.3.2; reset register, 4.8.3.6; the keyboard controller's reset
 * line) exit, so that the console's buffer gets out first. Port 0xcf9 does not: it lies
 * within CONFIG_ADDRESS (0xcf8), and every access to PCI configuration would exit with
 * it.
 */
#include "domain/dom0_build.h"
#include "boot/boot.h"
#include "cpu/x86.h"
#include "hvm/hvm.h"
#include "hvm/platform_device.h"
#include "lib/console.h"
#include "lib/math.h"
#include "lib/string.h"

#define PORT_KBC        0x64
#define KBC_PULSE_RESET 0xfe
#define PORT_CONFIG     0xcf8 /* .. 0xcff */
#define PORT_PIT        0x40
#define PIT_PORTS       4

static void close_ports(uint8_t *iopm, unsigned int first, unsigned int count)
{
    for (unsigned int p = first; p < first + count; p++)
        iopm[p / 8] |= 1u << p % 8;
}

static bool read_through(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    *val = bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);
    return true;
}

static void write_through(uint16_t port, unsigned int bytes, uint32_t val)
{
    if (bytes == 1)
        outb(port, (uint8_t)val);
    else if (bytes == 2)
        outw(port, (uint16_t)val);
    else
        outl(port, val);
}

static bool pm1_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    uint32_t sleep =
        port == acpi.pm1a_cnt || port == acpi.pm1b_cnt ? PM1_SLP_EN : PM1_SLP_EN >> 8;

    if (val & sleep)
        console_flush();
    write_through(port, bytes, val);
    return true;
}

static bool reset_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    if (port != PORT_KBC || val == KBC_PULSE_RESET)
        console_flush();
    write_through(port, bytes, val);
    return true;
}

/* There is no PIT: its counters stand at 0. Linux's quick calibration takes that for an
 * end; of all ones, which may be the counter's start, it reads 100,000. */
static bool no_pit_read(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t *val)
{
    *val = 0;
    return true;
}

static bool no_pit_write(struct vcpu *v, uint16_t port, unsigned int bytes, uint32_t val)
{
    return true;
}

static int watch(struct domain *d, uint16_t first, uint8_t bytes,
                 bool (*write)(struct vcpu *, uint16_t, unsigned int, uint32_t))
{
    const struct port_handler h = {first, first + bytes - 1, bytes, read_through, write};

    close_ports(d->hvm->iopm, first, bytes);
    return platform_add_ports(d, &h);
}

int dom0_open_ports(struct domain *d)
{
    static const struct port_handler no_pit = {PORT_PIT, PORT_PIT + PIT_PORTS - 1, 1,
                                               no_pit_read, no_pit_write};
    uint16_t reset = acpi.reset_space == ACPI_SPACE_IO ? acpi.reset_addr : 0;
    uint8_t *iopm = d->hvm->iopm;
    int rc;

    memset(iopm, 0, 65536 / 8);
    close_ports(iopm, 0x20, 2);
    close_ports(iopm, 0xa0, 2);
    close_ports(iopm, 0x4d0, 2);
    close_ports(iopm, PORT_PIT, PIT_PORTS);
    for (unsigned int port = 0; port < 0x10000; port++)
        if (console_owns_port(port))
            close_ports(iopm, port, 1);
    rc = platform_add_ports(d, &no_pit);
    if (!rc)
        rc = watch(d, PORT_KBC, 1, reset_write);
    if (!rc && acpi.pm1a_cnt)
        rc = watch(d, acpi.pm1a_cnt, 2, pm1_write);
    if (!rc && acpi.pm1b_cnt)
        rc = watch(d, acpi.pm1b_cnt, 2, pm1_write);
    if (!rc && reset && reset != PORT_KBC && (reset & ~7u) != PORT_CONFIG)
        rc = watch(d, reset, 1, reset_write);
    return rc;
}
