# SPDX-License-Identifier: LGPL-2.1-or-later
"""KVM of a simulated arm64 host: it comes up, or not, as the kernel command line says.

As seen with Linux 6.12 and 7.2 in QEMU: "none" leaves no KVM, "nested" needs a GICv3 or there is
none either, and without FEAT_NV2 it has no effect.
"""

from __future__ import annotations

from nestd.formats.arm_mode import NESTED, NONE, arm_mode
from nestd.formats.simulation import Simulation
from nestd.host.machine.interrupt_controller import gic_version
from nestd.host.modprobe.config import read_cmdline
from nestd.host.root import Root

DEVICE = "/dev/kvm"
_NO_KVM = frozenset({"missing", "guest-of"})
_NO_NV2 = "/simulated/no-nv2"  # a processor without FEAT_NV2 has it
_FIRST_GIC = 3
_FILES = {
    "/sys/devices/virtual/misc/kvm/dev": "10:232\n",
    "/sys/module/kvm/parameters/halt_poll_ns": "500000\n",
}


def boot(root: Root, simulation: Simulation) -> None:
    """KVM, which is part of the kernel image, starts or gives up."""
    if "no-nv2" in simulation:
        root.at(_NO_NV2).touch()
    mode = arm_mode(read_cmdline(root)).mode
    gives_up = mode == NESTED and 0 < gic_version(root) < _FIRST_GIC
    if mode == NONE or gives_up or simulation.situations.keys() & _NO_KVM:
        return
    for path, text in _FILES.items():
        file = root.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    device = root.at(DEVICE)
    device.touch()
    device.chmod(0o666)  # what Fedora's udev rule gives it


def nests(root: Root) -> bool:
    """What KVM_CHECK_EXTENSION says of KVM_CAP_ARM_EL2; False where there is no KVM."""
    asked = arm_mode(read_cmdline(root)).mode == NESTED
    return asked and root.at(DEVICE).exists() and not root.at(_NO_NV2).exists()
