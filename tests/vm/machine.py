# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the image once in an emulated machine, which runs the script in a shared directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# An emulated AMD processor with SVM and nested paging: the stock kernel's kvm_amd loads and runs
# machines on it. One processor: with two, the guest's kernel oopsed while KVM patched itself.
# ("-cpu max" boots a quarter slower.)
HARDWARE = ("-M", "q35", "-accel", "tcg", "-cpu", "qemu64,+svm,+npt", "-smp", "1", "-m", "2G")
KERNEL_ARGUMENTS = "root=/dev/vda rw console=ttyS0 quiet panic=-1 systemd.show_status=false"


def run(image: Path, share: Path, limit: float, arguments: str = "") -> bool:
    """Boots the image and waits until the machine powers off; False if it did not in time.

    share is the directory that the guest sees as /run/share, with run.sh in it. The console goes
    to console.log in it. limit is in seconds, arguments are added to the kernel's command line.
    """
    command = ["qemu-system-x86_64", *HARDWARE, "-nodefaults", "-display", "none", "-no-reboot"]
    command += ["-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img")]
    command += ["-append", f"{KERNEL_ARGUMENTS} {arguments}"]
    disk = _escaped(image / "disk.img")
    command += ["-drive", f"file={disk},if=virtio,format=raw,snapshot=on,cache=unsafe"]
    directory = f"local,path={_escaped(share)},mount_tag=share,security_model=none"
    command += ["-virtfs", directory, "-serial", f"file:{_escaped(share / 'console.log')}"]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, env=environment, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return False
    return True


def _escaped(path: Path) -> str:
    """The path as the value of one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")
