# SPDX-License-Identifier: LGPL-2.1-or-later
"""KVM of a simulated arm64 host: the kernel command line decides whether it starts.

As observed with Linux 6.12 and 7.2 in QEMU: "none" disables KVM; "nested" disables it too without a
GICv3, and has no effect without FEAT_NV2.
"""

from __future__ import annotations

from nestd.formats.arm_mode import NESTED, NONE, arm_mode
from nestd.formats.simulation import Simulation
from nestd.host.machine.interrupt_controller import gic_version
from nestd.host.modprobe.config import read_cmdline
from nestd.host.root import Root

DEVICE = "/dev/kvm"
_NO_KVM = frozenset({"missing", "guest-of"})
_NO_NV2 = "/simulated/no-nv2"  # exists for a processor without FEAT_NV2
_FIRST_GIC = 3
_FILES = {
    "/sys/devices/virtual/misc/kvm/dev": "10:232\n",
    "/sys/module/kvm/parameters/halt_poll_ns": "500000\n",
}


def boot(root: Root, simulation: Simulation) -> None:
    """Let KVM, which is part of the kernel image, start or give up."""
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
    device.chmod(0o666)  # set by Fedora's udev rule


def nests(root: Root) -> bool:
    """The result of KVM_CHECK_EXTENSION for KVM_CAP_ARM_EL2; False without KVM."""
    asked = arm_mode(read_cmdline(root)).mode == NESTED
    return asked and root.at(DEVICE).exists() and not root.at(_NO_NV2).exists()
