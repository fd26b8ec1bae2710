# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that can be hypervisors: libvirt domains that boot l1.S, or a program that shuts down."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SECONDS = 1800  # for one step: this machine is emulated, and its host may be busy
SYS_NESTED = Path("/sys/module/kvm_amd/parameters/nested")
WHOLE = "<cpu mode='host-passthrough'/>"
DISABLED = "<cpu mode='host-passthrough'><feature policy='disable' name='svm'/></cpu>"
REQUIRED = (
    "<cpu mode='custom' match='exact' check='partial'><model fallback='allow'>qemu64</model>"
    "<feature policy='require' name='svm'/></cpu>"
)
PLAIN, LOADED, OBEDIENT = "l1", "loaded", "obedient"
"""What a guest does: run l1.S, or shut down when its power button is pressed."""
_IMAGES = Path("/run")
# Waits until the power button is pressed, checking at each tick, then powers off.
_OBEDIENT = "ba0206 b80001 ef fb f4 ba0006 ed f6c401 74f5 ba0406 b80020 ef f4 ebfd"
_DOMAIN = """\
<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os>
  <features><acpi/></features>
  {cpu}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='floppy'>
      <driver name='qemu' type='raw'/><source file='{image}'/><target dev='fda'/><readonly/>
    </disk>
    <serial type='file'><source path='/var/log/libvirt/qemu/{name}.serial'/></serial>
  </devices>
</domain>
"""


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def virsh(*words: str) -> str:
    return run("virsh", "--quiet", *words)


def nestctl(*words: str, code: int = 0) -> str:
    """The command's standard output, then its standard error."""
    done = subprocess.run(["nestctl", *words], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def guests() -> Mapping[str, Mapping[str, object]]:
    """nestctl's report on each guest, by name."""
    return {each["name"]: each for each in json.loads(nestctl("guests", "--json"))["guests"]}


def state(name: str) -> str:
    return virsh("domstate", "--reason", name)


def define(name: str, cpu: str, does: str = PLAIN) -> None:
    image = _IMAGES / f"{does}.img"
    xml = Path(f"/run/{name}.xml")
    xml.write_text(_DOMAIN.format(name=name, cpu=cpu, image=image))
    virsh("define", str(xml))


def start(name: str) -> None:
    """Start it, and wait until it reacts to its power button."""
    serial(name).unlink(missing_ok=True)
    virsh("start", name)
    wait_until(lambda: "svm\n" in told_by(name))


def serial(name: str) -> Path:
    return Path(f"/var/log/libvirt/qemu/{name}.serial")


def told_by(name: str) -> str:
    """The guest's output: "svm" or "no svm"."""
    return serial(name).read_text() if serial(name).exists() else ""


def press_power_button(name: str) -> None:
    virsh("shutdown", name, "--mode", "acpi")


def wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "never came"
        time.sleep(0.5)


@contextmanager
def domains() -> Iterator[None]:
    """A host without domains, before and after the test."""
    source = str(Path(__file__).with_name("l1.S"))
    link = ("-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary")
    for name, symbols in ((PLAIN, ()), (LOADED, ("--defsym", "loaded=1"))):
        run("as", "--32", *symbols, "-o", "/run/l1.o", source)
        run("ld", *link, "-o", str(_IMAGES / f"{name}.img"), "/run/l1.o")
    code = bytes.fromhex(_OBEDIENT)
    floppy = code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1440 * 1024 - 512)
    (_IMAGES / f"{OBEDIENT}.img").write_bytes(floppy)
    try:
        yield
    finally:
        for name in virsh("list", "--name").split():
            virsh("destroy", name)
        for name in virsh("list", "--all", "--name").split():
            virsh("undefine", name, "--managed-save")
