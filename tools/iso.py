"""Is a file the image of a CD-ROM that a PC with a BIOS can boot from?

ECMA-119 (ISO 9660), sections 8.1 to 8.4: volume descriptors from sector 16 on; El Torito 1.0:
the boot record's descriptor in sector 17, the boot catalogue.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import struct

SECTOR = 2048
DESCRIPTORS = 16
EL_TORITO = b"\0CD001\1EL TORITO SPECIFICATION"
CATALOGUE_AT = 71  # in the boot record's descriptor
PLATFORM_PC, PLATFORM_EFI = 0, 0xef
BOOTABLE = 0x88


def size(path):
    """Bytes of a file or of a block device."""
    with open(path, "rb") as f:
        return f.seek(0, os.SEEK_END)


def _entries(catalogue):
    """The (platform, bootable) pairs of a boot catalogue."""
    platform, place = catalogue[1], 32
    while place + 32 <= len(catalogue):
        kind = catalogue[place]
        if kind in (0x90, 0x91):
            platform = catalogue[place + 1]
        elif kind in (0, BOOTABLE) and any(catalogue[place:place + 32]):
            yield platform, kind == BOOTABLE
        elif kind not in (0, 0x44):
            break
        place += 32


def _what(path):
    """What it is instead, for a file without an ISO 9660 file system."""
    with open(path, "rb") as f:
        head = f.read(512)
    for magic, program in ((b"\x1f\x8b", "gunzip"), (b"\xfd7zXZ", "unxz"), (b"BZh", "bunzip2"),
                           (b"(\xb5/\xfd", "unzstd"), (b"PK\3\4", "unzip")):
        if head.startswith(magic):
            return f"it is compressed; {program} unpacks it"
    if head.startswith(b"QFI\xfb") or head[510:] == b"\x55\xaa":
        return "it looks like a disk; DISK=FILE starts the guest with one"
    return "there is no ISO 9660 file system in it"


def trouble(path):
    """(why it cannot be booted from or "", what looks wrong besides or "")."""
    there = size(path)
    with open(path, "rb") as f:
        f.seek(DESCRIPTORS * SECTOR)
        primary, record = f.read(SECTOR), f.read(SECTOR)
        if primary[1:6] not in (b"CD001", b"BEA01"):
            return (f"it is no image of a CD-ROM: {_what(path)}", "")
        warning = ""
        if primary[1:6] == b"CD001" and primary[0] == 1:
            whole = struct.unpack_from("<I", primary, 80)[0] * SECTOR
            if whole > there:
                warning = (f"it is cut off: {there >> 20} of {whole >> 20} MiB are there; "
                           "fetch it again")
        if not record.startswith(EL_TORITO):
            return ("a PC cannot boot from it: it has no El Torito boot record", warning)
        f.seek(struct.unpack_from("<I", record, CATALOGUE_AT)[0] * SECTOR)
        catalogue = f.read(SECTOR)
    if len(catalogue) < SECTOR or catalogue[0] != 1 or catalogue[30:32] != b"\x55\xaa":
        return ("its boot catalogue is damaged", warning)
    platforms = [platform for platform, bootable in _entries(catalogue) if bootable]
    if PLATFORM_PC not in platforms:
        return ("it boots by UEFI only, and the guest's firmware is a BIOS"
                if PLATFORM_EFI in platforms else "no entry of its boot catalogue is for a PC",
                warning)
    return ("", warning)
