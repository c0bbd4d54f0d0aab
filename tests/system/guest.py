"""A guest under test, from outside: its serial line, its screen, how it ended.

Two ways to start one: as a user does (`tools/run` with variables), or on a machine of its own with
any configuration and disks. And the CD-ROM of the Linux guest (tests/system/guest).
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import select
import socket
import subprocess
import sys
import time

from grub import grub_rescue
from screen import Screen, ScreenError

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tools"))
# pylint: disable=wrong-import-position
import importlib.util  # noqa: E402

BUILD = os.path.join(TOP, "build")
DOM0_ROOT = os.path.join(BUILD, "cache/dom0-root")
INSTALLER = os.path.join(BUILD, "run/debian-installer.iso")
LOGS = os.path.join(BUILD, "tests")
# A busy host is several times slower than a quiet one.
PATIENCE = float(os.environ.get("PATIENCE", "1"))
# mke2fs and its like are not on everybody's path.
os.environ["PATH"] += ":/usr/sbin:/sbin"
CONTROL = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")


def _machine_module():
    """tools/machine.py; tests/system has a module of that name, too."""
    path = os.path.join(TOP, "tools/machine.py")
    spec = importlib.util.spec_from_file_location("corbel_machine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


machines = _machine_module()


class Failed(Exception):
    """What was waited for did not come."""


class Console:
    """Text that comes from a file descriptor; and the screen at a VNC port."""

    def __init__(self, name, output, port):
        self.name, self.output, self.port = name, output, port
        self.raw, self.position = b"", 0
        self.start = time.monotonic()

    def seconds(self):
        """Since the start."""
        return time.monotonic() - self.start

    def text(self):
        """All that was said, without escape sequences and carriage returns."""
        return CONTROL.sub(b"", self.raw).replace(b"\r", b"").decode(errors="replace")

    def _read(self, seconds):
        if not select.select([self.output], [], [], seconds)[0]:
            return True
        data = os.read(self.output, 65536)
        self.raw += data
        if data:
            with open(os.path.join(LOGS, f"{self.name}.serial"), "ab" if len(data) < len(self.raw)
                      else "wb") as log:
                log.write(data)
        return bool(data)

    def expect(self, pattern, seconds):
        """Wait for a regular expression behind the last one that was found."""
        end = time.monotonic() + seconds * PATIENCE
        alive = True
        while True:
            text = self.text()
            match = re.compile(pattern, re.M).search(text, self.position)
            if match:
                self.position = match.end()
                return match
            if not alive or time.monotonic() > end:
                raise Failed(f"{self.name}: no {pattern!r} "
                             + ("before the end" if not alive else f"in {seconds} s"))
            alive = self._read(1)

    def screen(self):
        """A connection to its screen."""
        try:
            return Screen(self.port)
        except ScreenError as error:
            raise Failed(f"{self.name}: {error}") from error

    def expect_screen(self, screen, pattern, seconds, font=None, paper=None):
        """Wait for a regular expression on the screen (on that paper); returns its text."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            try:
                screen.grab()
            except (ScreenError, OSError) as error:
                raise Failed(f"{self.name}: screen: {error}") from error
            text = "\n".join(screen.text(font, paper))
            if re.search(pattern, text, re.M):
                return text
            if time.monotonic() > end:
                picture = os.path.join(LOGS, f"{self.name}.png")
                screen.save(picture)
                raise Failed(f"{self.name}: no {pattern!r} on the screen in {seconds} s; it is "
                             f"in {os.path.relpath(picture)}:\n{text.strip()}")
            self._read(1)

    def tail(self, lines=30):
        """The last lines, as TAP comments."""
        return "\n".join("# | " + line for line in self.text().splitlines()[-lines:])


class UserRun(Console):
    """`tools/run` with variables, as `make run` calls it."""

    def __init__(self, name, **variables):
        os.makedirs(LOGS, exist_ok=True)
        self.log = os.path.join(LOGS, f"{name}.log")
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [os.path.join(TOP, "tools/run")], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, LOG=self.log, **variables))
        super().__init__(name, self.process.stdout.fileno(), 0)

    def __enter__(self):
        self.port = int(self.expect(r"VNC 127\.0\.0\.1:(\d+)", 60).group(1))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.stdout.close()
        self.process.wait(30)

    def wait(self, seconds):
        """Wait for its end; the status."""
        end = time.monotonic() + seconds * PATIENCE
        while self._read(1):
            if time.monotonic() > end:
                raise Failed(f"{self.name}: no end in {seconds} s")
        return self.process.wait()


class OwnMachine(Console):
    """A machine whose Dom0 runs a job: by default one guest on the guest's console.

    drives are (path, serial, read_only); in Dom0 they are /dev/disk/by-serial/SERIAL. files are
    {path in Dom0: (text, executable)}, copies {path in Dom0: file here}."""

    JOB = ("#!/bin/sh\nexec 3<>/dev/virtio-ports/org.corbel.console\n"
           "exec corbel run /etc/guest.cfg <&3 >&3 2>&3\n")

    def __init__(self, name, config="", job=JOB, drives=(), files=None, copies=None,
                 cpus=1, memory=1536):
        os.makedirs(LOGS, exist_ok=True)
        self.log = os.path.join(LOGS, f"{name}.log")
        self.machine = machines.Machine("corbel", cpus, memory)
        self.machine.drives += drives
        self.machine.kernel_words += ["corbel.run=/etc/job", "corbel.net=dhcp"]
        self.files = {"etc/job": (job, True), "etc/guest.cfg": (config, False), **(files or {})}
        self.copies = copies or {}
        self.ours, self.theirs = socket.socketpair()
        self.status_ours, self.status_theirs = socket.socketpair()
        super().__init__(name, self.ours.fileno(), machines.free_port(5950))
        self.machine.forwards.append((self.port, 5900))

    def __enter__(self):
        self.machine.__enter__()
        self.machine.archives.append(machines.overlay(self.machine.scratch.name, self.files))
        if self.copies:
            archive = os.path.join(self.machine.scratch.name, "copies.cpio")
            words = [word for inside, path in self.copies.items()
                     for word in ("--file", f"{path}:{inside}")]
            subprocess.run([os.path.join(TOP, "tools/dom0/mkinitramfs"), "-o", archive,
                            "--compress", "none", *words], check=True)
            self.machine.archives.append(archive)
        open(self.log, "w", encoding="utf-8").close()
        self.machine.start(f"file:{self.log}", [("org.corbel.console", self.theirs),
                                                ("org.corbel.status", self.status_theirs)],
                           stdin=subprocess.DEVNULL)
        self.theirs.close()
        self.status_theirs.close()
        return self

    def __exit__(self, *_):
        self.machine.__exit__()
        self.ours.close()
        self.status_ours.close()

    def send(self, text):
        """Type on the guest's serial line."""
        self.ours.sendall(text.encode())

    def wait(self, seconds):
        """Wait for the machine's end; the status of the job in Dom0, or None."""
        end = time.monotonic() + seconds * PATIENCE
        told = b""
        self.status_ours.setblocking(False)
        while self.machine.qemu.poll() is None:
            if time.monotonic() > end:
                raise Failed(f"{self.name}: no end in {seconds} s")
            self._read(0.2)
            try:
                told += self.status_ours.recv(1000)
            except BlockingIOError:
                pass
        match = re.search(rb"status (\d+)", told)
        return int(match.group(1)) if match else None


def firmware(directory, name, action, seed=1):
    """Assemble firmware/image.S for an ACTION; its path."""
    unit = os.path.join(directory, name)
    subprocess.run(["as", "--32", "--defsym", f"ACTION={action}", "--defsym", f"SEED={seed}",
                    "-o", unit + ".o", os.path.join(HERE, "firmware/image.S")], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", unit + ".o", unit], check=True)
    return unit


def ext4(path, mib):
    """A raw image with an empty ext4 file system."""
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", path], check=True)
    return path


def linux_initrd(path):
    """The Linux guest's initramfs: busybox, drivers of Debian's kernel, tests/system/guest/init."""
    subprocess.run([os.path.join(TOP, "tools/dom0/mkinitramfs"), "-o", path,
                    "--root", DOM0_ROOT, "--modules", os.path.join(HERE, "guest/modules"),
                    "--busybox", os.path.join(DOM0_ROOT, "bin/busybox"),
                    "--file", os.path.join(HERE, "guest/init:init")], check=True)


def linux_iso(directory, arguments, name="linux.iso"):
    """A CD-ROM that boots the Linux guest with these words for its kernel."""
    initrd = os.path.join(directory, "initrd")
    if not os.path.exists(initrd):
        linux_initrd(initrd)
    with open(os.path.join(HERE, "guest/grub.cfg"), encoding="ascii") as f:
        menu = f.read().replace("@ARGS@", arguments)
    files = {"boot/initrd": initrd, "boot/vmlinuz": os.path.join(BUILD, "dom0/vmlinuz")}
    return grub_rescue(os.path.join(directory, name), files, menu, sums=True)
