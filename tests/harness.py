# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the tiers and summarizes them: the part of tests/run that is written in Python.

The unit tier runs on every Python found, from 3.9 on: all of it on the newest; on the oldest
without the comparisons of texts and formats with other programs, which do not depend on the Python
version; on those in between only tests/unit. The other tiers run in parallel to it, one after the
other, on the newest Python. Reports and logs are written to .cache/tests/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import interpreters
import summary
import tiers

CHECKOUT = Path(__file__).resolve().parent.parent
REPORTS = CHECKOUT / ".cache" / "tests"
# Seconds for one run of pytest.
LIMIT = 45 * 60
ON_OLDEST = ("tests/unit", "tests/host", "tests/bus", "tests/system")


@dataclass(frozen=True)
class Run:
    """One run of pytest: a tier on one Python, limited to tests below some directories."""

    tier: str
    python: interpreters.Python
    directories: tuple[str, ...] = ("tests",)

    @property
    def name(self) -> str:
        return f"{self.tier} {self.python.version}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs the tests.")
    names = ", ".join(tiers.TIERS)
    parser.add_argument("tier", nargs="*", help=f"which tiers, of {names}")
    parser.add_argument(
        "--all",
        action="store_true",
        help="every tier, and all that else only a sample is taken of; takes hours",
    )
    arguments = parser.parse_args()
    if arguments.all:
        os.environ["NESTD_TEST_ALL"] = "1"
    usual = [name for name, tier in tiers.TIERS.items() if tier.by_default or arguments.all]
    chosen = arguments.tier or usual
    if not set(chosen) <= set(tiers.TIERS):
        parser.error(f"the tiers are: {names}")

    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    _install_packages(chosen)
    pythons = interpreters.find()
    print("Python", ", ".join(python.version for python in pythons), flush=True)

    # Two at a time, since a machine of the vm tier keeps one processor busy for minutes.
    with ThreadPoolExecutor() as beside:
        pythons[-1].make_venv(CHECKOUT, [name for tier in chosen for name in tiers.TIERS[tier].pip])
        slow = beside.submit(_run_slow, [tier for tier in chosen if tier != "unit"], pythons[-1])
        rows = _run_unit(pythons) if "unit" in chosen else []
        rows += slow.result()
    print(summary.show(rows))
    return 1 if any(row.failed for row in rows) else 0


def _install_packages(chosen: Sequence[str]) -> None:
    if shutil.which("apt-get"):
        install = ["apt-get", "install", "-qq", "--no-install-recommends"]
        names = tiers.packages(chosen, "debian")
    elif shutil.which("dnf"):
        install = ["dnf", "install", "--quiet", "--assumeyes"]
        names = tiers.packages(chosen, "fedora")
    else:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # All at once; if one cannot be installed, the others still are: the tests name what is missing.
    if subprocess.run([*install, *names], stdout=subprocess.DEVNULL, env=environment).returncode:
        for name in names:
            subprocess.run([*install, name], stdout=subprocess.DEVNULL, env=environment)


def _run_unit(pythons: Sequence[interpreters.Python]) -> list[summary.Row]:
    rows = []
    for python in pythons:
        python.make_venv(CHECKOUT)
        rows.append(_run(Run("unit", python, _directories(python, pythons)), live=True))
    return rows


def _directories(
    python: interpreters.Python, pythons: Sequence[interpreters.Python]
) -> tuple[str, ...]:
    if python == pythons[-1]:
        return ("tests",)
    return ON_OLDEST if python == pythons[0] else ("tests/unit",)


def _run_slow(chosen: Sequence[str], python: interpreters.Python) -> list[summary.Row]:
    return [_run(Run(tier, python)) for tier in chosen]


def _run(run: Run, live: bool = False) -> summary.Row:
    """Runs pytest; shows its output immediately if live, otherwise in one piece at the end."""
    report = REPORTS / f"{run.name}.xml"
    python = str(run.python.venv(CHECKOUT) / "bin" / "python")
    command = [python, "-m", "pytest", "--tier", run.tier, f"--junitxml={report}", *run.directories]
    print(f"=== {run.name}", flush=True)
    started = time.monotonic()
    with open(REPORTS / f"{run.name}.log", "wb") as log:
        # In its own session, so that its machines and buses end with it at the time limit.
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            stdout=None if live else log,
            stderr=None if live else subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
    if not live:
        print((REPORTS / f"{run.name}.log").read_text(errors="replace"), flush=True)
    return summary.read(run.name, report, status, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
