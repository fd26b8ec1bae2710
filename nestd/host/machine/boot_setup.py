# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tool that writes this host's kernel command line, detected from installed files."""

from __future__ import annotations

import os

from nestd.formats.modprobe.boot_arguments import BootSetup, BootTool
from nestd.host.files import read_regular
from nestd.host.root import Root

_PROGRAM_DIRECTORIES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_KARGS_DIRECTORIES = ("/usr/lib/bootc/kargs.d", "/etc/bootc/kargs.d")
_CMDLINE = "/etc/kernel/cmdline"
_NIXOS = ("/etc/NIXOS", "/run/current-system")
# If several are installed, the first one is in use.
_PROGRAMS = (
    ("update-grub", BootTool.UPDATE_GRUB),
    ("grub2-mkconfig", BootTool.GRUB2_MKCONFIG),
    ("grub-mkconfig", BootTool.GRUB_MKCONFIG),
    ("rpm-ostree", BootTool.RPM_OSTREE),
    ("bootc", BootTool.BOOTC),
    ("kernel-install", BootTool.KERNEL_INSTALL),
)
_MOST_BYTES = 64 << 10


def read_boot_setup(root: Root, release: str) -> BootSetup:
    """The setup of the host below ROOT, whose kernel is RELEASE. Never raises OSError."""
    if any(_exists(root, path) for path in _NIXOS):
        return BootSetup(BootTool.NIXOS)
    if "microsoft" in release.lower():
        return BootSetup(BootTool.WSL)
    if _exists(root, "/run/ostree-booted"):
        return _image_mode(root)
    zipl = _exists(root, "/etc/zipl.conf") or _is_installed(root, "zipl")
    if _is_installed(root, "grubby"):
        return BootSetup(BootTool.GRUBBY, zipl=zipl)
    if zipl:
        return BootSetup(BootTool.ZIPL)
    if _exists(root, _CMDLINE):
        proxmox = _is_installed(root, "proxmox-boot-tool")
        return BootSetup(BootTool.PROXMOX if proxmox else BootTool.KERNEL_INSTALL, _CMDLINE)
    found = (tool for program, tool in _PROGRAMS if _is_installed(root, program))
    return BootSetup(next(found, BootTool.UNKNOWN))


def _image_mode(root: Root) -> BootSetup:
    """An ostree host: parameters from the image's files are edited there, others by rpm-ostree."""
    file = _kargs_file(root)
    has_bootc = _is_installed(root, "bootc") or _exists(root, "/usr/lib/bootc")
    if file or (has_bootc and not _is_installed(root, "rpm-ostree")):
        return BootSetup(BootTool.BOOTC, file)
    return BootSetup(BootTool.RPM_OSTREE)


def _kargs_file(root: Root) -> str:
    """The kargs.d file with a parameter of KVM or a list of modules, "" for none."""
    for directory in _KARGS_DIRECTORIES:
        try:
            names = sorted(os.listdir(root.at(directory)))
        except OSError:
            continue
        for name in names:
            try:
                text = read_regular(root.at(f"{directory}/{name}"), _MOST_BYTES) or b""
            except OSError:
                continue
            if name.endswith(".toml") and (b"kvm" in text or b"blacklist" in text):
                return f"{directory}/{name}"
    return ""


def _is_installed(root: Root, program: str) -> bool:
    return any(_exists(root, f"{directory}/{program}") for directory in _PROGRAM_DIRECTORIES)


def _exists(root: Root, path: str) -> bool:
    return os.path.lexists(root.at(path))
