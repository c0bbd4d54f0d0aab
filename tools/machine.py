"""The emulated machine: QEMU's command line for a hypervisor, Dom0 and what they are given.

Used by tools/run and by the system tests. The machine has two lines beside its serial port
(which is the hypervisor's and Dom0's console): `org.corbel.console`, the guest's terminal, and
`org.corbel.status`, on which Dom0's init writes how its job ended.
SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import socket
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
HYPERVISORS = {
    "corbel": {
        "image": "xen/corbel.elf32",
        "options": "console=com1 com1=115200,8n1 dom0_mem={dom0}M",
        "cpu": "max,-monitor",
    },
    # Stock Xen, with a PV Dom0: its PVH Dom0 needs an XSDT, which SeaBIOS does not give.
    "xen": {
        "image": "peer/xen",
        "options": "console=com1 com1=115200,8n1 cpuidle=0 dom0_mem={dom0}M,max:{dom0}M",
        "cpu": "qemu64,+svm,+npt",
    },
}
DOM0_MIB = 512
HYPERVISOR_MIB = 128  # what the hypervisor itself and a device model may need
# An emulator ends with the program that started it, however that ends.
WITH_US = ("setpriv", "--pdeathsig", "KILL")


class MachineError(Exception):
    """Something that the user can put right; the text says what."""


def built(name):
    """A file of the build, which must be there."""
    path = os.path.join(BUILD, name)
    if not os.path.exists(path):
        raise MachineError(f"{path} is not there; run make")
    return path


_taken = []  # sockets whose names say that this process will use a port


def _take_port(port):
    """Is the port free, and has no other program of ours chosen it?"""
    name = socket.socket(socket.AF_UNIX)
    try:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
        name.bind(f"\0corbel-port-{port}")
    except OSError:
        name.close()
        return False
    _taken.append(name)
    return True


def free_port(first):
    """The first TCP port from `first` that nobody uses on 127.0.0.1; it is ours until we end."""
    for port in range(first, min(first + 200, 65536)):
        if _take_port(port):
            return port
    raise MachineError(f"no free TCP port from {first} on")


def overlay(directory, files):
    """An archive to put behind the initramfs: {path in Dom0: (text, executable)}."""
    arguments = []
    for number, (path, (text, executable)) in enumerate(files.items()):
        source = os.path.join(directory, f"overlay{number}")
        with open(source, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(source, 0o755 if executable else 0o644)
        arguments += ["--file", f"{source}:{path}"]
    output = os.path.join(directory, "overlay.cpio")
    subprocess.run([os.path.join(TOP, "tools/dom0/mkinitramfs"), "-o", output,
                    "--compress", "none", *arguments], check=True)
    return output


def image_format(path):
    """raw or qcow2, by the magic number that qcow2 begins with."""
    with open(path, "rb") as f:
        return "qcow2" if f.read(4) == b"QFI\xfb" else "raw"


class Machine:
    """One emulated machine. Fill in, then start(); the process is .qemu afterwards."""

    def __init__(self, hypervisor="corbel", cpus=2, memory=2560, accel="tcg",
                 dom0=DOM0_MIB):
        if hypervisor not in HYPERVISORS:
            raise MachineError(f"HYPERVISOR={hypervisor}: it is corbel or xen")
        self.kind = HYPERVISORS[hypervisor]
        self.cpus, self.memory, self.accel, self.dom0 = cpus, memory, accel, dom0
        self.kernel_words = ["console=hvc0", "quiet"]
        self.hypervisor_words = []
        self.archives = []  # overlays behind the initramfs
        self.drives = []    # (path, serial, read_only)
        self.forwards = []  # (host port, port in Dom0)
        self.extra = []     # more words for QEMU
        self.initramfs = None
        self.qemu = None
        self.scratch = None

    def _accel_words(self):
        if self.accel == "tcg":
            # One host thread for all CPUs: waking another CPU's thread for every request to
            # the device model takes longer than what a second thread could do meanwhile.
            return ["-accel", "tcg,thread=single", "-cpu", self.kind["cpu"]]
        if self.accel == "kvm":
            if not os.access("/dev/kvm", os.R_OK | os.W_OK):
                raise MachineError("ACCEL=kvm: /dev/kvm is not there or may not be opened "
                                   "(are you in the group kvm?); ACCEL=tcg needs neither")
            with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
                if not re.search(r"^flags\s*:.* svm( |$)", f.read(), re.M):
                    raise MachineError("ACCEL=kvm: this host's CPU shows no SVM, which the "
                                       "hypervisor in it needs; use ACCEL=tcg")
            return ["-accel", "kvm", "-cpu", "host"]
        raise MachineError(f"ACCEL={self.accel}: it is tcg or kvm")

    def _write_initramfs(self):
        base = self.initramfs or built("dom0/initramfs")
        if not self.archives:
            return base
        whole = os.path.join(self.scratch.name, "initramfs")
        with open(whole, "wb") as out:
            for path in [base, *self.archives]:
                with open(path, "rb") as f:
                    out.write(f.read())
        return whole

    def _drive_words(self):
        words = []
        for number, (path, serial, read_only) in enumerate(self.drives):
            name = path.replace(",", ",,")
            words += ["-drive", f"if=none,id=d{number},file={name},"
                      f"format={image_format(path)}{',readonly=on' if read_only else ''}",
                      "-device", f"virtio-blk-pci,drive=d{number},serial={serial}"]
        return words

    def command(self, lines=()):
        """QEMU's words; `lines` are (name, connected socket) of virtio-serial ports."""
        kernel = " ".join([built("dom0/vmlinuz"), *self.kernel_words])
        options = " ".join([self.kind["options"].format(dom0=self.dom0),
                            *self.hypervisor_words])
        words = ["qemu-system-x86_64", "-machine", "pc", *self._accel_words(),
                 "-smp", str(self.cpus), "-m", str(self.memory), "-nodefaults",
                 "-display", "none", "-no-reboot",
                 "-kernel", built(self.kind["image"]), "-append", options,
                 "-initrd", f"{kernel.replace(',', ',,')},{self._write_initramfs()}",
                 *self._drive_words()]
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}"
                           for host, guest in self.forwards)
        words += ["-netdev", f"user,id=n0{forwards}", "-device", "virtio-net-pci,netdev=n0"]
        if lines:
            words += ["-device", "virtio-serial-pci"]
        for name, line in lines:
            words += ["-chardev", f"socket,id={name},fd={line.fileno()}",
                      "-device", f"virtserialport,chardev={name},name={name}"]
        return words + self.extra

    def start(self, serial, lines=(), **popen):
        """Start QEMU; `serial` is its word for the first serial port, such as file:NAME."""
        for _, line in lines:
            line.set_inheritable(True)
        words = self.command(lines) + ["-serial", serial]
        self.qemu = subprocess.Popen([*WITH_US, *words],
                                     pass_fds=[line.fileno() for _, line in lines], **popen)
        return self.qemu

    def stop(self):
        """End QEMU if it still runs; returns its status."""
        if self.qemu.poll() is None:
            self.qemu.terminate()
            try:
                self.qemu.wait(10)
            except subprocess.TimeoutExpired:
                self.qemu.kill()
        return self.qemu.wait()

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="corbel-")
        return self

    def __exit__(self, *_):
        if self.qemu:
            self.stop()
        self.scratch.cleanup()
