"""A screen, seen and typed at from outside: pictures with text that can be read, a VNC client.

RFB 3.8 (RFC 6143), raw encoding. Text is recognized by comparing character cells with a font: that
of the VGA BIOS, which is what a VGA text screen shows, of the Debian installer or of Corbel.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import gzip
import os
import re
import select
import socket
import struct
import subprocess
import time
import zlib

VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin"
FONT_HEIGHT = 16
GLYPHS = 256
# The font's smiling face, code 1, by which its place in the VGA BIOS is found.
GLYPH_1 = bytes.fromhex("00007e81a58181bd9981817e00000000")
# RFB: 32 bits a pixel, depth 24, little endian, true colour, 8 bits each, red highest.
PIXEL_FORMAT = struct.pack("<BBBB", 32, 24, 0, 1) + struct.pack(">HHHBBB", 255, 255, 255, 16, 8, 0)
SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY_EVENT, POINTER_EVENT = 0, 2, 3, 4, 5
UPDATE, COLOUR_MAP, BELL, CUT_TEXT = range(4)
ENCODING_RAW, ENCODING_DESKTOP_SIZE = 0, -223
KEYSYMS = {"\n": 0xff0d, "\t": 0xff09, "\x1b": 0xff1b, "\b": 0xff08, "<Up>": 0xff52,
           "<Down>": 0xff54, "<Left>": 0xff51, "<Right>": 0xff53}


class ScreenError(Exception):
    """The server is not there, went away or does not speak RFB as it should."""


def vga_font():
    """{rows of a glyph as an integer: its character}."""
    with open(VGA_BIOS, "rb") as f:
        bios = f.read()
    start = bios.find(GLYPH_1) - FONT_HEIGHT
    if start < 0:
        raise ScreenError(f"no 8x16 font in {VGA_BIOS}")
    font = {}
    for code in range(GLYPHS):
        rows = bios[start + code * FONT_HEIGHT:start + (code + 1) * FONT_HEIGHT]
        font.setdefault(rows, bytes([code]).decode("cp437") if code >= 32 else " ")
    return font


def installer_font(initrd):
    """The same from the font in the Debian installer's initrd: newc in gzip, the font in "BGF1".

    That file has a table of 64-bit offsets: of `offset`, `index` and `content`. The glyphs of
    the codes with the same low bits are a list in `index`, ended by 0: code with the width in
    the low bits, place in `content`, where each row of pixels is 32 bits, leftmost highest."""
    data = cpio_file(gzip.open(initrd).read(), b"lib/unifont.bgf")
    if not data.startswith(b"BGF1"):
        raise ScreenError(f"{initrd}: its font has another format")
    height, mask, offsets, index, content = struct.unpack_from("<iiQQQ", data, 12)
    if height != FONT_HEIGHT:
        raise ScreenError(f"{initrd}: a font {height} pixels high")
    font = {}
    for code in range(32, 127):
        place = index + 4 * struct.unpack_from("<i", data, offsets + 4 * (code & mask))[0]
        while True:
            entry, start = struct.unpack_from("<ii", data, place)
            if not entry or entry & ~mask == code & ~mask:
                break
            place += 8
        if entry:
            rows = struct.unpack_from(f"<{height}I", data, content + 4 * start)
            font[bytes(row >> 24 for row in rows)] = chr(code)
    return font


def corbel_font():
    """The same from the glyphs that xen/lib/mkfont makes, of ASCII 32 to 126."""
    made = subprocess.run([os.path.join(os.path.dirname(__file__), "../../xen/lib/mkfont"),
                           "/usr/share/grub/ascii.pf2"], capture_output=True, text=True, check=True)
    glyphs = [line.split(None, 1)[1] for line in made.stdout.splitlines() if ".byte" in line]
    return {bytes(int(row, 16) for row in rows.split(",")): chr(code)
            for code, rows in enumerate(glyphs, 32)}


def cpio_file(archive, wanted):
    """A file's data from an archive of Linux's initramfs format, newc."""
    place = 0
    while archive[place:place + 6] == b"070701":
        size, name_size = (int(archive[place + at:place + at + 8], 16) for at in (54, 94))
        name = archive[place + 110:place + 110 + name_size - 1]
        data = (place + 110 + name_size + 3) & ~3
        if name.removeprefix(b"./") == wanted:
            return archive[data:data + size]
        place = (data + size + 3) & ~3
    raise ScreenError(f"no {wanted.decode()} in the archive")


def write_png(path, width, height, pixels):
    """Write pixels of 4 bytes (blue, green, red, unused) as a PNG."""
    rows = bytearray()
    for y in range(height):
        line = pixels[y * width * 4:(y + 1) * width * 4]
        row = bytearray(width * 3)
        row[0::3], row[1::3], row[2::3] = line[2::4], line[1::4], line[0::4]
        rows += b"\0" + row

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n"
                + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(bytes(rows), 6)) + chunk(b"IEND", b""))


class Picture:
    """Pixels of 4 bytes: blue, green, red, unused."""

    def __init__(self, width=0, height=0, pixels=b""):
        self.width, self.height, self.pixels = width, height, pixels
        self.font = vga_font()

    def save(self, path):
        """Write it as a PNG file."""
        write_png(path, self.width, self.height, self.pixels)

    def _cell(self, column, row, width, font):
        """(the character in a cell, or ?; its background as blue, green, red)."""
        lines = []
        for y in range(row * FONT_HEIGHT, (row + 1) * FONT_HEIGHT):
            start = (y * self.width + column * width) * 4
            lines.append([bytes(self.pixels[start + i:start + i + 3]) for i in range(0, 32, 4)])
        colours = {pixel for line in lines for pixel in line}
        if len(colours) == 1:
            return " ", colours.pop()
        if len(colours) == 2:
            for ink, paper in (tuple(colours), tuple(colours)[::-1]):
                rows = bytes(sum((pixel == ink) << (7 - i) for i, pixel in enumerate(line))
                             for line in lines)
                if rows in font:
                    return font[rows], paper
        return "?", None

    def text(self, font=None, paper=None):
        """The lines of a text screen of cells of 8 (or 9) pixels; a ? is what is not known.

        With paper (blue, green, red) only what stands on that colour."""
        width = 9 if self.width == 720 else 8
        lines = []
        for row in range(self.height // FONT_HEIGHT):
            line = ""
            for column in range(self.width // width):
                character, behind = self._cell(column, row, width, font or self.font)
                line += character if paper in (None, behind) else " "
            lines.append(line.rstrip())
        return lines


def read_ppm(data):
    """The picture in a PPM file as QEMU's screendump writes it."""
    header = re.match(rb"P6\s(\d+)\s(\d+)\s255\s", data)
    if not header:
        raise ScreenError("this is no PPM picture")
    rgb = data[header.end():]
    pixels = bytearray(len(rgb) // 3 * 4)
    pixels[0::4], pixels[1::4], pixels[2::4] = rgb[2::3], rgb[1::3], rgb[0::3]
    return Picture(int(header.group(1)), int(header.group(2)), bytes(pixels))


class Screen(Picture):
    """One connection. grab() brings .width, .height and .pixels up to date."""

    def __init__(self, port, host="127.0.0.1", timeout=60):
        super().__init__()
        self.drawn = False  # has the server sent the whole of it?
        self.asked = False  # is there a request that it has not answered?
        try:
            self.socket = socket.create_connection((host, port), timeout)
            self._hello()
        except OSError as error:
            raise ScreenError(f"VNC {host}:{port}: {error}") from error

    def _take(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(min(size - len(data), 1 << 20))
            if not part:
                raise ScreenError("the VNC server closed the connection")
            data += part
        return bytes(data)

    def _hello(self):
        version = self._take(12)
        if not version.startswith(b"RFB 003."):
            raise ScreenError(f"this is no VNC server: it said {version!r}")
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self._take(self._take(1)[0])
        if 1 not in kinds:
            raise ScreenError(f"the VNC server wants a password (kinds {list(kinds)})")
        self.socket.sendall(b"\1")
        if self._take(4) != bytes(4):
            raise ScreenError("the VNC server refused us")
        self.socket.sendall(b"\1")
        self._resize(*struct.unpack(">HH", self._take(4)))
        self._take(16)
        self._take(struct.unpack(">I", self._take(4))[0])
        self.socket.sendall(struct.pack(">Bxxx", SET_PIXEL_FORMAT) + PIXEL_FORMAT + b"\0\0\0")
        self.socket.sendall(struct.pack(">BxHii", SET_ENCODINGS, 2, ENCODING_RAW,
                                        ENCODING_DESKTOP_SIZE))

    def _resize(self, width, height):
        self.width, self.height = width, height
        self.pixels = bytearray(width * height * 4)
        self.drawn = False

    def _rectangle(self):
        x, y, width, height, encoding = struct.unpack(">HHHHi", self._take(12))
        if encoding == ENCODING_DESKTOP_SIZE:
            self._resize(width, height)
            return False
        if encoding != ENCODING_RAW or x + width > self.width or y + height > self.height:
            raise ScreenError(f"strange rectangle {width}x{height} at {x},{y} in encoding "
                              f"{encoding}")
        data = self._take(width * height * 4)
        for row in range(height):
            to = ((y + row) * self.width + x) * 4
            self.pixels[to:to + width * 4] = data[row * width * 4:(row + 1) * width * 4]
        return True

    def _ask(self, incremental):
        self.socket.sendall(struct.pack(">BBHHHH", UPDATE_REQUEST, incremental, 0, 0,
                                        self.width, self.height))
        self.asked = True

    def _message(self):
        """Take one message."""
        kind = self._take(1)[0]
        if kind == UPDATE:
            self._take(1)
            self.asked = False
            for _ in range(struct.unpack(">H", self._take(2))[0]):
                self.drawn |= self._rectangle()
        elif kind == COLOUR_MAP:
            self._take(3)
            self._take(6 * struct.unpack(">H", self._take(2))[0])
        elif kind == CUT_TEXT:
            self._take(3)
            self._take(struct.unpack(">I", self._take(4))[0])
        elif kind != BELL:
            raise ScreenError(f"strange message {kind} from the VNC server")

    def grab(self, seconds=0.5):
        """Bring the picture up to date: all that changes within this time."""
        end = time.monotonic() + seconds
        while not self.drawn or time.monotonic() < end:
            if not self.asked:
                self._ask(self.drawn)
            left = max(0, end - time.monotonic()) if self.drawn else None
            if select.select([self.socket], [], [], left)[0]:
                self._message()

    def type(self, keys):
        """Press and release keys: characters, or names as in KEYSYMS."""
        for key in [keys] if keys in KEYSYMS else keys:
            for down in (1, 0):
                self.socket.sendall(struct.pack(">BBxxI", KEY_EVENT, down,
                                                KEYSYMS.get(key, ord(key[0]))))

    def close(self):
        """End the connection."""
        self.socket.close()
