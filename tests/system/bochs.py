"""An emulated Intel machine under test: Bochs with Corbel, booted by GRUB from a disk image.

Bochs stands for processors with VMX and EPT, which QEMU does not emulate. It is slow (50 to 90
million instructions a second), so time limits here are its processor time, not the clock's.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

from grub import grub_rescue
from machine import CORBEL, PATIENCE, WITH_US, Ended, Machine

BOCHS = os.environ.get("BOCHS", "bochs-bin")
MODEL = os.environ.get("BOCHS_CPU", "corei7_haswell_4770")
# SeaBIOS is the faster one, but its tables for Bochs tell of one CPU only.
BIOS_ONE_CPU = "/usr/share/seabios/bios.bin"
BIOS_SMP = "/usr/share/bochs/BIOS-bochs-latest"
VGABIOS = "/usr/share/seabios/vgabios-stdvga.bin"
# The clock's limit, in units of the processor-time limit: other work may share the host.
WALL_FACTOR = 12
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

CONFIG = """\
plugin_ctrl: unmapped=1, biosdev=1
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model={model}, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
romimage: file={bios}
vgaromimage: file={vgabios}
boot: disk
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path={disk}, mode=volatile
com1: enabled=1, mode=socket-client, dev=localhost:{port}
sound: driver=dummy
log: {log}
panic: action=fatal
clock: sync=none
pci: enabled=1, chipset=i440fx
"""


def _disk(directory, kernel, args, initrd, options, image, before):
    """A GRUB image that can be booted as a disk; `before`: commands of GRUB's that go before."""
    files = {"boot/corbel": image, "boot/kernel": kernel}
    lines = (f"{before}\nmultiboot /boot/corbel com1=115200,8n1 console=com1 {options}\n"
             f"module /boot/kernel {args}")
    if initrd:
        files["boot/initrd"] = initrd
        lines += "\nmodule /boot/initrd"
    return grub_rescue(os.path.join(directory, "disk"), files, lines + "\nboot\n",
                       "-d", "/usr/lib/grub/i386-pc")


class BochsMachine(Machine):
    """One Bochs process, used as Machine is. It has no QMP and no screen."""

    # pylint: disable=super-init-not-called
    def __init__(self, kernel, args="", initrd=None, options="", cpus=1, memory=512, log=None,
                 model=MODEL, image=CORBEL, before=""):
        self.directory = tempfile.mkdtemp(prefix="corbel-bochs-")
        self.buffer = self.text = ""
        self.log = log
        self.status = None
        self._clock = None
        self.process = self.console = None
        disk = _disk(self.directory, kernel, args, initrd, options, image, before)
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._start(disk, server, model, cpus, memory)

    def _start(self, disk, server, model, cpus, memory):
        config = os.path.join(self.directory, "bochsrc")
        with open(config, "w", encoding="ascii") as out:
            out.write(CONFIG.format(model=model, cpus=cpus, memory=memory, disk=disk,
                                    bios=BIOS_SMP if cpus > 1 else BIOS_ONE_CPU,
                                    vgabios=VGABIOS, port=server.getsockname()[1],
                                    log=os.path.join(self.directory, "log")))
        commands = os.path.join(self.directory, "rc")
        with open(commands, "w", encoding="ascii") as out:
            out.write("c\n")
        with open(os.path.join(self.directory, "out"), "w", encoding="utf-8") as out:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen([*WITH_US, BOCHS, "-q", "-f", config, "-rc", commands],
                                            cwd=self.directory, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=subprocess.STDOUT)
        server.settimeout(30 * PATIENCE)
        try:
            self.console, _ = server.accept()
        except TimeoutError as error:
            message = self.messages()
            self.stop()
            raise Ended(f"Bochs does not start: {message}") from error

    def messages(self):
        """The last lines of Bochs's own output and log."""
        lines = []
        for name in ("out", "log"):
            try:
                with open(os.path.join(self.directory, name), encoding="utf-8",
                          errors="replace") as source:
                    lines += source.read().splitlines()[-8:]
            except OSError:
                pass
        return "\n".join(lines)

    def stop(self):
        """End Bochs (at once) and remove the machine's files."""
        if self.process.poll() is None:
            self.process.kill()
        self.status = self.process.wait()
        if self.console:
            self.console.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self, seconds):
        ready, _, _ = select.select([self.console], [], [], max(seconds, 0))
        if not ready:
            return True
        try:
            data = self.console.recv(65536)
        except ConnectionError:
            return False
        if not data:
            return False
        self._take(data)
        return True

    def cpu_seconds(self):
        """Processor time that Bochs has used."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def expect(self, pattern, seconds):
        expression = re.compile(pattern, re.M)
        cpu_end = self.cpu_seconds() + seconds
        end = time.monotonic() + seconds * WALL_FACTOR * PATIENCE
        alive = True
        while True:
            match = expression.search(self.buffer)
            if match:
                self.buffer = self.buffer[match.end():]
                return match
            if not alive:
                raise Ended(f"no {pattern!r} before the machine ended: {self.messages()}")
            if self.cpu_seconds() >= cpu_end or time.monotonic() >= end:
                raise Ended(f"no {pattern!r} in {seconds} s of processor time")
            alive = self._read(1)

    def send(self, text):
        self.console.sendall(text.encode())
