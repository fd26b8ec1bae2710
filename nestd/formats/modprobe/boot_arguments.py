# SPDX-License-Identifier: LGPL-2.1-or-later
"""How to change the kernel command line permanently: a command, or a file and a command.

Each distribution has its own way; nestd names the command but never runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class BootTool(Enum):
    """The tool that sets a host's kernel command line."""

    NIXOS = "NixOS"
    WSL = "WSL"
    BOOTC = "bootc"
    RPM_OSTREE = "rpm-ostree"
    GRUBBY = "grubby"
    ZIPL = "zipl"
    PROXMOX = "proxmox-boot-tool"
    UPDATE_GRUB = "update-grub"
    GRUB2_MKCONFIG = "grub2-mkconfig"
    GRUB_MKCONFIG = "grub-mkconfig"
    KERNEL_INSTALL = "kernel-install"
    UNKNOWN = ""


class BootSetup(NamedTuple):
    """A host's tool, and its file that currently sets KVM's parameters ("" if none was found)."""

    tool: BootTool = BootTool.UNKNOWN
    file: str = ""
    zipl: bool = False  # must be run after grubby


# The file to edit, the place in it, and the command that applies it.
_FILES = {
    BootTool.NIXOS: ("/etc/nixos/configuration.nix", "boot.kernelParams", "nixos-rebuild boot"),
    BootTool.WSL: (
        "%UserProfile%\\.wslconfig in Windows",
        "kernelCommandLine=, below [wsl2],",
        "wsl --shutdown",
    ),
    BootTool.ZIPL: ("/etc/zipl.conf", "parameters=", "zipl"),
    BootTool.PROXMOX: ("/etc/kernel/cmdline", "the line", "proxmox-boot-tool refresh"),
    BootTool.UPDATE_GRUB: ("/etc/default/grub", "GRUB_CMDLINE_LINUX", "update-grub"),
    BootTool.GRUB2_MKCONFIG: (
        "/etc/default/grub",
        "GRUB_CMDLINE_LINUX",
        "grub2-mkconfig -o /boot/grub2/grub.cfg",
    ),
    BootTool.GRUB_MKCONFIG: (
        "/etc/default/grub",
        "GRUB_CMDLINE_LINUX",
        "grub-mkconfig -o /boot/grub/grub.cfg",
    ),
    BootTool.KERNEL_INSTALL: (
        "/etc/kernel/cmdline",
        "the line",
        'kernel-install add "$(uname -r)" "/lib/modules/$(uname -r)/vmlinuz"',
    ),
}
_KARGS_D = "/usr/lib/bootc/kargs.d"


def advice(setup: BootSetup, remove: Sequence[str] = (), add: Sequence[str] = ()) -> str:
    """A sentence on how to remove the words REMOVE from the kernel command line and add ADD."""
    commands = {
        BootTool.GRUBBY: _grubby(setup, remove, add),
        BootTool.RPM_OSTREE: _rpm_ostree(remove, add),
    }
    if setup.tool in commands:
        return f"Run {commands[setup.tool]} and reboot."
    if setup.tool is BootTool.BOOTC:
        file = setup.file or f"a file of {_KARGS_D}"
        edit = _words(remove, add, "kargs")
        return f"In the image's {file}, {edit}; build the image, then run bootc upgrade."
    if setup.tool in _FILES:
        file, what, command = _FILES[setup.tool]
        edit = _words(remove, add, what)
        return f"In {setup.file or file}, {edit}; then run {command}."
    return f"In the boot loader's configuration, {_words(remove, add, 'the kernel command line')}."


def _grubby(setup: BootSetup, remove: Sequence[str], add: Sequence[str]) -> str:
    command = "grubby --update-kernel=ALL"
    command += f' --remove-args="{" ".join(remove)}"' if remove else ""
    command += f' --args="{" ".join(add)}"' if add else ""
    return command + (" && zipl" if setup.zipl else "")


def _rpm_ostree(remove: Sequence[str], add: Sequence[str]) -> str:
    changes = [*(f"--delete={word}" for word in remove), *(f"--append={word}" for word in add)]
    return " ".join(["rpm-ostree kargs", *changes])


def _words(remove: Sequence[str], add: Sequence[str], place: str) -> str:
    steps = []
    if remove:
        steps.append(f"remove {' '.join(remove)} from {place}")
    if add:
        steps.append(f"add {' '.join(add)}" + ("" if remove else f" to {place}"))
    return " and ".join(steps)
