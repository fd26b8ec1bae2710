# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kinds of virtualization as systemd-detect-virt(1) names them."""

from __future__ import annotations

_CONTAINERS = (
    *("container-other", "docker", "lxc", "lxc-libvirt", "openvz", "podman", "pouch", "proot"),
    *("rkt", "systemd-nspawn"),
)
_BARE_METAL = ("none", "")


def is_container(kind: str) -> bool:
    """Whether KIND is a container, which shares its host's kernel."""
    return kind in _CONTAINERS


def is_machine(kind: str) -> bool:
    """Whether KIND is a virtual machine, WSL 2 among them."""
    return kind not in _BARE_METAL and not is_container(kind)
