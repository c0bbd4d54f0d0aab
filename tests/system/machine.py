"""A whole emulated machine under test: QEMU with Corbel or stock Xen, its serial console and QMP.

Corbel boots by Multiboot from `qemu -kernel`. Stock Xen 4.17, the reference for the ABI, needs an
XSDT and an IOMMU for a PVH Dom0, hence OVMF, GRUB and a q35 board.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

from screen import read_ppm

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
CORBEL = os.path.join(BUILD, "xen", "corbel.elf32")
PEER = os.path.join(BUILD, "tests", "peer")
OVMF = "/usr/share/OVMF/OVMF_CODE.fd"
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
# The CPU model with SVM and nested paging; MONITOR would make Xen's idle loop expensive.
CPU = os.environ.get("QEMU_CPU", "max,-monitor")
# TCG on a busy machine may be several times slower than on a quiet one.
PATIENCE = float(os.environ.get("PATIENCE", "1"))
# An emulator ends with the test that started it, however that ends.
WITH_US = ("setpriv", "--pdeathsig", "KILL")

# The PM timer where SeaBIOS puts it on the pc board (ACPI 4.8.3.3).
PM_TIMER = 0x608
PM_TIMER_HZ = 3579545
PM_TIMER_MASK = 0xffffff
CLOCK_PERIOD = 0.3


class Ended(Exception):
    """The machine ended, or the time did, before the awaited text came."""


class Machine:
    """One QEMU process. Use as a context manager; the process and its files go at the end.

    hypervisor  "corbel", "xen" or "" (the kernel is then booted by Multiboot with nothing below)
    kernel      Dom0's kernel; args its command line; initrd its initramfs or None
    """

    def __init__(self, kernel, args="", initrd=None, hypervisor="corbel", options="", cpus=1,
                 memory=1024, extra=(), log=None, cpu=CPU, accel=os.environ.get("QEMU_ACCEL", "tcg"), image=None):
        self.directory = tempfile.mkdtemp(prefix="corbel-test-")
        self.buffer = ""          # what expect() has not consumed yet
        self.text = ""            # everything the serial console said
        self.log = log
        self.status = None
        self._clock = None        # (ticks so far, raw counter) of virtual_seconds()
        self._qmp = None
        self._qmp_buffer = b""
        self.qmp_path = os.path.join(self.directory, "qmp")
        command = [QEMU, "-accel", accel, "-cpu", cpu, "-smp", str(cpus), "-m", str(memory),
                   "-display", "none", "-nodefaults", "-no-reboot",
                   "-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
                   "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        command += self._boot(hypervisor, image, kernel, args, initrd, options)
        command += list(extra)
        self.command = command
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([*WITH_US, *command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)

    def _boot(self, hypervisor, image, kernel, args, initrd, options):
        if not kernel:  # nothing but the board, or a hypervisor without modules
            return ["-kernel", image or CORBEL, "-append",
                    f"console=com1 com1=115200,8n1 {options}"] if hypervisor == "corbel" else []
        if not hypervisor:
            return ["-kernel", kernel, "-append", args]
        if hypervisor == "corbel":
            modules = [f"{kernel} {args}".strip().replace(",", ",,")]
            if initrd:
                modules.append(initrd)
            return ["-machine", "pc", "-kernel", image or CORBEL, "-initrd", ",".join(modules),
                    "-append", f"console=com1 com1=115200,8n1 {options}".strip()]
        return self._boot_xen(image or xen_image(), kernel, args, initrd, options)

    def _boot_xen(self, image, kernel, args, initrd, options):
        esp = os.path.join(self.directory, "esp")
        os.makedirs(os.path.join(esp, "EFI", "BOOT"))
        shutil.copy(image, os.path.join(esp, "xen"))
        shutil.copy(kernel, os.path.join(esp, "kernel"))
        if initrd:
            shutil.copy(initrd, os.path.join(esp, "initrd"))
        shutil.copy(grub_image(), os.path.join(esp, "EFI", "BOOT", "BOOTX64.EFI"))
        with open(os.path.join(esp, "grub.cfg"), "w", encoding="ascii") as config:
            config.write("multiboot2 /xen dom0=pvh dom0_mem=256M,max:256M console=com1 "
                         f"com1=115200,8n1 guest_loglvl=all {options}\n"
                         f"module2 /kernel {args}\n"
                         + ("module2 /initrd\n" if initrd else "") + "boot\n")
        return ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on",
                "-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}",
                "-drive", f"format=raw,file=fat:rw:{esp}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End QEMU (at once) and remove the machine's files."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.status = self.process.returncode
        if self._qmp:
            self._qmp.close()
        self.process.stdin.close()
        self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self, seconds):
        """Take what the console says within the given time; False at its end."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(seconds, 0))
        if not ready:
            return True
        data = self.process.stdout.read(65536)
        if not data:
            return False
        self._take(data)
        return True

    def _take(self, data):
        """Keep what the console said, in bytes."""
        text = data.decode("utf-8", "replace").replace("\r", "")
        self.text += text
        self.buffer += text
        if self.log:
            self.log.write(text)
            self.log.flush()

    def expect(self, pattern, seconds):
        """Wait for a regular expression on the console; return the match, drop what led to it."""
        expression = re.compile(pattern, re.M)
        end = time.monotonic() + seconds * PATIENCE
        alive = True
        while True:
            match = expression.search(self.buffer)
            if match:
                self.buffer = self.buffer[match.end():]
                return match
            left = end - time.monotonic()
            if not alive or left <= 0:
                raise Ended(f"no {pattern!r} "
                            f"{'before the machine ended' if not alive else f'in {seconds} s'}")
            alive = self._read(min(left, CLOCK_PERIOD) if self._clock else left)
            if self._clock and alive:
                self.virtual_seconds()

    def virtual_seconds(self):
        """Virtual time since power-on by the chipset's PM timer, in seconds.

        The counter has 24 bits, 4.7 s: after the first call expect() reads it often enough.
        It counts from when the firmware has switched it on; QEMU starts its clock at 0."""
        answer = self.qmp("human-monitor-command", **{"command-line": f"i /w {PM_TIMER:#x}"})
        match = re.search(r"= 0x([0-9a-f]+)", answer)
        if not match or int(match.group(1), 16) == 0xffffffff:
            return 0.0
        raw = int(match.group(1), 16) & PM_TIMER_MASK
        ticks, last = self._clock or (raw, raw)
        self._clock = (ticks + ((raw - last) & PM_TIMER_MASK), raw)
        return self._clock[0] / PM_TIMER_HZ

    def start_clock(self):
        """Follow the virtual time from now on; call this within 4 s of power-on."""
        while self._read(CLOCK_PERIOD / 10):
            if os.path.exists(self.qmp_path) and self.virtual_seconds():
                break

    def wait(self, seconds):
        """Wait until QEMU ends by itself; its status, or None if it did not."""
        end = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < end:
            if not self._read(min(1, end - time.monotonic())):
                self.status = self.process.wait()
                return self.status
        return None

    def send(self, text):
        """Type on the serial console."""
        self.process.stdin.write(text.encode())

    def qmp(self, command, **arguments):
        """Run a QMP command and return its result."""
        if not self._qmp:
            self._qmp = socket.socket(socket.AF_UNIX)
            self._qmp.settimeout(30)
            while True:  # QEMU may not have come to it yet
                try:
                    self._qmp.connect(self.qmp_path)
                    break
                except OSError as error:
                    if self.process.poll() is not None:
                        raise Ended("the machine ended before its QMP was there") from error
                    time.sleep(0.05)
            self._qmp_message()
            self.qmp("qmp_capabilities")
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = self._qmp_message()
            if "error" in message:
                raise RuntimeError(f"QMP {command}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def _qmp_message(self):
        while b"\n" not in self._qmp_buffer:
            data = self._qmp.recv(65536)
            if not data:
                raise Ended("QMP closed")
            self._qmp_buffer += data
        line, self._qmp_buffer = self._qmp_buffer.split(b"\n", 1)
        return json.loads(line)

    def screen(self):
        """The machine's screen as it is now, a Picture."""
        path = os.path.join(self.directory, "screen")
        self.qmp("screendump", filename=path)
        with open(path, "rb") as image:
            return read_ppm(image.read())

    def expect_screen(self, pattern, seconds, font=None):
        """Wait for a regular expression on the screen; its text."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            try:
                text = "\n".join(self.screen().text(font))
            except OSError as error:
                raise Ended(f"no {pattern!r} on the screen before the machine ended") from error
            if re.search(pattern, text, re.M):
                return text
            if time.monotonic() > end:
                raise Ended(f"no {pattern!r} on the screen in {seconds} s:\n{text.strip()}")
            self._read(1)

    def tail(self, lines=40):
        """The last lines of the console as TAP comments, for a failure's report."""
        return "\n".join("# | " + line for line in self.text.splitlines()[-lines:])


def _make_once(path, make):
    """The file at path, made by make(temporary path) if it is not there."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        make(path + ".part")
        os.replace(path + ".part", path)
    return path


def xen_image(efi=False):
    """Stock Xen's Multiboot image, or its EFI program, unpacked from Debian's package."""
    kind = "efi" if efi else "gz"

    def make(part):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(["apt-get", "download", "-q", "xen-hypervisor-4.17-amd64"], cwd=work,
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            package = os.path.join(work, os.listdir(work)[0])
            subprocess.run(["dpkg", "-x", package, work], check=True)
            with open(part, "wb") as out:
                subprocess.run(["cat" if efi else "zcat", f"{work}/boot/xen-4.17-amd64.{kind}"],
                               stdout=out, check=True)
    return _make_once(os.path.join(PEER, "xen.efi" if efi else "xen"), make)


def overlay(base, output, files):
    """An initramfs: the base with the given {path inside: file} behind it."""
    extra = output + ".extra"
    words = [word for inside, path in files.items() for word in ("--file", f"{path}:{inside}")]
    subprocess.run([os.path.join(ROOT, "tools/dom0/mkinitramfs"), "-o", extra, "--compress",
                    "none", *words], check=True, cwd=ROOT)
    with open(output, "wb") as out:
        for part in (base, extra):
            with open(part, "rb") as data:
                out.write(data.read())
    os.remove(extra)
    return output


def grub_image():
    """GRUB as an EFI program that reads /grub.cfg beside /xen."""
    def make(part):
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
            config.write("search --file --set=root /xen\nconfigfile /grub.cfg\n")
            config.flush()
            subprocess.run(["grub-mkimage", "-O", "x86_64-efi", "-p", "/", "-c", config.name,
                            "-o", part, "multiboot2", "part_msdos", "part_gpt", "fat", "search",
                            "configfile", "normal", "boot"], check=True)
    return _make_once(os.path.join(PEER, "bootx64.efi"), make)
