# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's view of this host's KVM: the newest file in its cache of QEMU capabilities."""

from __future__ import annotations

import logging
from pathlib import Path

from nestd.formats.libvirt_xml.qemu_capabilities import QemuCapabilities, parse
from nestd.formats.libvirt_xml.safe_xml import XmlError
from nestd.host.files import matching, read_regular
from nestd.host.root import Root

DIRECTORY = "/var/cache/libvirt/qemu/capabilities"

log = logging.getLogger(__name__)


def read_cache(root: Root, machine: str) -> QemuCapabilities | None:
    """libvirt's latest record of a QEMU for MACHINE; None before its first probe."""
    for path in sorted(matching(root.at(DIRECTORY), "*.xml"), key=_age):
        try:
            found = parse((read_regular(path) or b"").decode("utf-8", "replace"))
        except (OSError, XmlError) as error:
            log.debug("%s is left out: %s", path, error)
            continue
        if found.arch == machine:
            return found
    return None


def _age(path: Path) -> float:
    """A sort key that puts the newest first."""
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0
