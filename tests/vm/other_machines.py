# SPDX-License-Identifier: LGPL-2.1-or-later
"""POWER9 and IBM Z, emulated: Debian's kernel, its modules and nestd in an initramfs.

Debian's packages are unpacked, not configured: no program of the other architecture runs here. The
image contains nothing of nestd and is kept in .cache/; each boot adds this checkout's nestd and the
tests of other_guests/ in a second archive, which the kernel unpacks over the first.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import debian_image
import results

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
TESTS = HERE / "other_guests"
CACHE = CHECKOUT / ".cache"
# Seconds from power on to power off.
LIMIT = 5 * 60

PACKAGES = (
    "busybox-static",
    "dbus-daemon",
    "dbus-system-bus-common",
    "kmod",
    "libpam0g",  # essential, so not pulled in as a dependency
    "python3",
    "python3-configobj",
    "python3-dbus-next",
    "python3-defusedxml",
    "python3-pyudev",
    "systemd",  # for systemd-detect-virt
)

# Files that nothing here reads. QEMU's POWER9 machine accepts no initramfs of 128 MiB or more.
REMOVED = (
    "boot",
    "lib/modules/*/kernel/[b-z]*",
    "lib/udev",
    "usr/bin/perl*",
    "usr/lib/*/gconv",
    "usr/lib/*/libperl.so.*",
    "usr/lib/*/perl*",
    "usr/share/dbus-1/system.d",  # for users that do not exist
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl*",
)

DIRECTORIES = ("dev", "proc", "root", "run", "sys", "var/lib")

FILES = {
    "etc/group": "root:x:0:\nmessagebus:x:100:\n",
    "etc/hostname": "nestd-test\n",
    "etc/machine-id": "6e657374642d7465737420696d616765\n",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\n",
    "etc/resolv.conf": "",
}


@dataclass(frozen=True)
class Machine:
    """An emulated machine; name is the name of the directory with its tests."""

    name: str
    debian: str  # Debian's name of the architecture
    kernel: str  # package
    qemu: tuple[str, ...]
    console: str

    @property
    def directory(self) -> Path:
        """The image's directory, which exists once it has been built."""
        return CACHE / f"vm-{self.name}" / debian_image.key([Path(__file__)])


POWER = Machine(
    "power",
    "ppc64el",
    "linux-image-powerpc64le",
    ("qemu-system-ppc64", "-M", "powernv9", "-m", "4G"),
    "hvc0",
)
S390 = Machine(
    "s390",
    "s390x",
    "linux-image-s390x",
    ("qemu-system-s390x", "-M", "s390-ccw-virtio", "-cpu", "max", "-m", "1G"),
    "ttysclp0",
)
MACHINES = (POWER, S390)


@dataclass(frozen=True)
class Boot:
    """The results of a boot: outcomes by FILE::FUNCTION, how it ended, and its seconds."""

    outcomes: Mapping[str, results.Outcome]
    ending: str
    seconds: float


def build(machine: Machine) -> Path:
    """Builds the image if absent. Needs root. Raises BuildError."""

    def make(work: Path) -> None:
        _make(machine, work)

    return debian_image.build(machine.directory, make)


def boot(machine: Machine, work: Path) -> Boot:
    """Boots the machine, which has been built, and waits until its tests end.

    WORK is an empty directory for the initramfs and the console output. Takes up to two minutes, at
    most LIMIT seconds.
    """
    console, initramfs = work / "console.log", work / "initramfs"
    _add_tests(machine, work, initramfs)
    command = [*machine.qemu, "-accel", "tcg", "-smp", "1", "-display", "none", "-monitor", "none"]
    command += ["-no-reboot", "-net", "none", "-serial", f"file:{console}"]
    command += ["-kernel", str(machine.directory / "kernel"), "-initrd", str(initramfs)]
    # The console is for the tests' reports; the kernel prints only emergencies.
    command += ["-append", f"console={machine.console} rdinit=/init loglevel=1 panic=-1"]
    started = time.monotonic()
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=LIMIT).returncode
        ending = f"{command[0]} ended with status {status}."
    except subprocess.TimeoutExpired:
        ending = f"The machine was ended after {LIMIT} s."
    seconds = time.monotonic() - started
    initramfs.unlink()
    lines = console.read_text(errors="replace").splitlines() if console.exists() else []
    tail = "\n".join(lines[-40:])
    outcomes = results.read(line for line in lines if line.startswith('{"test": '))
    return Boot(outcomes, f"{ending}\n--- the end of {console}\n{tail}", seconds)


def _make(machine: Machine, work: Path) -> None:
    root = work / "root"
    debian_image.install(
        work,
        root,
        "--variant=extract",
        f"--architectures={machine.debian}",
        "--include=" + ",".join((*PACKAGES, machine.kernel)),
    )
    shutil.copy(next(root.glob("boot/vmlinu[xz]-*")), work / "kernel")
    for pattern in REMOVED:
        for path in root.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    debian_image.write(root, FILES)
    (root / "bin/sh").symlink_to("busybox")
    (root / "var/run").symlink_to("/run")
    _archive(work, root, work / "system.gz")
    shutil.rmtree(root)


def _add_tests(machine: Machine, work: Path, initramfs: Path) -> None:
    """Makes an initramfs of the machine's image, nestd and the tests."""
    root = work / "root"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "nestd", root / "tests/nestd", ignore=ignore)
    shutil.copy(HERE / "guest/client.py", root / "tests")
    for path in [*TESTS.glob("*.py"), *(TESTS / machine.name).glob("*.py")]:
        shutil.copy(path, root / "tests")
    shutil.copy(TESTS / "init", root)
    policy = root / "usr/share/dbus-1/system.d"
    policy.mkdir(parents=True)
    shutil.copy(CHECKOUT / "systemd/org.nestd1.conf", policy)
    _archive(work, root, work / "tests.gz")
    with open(initramfs, "wb") as whole:
        for path in (machine.directory / "system.gz", work / "tests.gz"):
            with open(path, "rb") as part:
                shutil.copyfileobj(part, whole)
    shutil.rmtree(root)


def _archive(work: Path, root: Path, archive: Path) -> None:
    """The archive that the kernel unpacks: everything below ROOT, owned by root."""
    pack = "find . | cpio --quiet --create --format=newc --owner=0:0 | gzip -1"
    script = f"set -o pipefail; cd {shlex.quote(str(root))}; {pack} > {shlex.quote(str(archive))}"
    debian_image.run(work, "bash", "-c", script)
