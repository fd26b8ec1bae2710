# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's command line; see nestd(8)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from nestd import __version__
from nestd.daemon.logs import LEVELS
from nestd.daemon.options import Options
from nestd.formats.simulate_option import ListingRequested, SimulateOption


def parse(arguments: Sequence[str]) -> Options:
    """Parse the command line. For a wrong one exits with status 2 and a sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="nestd",
        allow_abbrev=False,
        description="D-Bus service for nested virtualization and libvirt debug logs on a KVM host.",
    )
    parser.add_argument("--bus", metavar="ADDRESS", help="the bus to serve (default: system bus)")
    parser.add_argument("--root", metavar="DIR", type=Path, help="take every path below DIR")
    parser.add_argument(
        "--simulate",
        metavar="KIND[,SITUATION...]",
        action=SimulateOption,
        help="serve a simulated host; 'help' lists kinds and situations",
    )
    parser.add_argument("--log-level", choices=tuple(LEVELS), default=Options().log_level)
    parser.add_argument("--version", action="version", version=f"nestd {__version__}")
    try:
        found = parser.parse_args(arguments)
    except ListingRequested as listing:
        print(listing, end="")
        parser.exit()
    if found.root is not None and not found.simulate and not found.root.is_dir():
        parser.error(f"--root: {found.root} is not a directory")
    if found.simulate and found.root is not None and _is_this_machine(found.root):
        parser.error(f"--root: {found.root} is this machine itself, no place for a simulated one")
    return Options(found.bus, found.root, found.simulate, found.log_level)


def _is_this_machine(root: Path) -> bool:
    """Whether ROOT resolves to "/", through links or a mount; it need not exist."""
    try:
        return os.path.samefile(root, "/")
    except OSError:
        return os.path.realpath(root) == "/"
