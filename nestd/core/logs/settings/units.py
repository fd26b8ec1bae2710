# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of libvirt's daemons a host uses, as its units tell."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from nestd.host.libvirt.daemons import MONOLITHIC
from nestd.host.libvirt.interface import NoServiceManager, UnitError, UnitFacts

__all__ = ["Mode", "NoServiceManager", "UnitError", "UnitFacts", "mode"]


class Mode(Enum):
    """Whether one daemon serves all of libvirt, or each driver has its own (docs/daemons.rst)."""

    MONOLITHIC = "monolithic"
    MODULAR = "modular"
    UNKNOWN = "unknown"


def mode(units: Mapping[str, UnitFacts]) -> Mode:
    """The mode of a host with these units, by daemon: what is active decides, then what is enabled.

    The units of the two modes conflict; where both or none are in use, nothing is known.
    """
    modular = [facts for name, facts in units.items() if name != MONOLITHIC]
    monolithic = units.get(MONOLITHIC, UnitFacts())
    for one, others in (
        (monolithic.active, any(facts.active for facts in modular)),
        (monolithic.enabled, any(facts.enabled for facts in modular)),
    ):
        if one != others:
            return Mode.MONOLITHIC if one else Mode.MODULAR
    return Mode.UNKNOWN
