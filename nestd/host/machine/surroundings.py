# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host facts that only the checks use. Reading them starts no service and loads no module."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from nestd.formats.libvirt_xml.qemu_capabilities import QemuCapabilities
from nestd.host.kernel.kvm_device import KvmDevice, read_device
from nestd.host.libvirt.cache import read_cache
from nestd.host.machine.below import hypervisor
from nestd.host.machine.initramfs import Initramfs, look
from nestd.host.machine.interrupt_controller import gic_version
from nestd.host.machine.os_release import OsRelease, read_os_release
from nestd.host.machine.processor import Processor, read_processor
from nestd.host.machine.virtualbox import NO_VIRTUALBOX, VirtualBox, find_virtualbox
from nestd.host.root import Root


@dataclass(frozen=True)
class Surroundings:
    """The facts. libvirt is None if it has no record.

    gic is the version of arm64's interrupt controller, 0 if unknown; hypervisor is the one below
    as named by hypervisor() of nestd.host.machine.below, "" if it was not determined.
    """

    processor: Processor
    device: KvmDevice
    system: OsRelease
    initramfs: Initramfs
    virtualbox: VirtualBox = NO_VIRTUALBOX
    libvirt: QemuCapabilities | None = None
    gic: int = 0
    hypervisor: str = ""


async def read_surroundings(
    root: Root, machine: str, release: str, module: str, virtualization: str = ""
) -> Surroundings:
    """Read them. MODULE is the module to find in RELEASE's initramfs, "" for none.

    VIRTUALIZATION is the host's as named by systemd-detect-virt(1).
    """

    def read() -> Surroundings:
        return Surroundings(
            processor=read_processor(root),
            device=read_device(root),
            system=read_os_release(root),
            initramfs=Initramfs(),
            virtualbox=find_virtualbox(root),
            libvirt=read_cache(root, machine),
            gic=gic_version(root) if machine == "aarch64" else 0,
            hypervisor=hypervisor(root, virtualization),
        )

    found = await asyncio.to_thread(read)
    return replace(found, initramfs=await look(root, release, module)) if module else found
