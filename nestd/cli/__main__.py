# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program nestctl: what can be said before anything is imported."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run nestctl; the exit code."""
    try:
        from nestd.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
