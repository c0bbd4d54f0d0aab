"""CD-ROM images with GRUB, for tests.  SPDX-License-Identifier: GPL-2.0-or-later"""
import hashlib
import os
import shutil
import subprocess
import tempfile


def _sums(tree):
    """Check sums of all files in the tree, as sha1sum -c takes them."""
    lines = []
    for directory, _, names in os.walk(tree):
        for path in (os.path.join(directory, name) for name in names):
            with open(path, "rb") as f:
                digest = hashlib.file_digest(f, "sha1").hexdigest()
            lines.append(f"{digest}  ./{os.path.relpath(path, tree)}\n")
    return "".join(sorted(lines))


def grub_rescue(image, files, menu, *options, sums=False):
    """Make a CD-ROM or disk that boots GRUB with this configuration; its path.

    files    path in the image: the file that is copied there
    options  of grub-mkrescue; by default it boots on BIOS and on UEFI
    sums     with a file of that name that has the check sums of all others"""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(image)) as tree:
        for inside, source in files.items():
            os.makedirs(os.path.join(tree, os.path.dirname(inside)), exist_ok=True)
            shutil.copy(source, os.path.join(tree, inside))
        os.makedirs(os.path.join(tree, "boot/grub"), exist_ok=True)
        with open(os.path.join(tree, "boot/grub/grub.cfg"), "w", encoding="ascii") as config:
            config.write(menu)
        if sums:
            text = _sums(tree)
            with open(os.path.join(tree, "sums"), "w", encoding="ascii") as out:
                out.write(text)
        subprocess.run(["grub-mkrescue", *options, "--fonts=", "--locales=", "--themes=",
                        "-o", image, tree], check=True, capture_output=True)
    return image
