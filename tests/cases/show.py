# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the answers of the cases with a given word in their name; see README.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from case import CASES, host_of, read_answer, run
from private_bus import private_bus


def show(pattern: str) -> None:
    with private_bus("dbus-daemon") as bus:
        for case in [case for case in CASES if pattern in case.name]:
            print(f"===== {case.name}\n{(case / 'answer.txt').read_text()}")
            with (
                tempfile.TemporaryDirectory() as directory,
                host_of(case, bus.address, Path(directory)) as nestd,
            ):
                for step in read_answer((case / "answer.txt").read_text()).steps:
                    output, code = run(case, nestd, step.command)
                    print(f"$ {step.command}\n{output}[{code}]")


if __name__ == "__main__":
    show(sys.argv[1] if len(sys.argv) > 1 else "")
