# SPDX-License-Identifier: LGPL-2.1-or-later
"""The filter arguments of nestctl log set and debug: literal, by preset, or none."""

from __future__ import annotations

from argparse import Namespace

from nestd.cli.invocation.parser import Parser
from nestd.cli.service.errors import CliError, Exit
from nestd.formats.libvirt.log_presets import PRESETS, preset


def add_filters(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "filters", nargs="*", metavar="FILTER", help="LEVEL:CATEGORY, for example 1:qemu"
    )
    names = [each.name for each in PRESETS]
    help_ = f"filters by name: {', '.join(names)}"
    parser.add_argument("--preset", choices=names, metavar="NAME", help=help_)
    parser.add_argument("--clear", action="store_true", help="no filters")
    help_ = "where to, for example 1:file:/var/log/libvirt/debug.log"
    parser.add_argument("--outputs", metavar="OUTPUTS", help=help_)


def chosen_filters(chosen: Namespace) -> str | None:
    """The requested filters; None if none were given. Raises CliError."""
    given = [bool(chosen.filters), chosen.preset is not None, chosen.clear]
    if sum(given) > 1:
        raise CliError("Give filters, or --preset, or --clear: only one of them.", code=Exit.USAGE)
    if chosen.preset is not None:
        return preset(chosen.preset).filters
    return " ".join(chosen.filters) if any(given) else None
