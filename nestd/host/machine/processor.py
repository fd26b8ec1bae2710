# SPDX-License-Identifier: LGPL-2.1-or-later
"""The processor as the kernel describes it in /proc/cpuinfo."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from nestd.host.files import open_regular
from nestd.host.root import Root

PATH = "/proc/cpuinfo"


@dataclass(frozen=True)
class Processor:
    """The first processor; all fields are empty if /proc/cpuinfo cannot be read.

    flags are x86's "flags" or s390x's "features"; mmu and platform are POWER's ("Radix" or "Hash",
    "PowerNV" or "pSeries"); facilities are s390x's (none if the kernel is too old to list them).
    """

    vendor: str = ""  # x86: "GenuineIntel", "AuthenticAMD" ...; s390x: "IBM/S390"
    model: str = ""  # POWER: "POWER9 (raw), altivec supported"; x86: the model name
    flags: frozenset[str] = frozenset()
    mmu: str = ""
    platform: str = ""
    facilities: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """Whether anything is known about it."""
        return self != Processor()


def read_processor(root: Root) -> Processor:
    """Read it. Blocks: each read makes the kernel generate some KB for each processor."""
    first: dict[str, str] = {}
    try:
        with open_regular(root.at(PATH)) or io.BytesIO() as file:
            for line in file:
                key, separator, value = line.decode("ascii", "replace").partition(":")
                if separator:
                    first.setdefault(key.strip(), value.strip())
    except OSError:
        return Processor()
    return _processor(first)


def _processor(fields: Mapping[str, str]) -> Processor:
    return Processor(
        vendor=fields.get("vendor_id", ""),
        model=fields.get("cpu", "") or fields.get("model name", ""),
        flags=frozenset((fields.get("flags") or fields.get("features", "")).split()),
        mmu=fields.get("MMU", ""),
        platform=fields.get("platform", ""),
        facilities=frozenset(fields.get("facilities", "").split()),
    )
