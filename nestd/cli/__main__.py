# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program nestctl: what it can answer before it imports anything."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run nestctl; returns the exit code."""
    try:
        from nestd.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
