# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the checks read of a host. No service is started and no module loaded by it."""

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
    """libvirt is None where it has no record.

    gic is the version of arm64's interrupt controller, 0 where it is not known; hypervisor the one
    below as hypervisor() of nestd.host.machine.below names it, "" where that was not asked.
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
    """Read them. MODULE is the one to look for in RELEASE's initramfs, "" for none.

    VIRTUALIZATION is what systemd-detect-virt(1) says of the host.
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
