# SPDX-License-Identifier: LGPL-2.1-or-later
"""Named log filters: exactly those that libvirt's guide to debug logs recommends.

The source is libvirt's docs/kbase/debuglogs.rst; "sample" is from the comments of libvirtd.conf.
The guide's settings for versions before 4.4.0, which need log_level = 1, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Filters for a purpose."""

    name: str
    filters: str  # as log_filters.parse_strict() takes them
    purpose: str


PRESETS = (
    Preset(
        "qemu",
        "1:libvirt 1:qemu 1:conf 1:security 3:event 3:json 3:file 3:object 1:util",
        "trouble with a QEMU virtual machine, without the noisiest parts",
    ),
    Preset(
        "all-less-noise",
        "3:remote 4:event 3:util.json 3:util.object 3:util.dbus 3:util.netlink 3:node_device 3:rpc"
        " 3:access 1:*",
        "everything but the parts that are noisy and seldom to blame",
    ),
    Preset("qmp", "2:qemu.qemu_monitor 3:*", "what libvirt and QEMU say to each other, alone"),
    Preset(
        "all",
        "3:remote 4:event 3:util.json 3:rpc 1:*",
        "everything but RPC, events and JSON: what the guide sets for good",
    ),
    Preset(
        "all-with-events",
        "3:remote 4:util.json 4:rpc 1:*",
        "everything but RPC and JSON: what the guide sets at run time",
    ),
    Preset(
        "drivers",
        "1:util 1:libvirt 1:storage 1:network 1:nodedev 1:qemu",
        "the parts that manage machines, storage, networks and devices",
    ),
    Preset(
        "sample",
        "1:qemu 1:libvirt 4:object 4:json 4:event 1:util",
        "the example in the comments of libvirtd.conf",
    ),
)


def preset(name: str) -> Preset:
    """The preset of that name. Raises KeyError."""
    for known in PRESETS:
        if known.name == name:
            return known
    raise KeyError(name)
