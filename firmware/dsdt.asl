/*
 * The native i440fx board as ACPI describes it (ACPI 6.4, chapters 5 and 6).  What depends on the
 * configuration comes from an SSDT that acpi.c writes: PWLO (first byte of the PCI memory
 * window), COMS (bit n: COMn+1 is there), KBDS (keyboard controller is there), HPTS (HPET),
 * and for each PCI slot that may be emptied a device Snn with _EJ0, and PCI0.SNTF (slots,
 * code), which notifies them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "CORBEL", "NATIVE", 1)
{
    External (\PWLO, IntObj)
    External (\COMS, IntObj)
    External (\KBDS, IntObj)
    External (\HPTS, IntObj)
    External (\_SB.PCI0.SNTF, MethodObj)

    /* Interrupt model chosen by the OS: 0 PIC, 1 I/O APIC (5.8.1). */
    Name (\PICM, 0)
    Method (\_PIC, 1)
    {
        \PICM = Arg0
    }

    /* PIIX4: sleep type 0 is soft off, 1 suspend to RAM. */
    Name (\_S3, Package (4) {1, 1, 0, 0})
    Name (\_S5, Package (4) {0, 0, 0, 0})

    Scope (\_GPE)
    {
        /* Edge-triggered, as the chip's status bit is. */
        Method (_E01)
        {
            \_SB.PCI0.SLOT ()
        }
    }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)

            Method (_CRS, 0, Serialized)
            {
                Name (RES, ResourceTemplate ()
                {
                    WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                        0, 0, 0xFF, 0, 0x100)
                    IO (Decode16, 0xCF8, 0xCF8, 1, 8)
                    WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0, 0x0CF7, 0, 0x0CF8)
                    WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x0D00, 0xFFFF, 0, 0xF300)
                    DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable,
                        ReadWrite, 0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
                    DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                        ReadWrite, 0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000, , , PW32)
                })
                CreateDWordField (RES, PW32._MIN, LOW)
                CreateDWordField (RES, PW32._MAX, HIGH)
                CreateDWordField (RES, PW32._LEN, LENG)
                LOW = \PWLO
                LENG = HIGH - LOW + 1
                Return (RES)
            }

            /*
             * INT A..D of slot s: link (s + 3 + pin) mod 4 with the PIC; with the I/O APIC
             * pin 16 + (4 * d + d / 8 + pin) mod 32 where d = s - 1 (firmware/layout.h).
             */
            Method (_PRT, 0, Serialized)
            {
                Local0 = Package (128) {}
                Local1 = 0
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2        /* slot */
                    Local3 = Local1 & 3         /* pin */
                    If (\PICM)
                    {
                        Local5 = (Local2 + 31) & 31
                        Local4 = Package (4) {0, 0, 0, 0}
                        Local4[3] = 16 + (((Local5 << 2) + (Local5 >> 3) + Local3) & 31)
                    }
                    Else
                    {
                        Local5 = (Local2 + 3 + Local3) & 3
                        If (Local5 == 0)
                        {
                            Local4 = Package (4) {0, 0, \_SB.LNKA, 0}
                        }
                        If (Local5 == 1)
                        {
                            Local4 = Package (4) {0, 0, \_SB.LNKB, 0}
                        }
                        If (Local5 == 2)
                        {
                            Local4 = Package (4) {0, 0, \_SB.LNKC, 0}
                        }
                        If (Local5 == 3)
                        {
                            Local4 = Package (4) {0, 0, \_SB.LNKD, 0}
                        }
                    }
                    Local4[0] = (Local2 << 16) | 0xFFFF
                    Local4[1] = Local3
                    Local0[Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            /* Which slots were filled, and which shall be emptied; one bit each (QEMU's
               docs/specs/acpi_pci_hotplug). Reading PCIU clears it. */
            OperationRegion (SLTS, SystemIO, 0xAE00, 0x0C)
            Field (SLTS, DWordAcc, NoLock, WriteAsZeros)
            {
                PCIU, 32,
                PCID, 32,
                PCIE, 32
            }
            Mutex (SLCK, 0)
            Method (SLOT, 0, Serialized)
            {
                Acquire (SLCK, 0xFFFF)
                SNTF (PCIU, 1)
                SNTF (PCID, 3)
                Release (SLCK)
            }
            /* The slot of that number is free. */
            Method (SEJ, 1, Serialized)
            {
                Acquire (SLCK, 0xFFFF)
                PCIE = 1 << Arg0
                Release (SLCK)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 4)
                Field (PIRQ, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8,
                    PRQB, 8,
                    PRQC, 8,
                    PRQD, 8
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x70, 0x70, 1, 2)
                        IRQNoFlags () {8}
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Method (_STA)
                    {
                        Return (\KBDS * 0x0F)
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x60, 0x60, 1, 1)
                        IO (Decode16, 0x64, 0x64, 1, 1)
                        IRQNoFlags () {1}
                    })
                }

                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Method (_STA)
                    {
                        Return (\KBDS * 0x0F)
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IRQNoFlags () {12}
                    })
                }

                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Method (_STA)
                    {
                        Return ((\COMS & 1) * 0x0F)
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x3F8, 0x3F8, 0, 8)
                        IRQNoFlags () {4}
                    })
                }

                Device (COM2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 2)
                    Method (_STA)
                    {
                        Return (((\COMS >> 1) & 1) * 0x0F)
                    }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x2F8, 0x2F8, 0, 8)
                        IRQNoFlags () {3}
                    })
                }
            }

            /* Power management and SMBus: owns ports that no BAR shows. */
            Device (PMIO)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_UID, 1)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x600, 0x600, 1, 0x40)
                    IO (Decode16, 0x700, 0x700, 1, 0x10)
                    IO (Decode16, 0xAFE0, 0xAFE0, 1, 4)
                    IO (Decode16, 0xAE00, 0xAE00, 1, 0x14)
                    IO (Decode16, 0x92, 0x92, 1, 1)
                    IO (Decode16, 0xB2, 0xB2, 1, 2)
                })
            }

            Device (FWCF)
            {
                Name (_HID, "QEMU0002")
                Name (_STA, 0x0B)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x510, 0x510, 1, 0x0C)
                })
            }
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, 0)
            Method (_STA)
            {
                Return (\HPTS * 0x0F)
            }
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadOnly, 0xFED00000, 0x400)
            })
        }

        /* PIRQ routers: bit 7 off, low bits the ISA interrupt (82371SB PIRQRC). */
        Name (PRSL, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {5, 10, 11}
        })
        Method (LSTA, 1)
        {
            If (Arg0 & 0x80)
            {
                Return (0x09)
            }
            Return (0x0B)
        }
        Method (LCRS, 1, Serialized)
        {
            Name (BUF, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, , , NUM) {0}
            })
            CreateDWordField (BUF, NUM._INT, IRQN)
            IRQN = 0
            If (!(Arg0 & 0x80))
            {
                IRQN = Arg0 & 0x0F
            }
            Return (BUF)
        }

#define LINK(name, uid, reg)                                                                \
        Device (name)                                                                       \
        {                                                                                   \
            Name (_HID, EisaId ("PNP0C0F"))                                                 \
            Name (_UID, uid)                                                                \
            Method (_STA) { Return (LSTA (^^PCI0.ISA.reg)) }                                \
            Method (_PRS) { Return (PRSL) }                                                 \
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.reg)) }                                \
            Method (_DIS) { ^^PCI0.ISA.reg |= 0x80 }                                        \
            Method (_SRS, 1)                                                                \
            {                                                                               \
                CreateDWordField (Arg0, 5, IRQN)                                            \
                ^^PCI0.ISA.reg = IRQN                                                       \
            }                                                                               \
        }
        LINK (LNKA, 0, PRQA)
        LINK (LNKB, 1, PRQB)
        LINK (LNKC, 2, PRQC)
        LINK (LNKD, 3, PRQD)
    }
}
