# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's options; see nestd(8)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nestd.formats.simulation import Simulation


class Options(NamedTuple):
    """The values of the command line; None for options not given."""

    bus: str | None = None
    root: Path | None = None
    simulate: Simulation | None = None
    log_level: str = "info"
