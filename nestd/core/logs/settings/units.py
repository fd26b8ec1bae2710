# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of libvirt's daemons a host uses, judged by its units."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from nestd.host.libvirt.daemons import MONOLITHIC
from nestd.host.libvirt.interface import NoServiceManager, UnitError, UnitFacts

__all__ = ["Mode", "NoServiceManager", "UnitError", "UnitFacts", "mode"]


class Mode(Enum):
    """One daemon for all of libvirt, or one per driver (docs/daemons.rst)."""

    MONOLITHIC = "monolithic"
    MODULAR = "modular"
    UNKNOWN = "unknown"


def mode(units: Mapping[str, UnitFacts]) -> Mode:
    """The mode of a host with UNITS, by daemon; active units decide, then enabled ones.

    The units of the two modes conflict; if both or neither are in use, the mode is unknown.
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
