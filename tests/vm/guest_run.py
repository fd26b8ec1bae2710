# SPDX-License-Identifier: LGPL-2.1-or-later
"""One boot of the guest, with this checkout's wheel, that runs all tests of guest/."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import machine
import results

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
TESTS = HERE / "guest"
SHARES = CHECKOUT / ".cache" / "guest"
# Seconds from power on to power off; guest/run.sh limits single tests.
LIMIT = 40 * 60


@dataclass(frozen=True)
class GuestRun:
    """The results of a boot: outcomes by FILE::FUNCTION, how it ended, and seconds per step."""

    outcomes: Mapping[str, results.Outcome]
    ending: str
    seconds: Mapping[str, float]


def run(image: Path, more: Path | None = None, limit: float = LIMIT) -> GuestRun:
    """Boots the image and waits for the end of the tests, LIMIT seconds at most. Takes minutes.

    MORE is a directory of tests that run instead of those of guest/, with the same helpers.
    """
    share = _new_share()
    _build_wheel(share)
    (share / "systemd").mkdir()
    for path in (CHECKOUT / "systemd").glob("*"):
        shutil.copy(path, share / "systemd")
    left_out = ["__pycache__", *(["test_*.py"] if more else [])]
    shutil.copytree(TESTS, share / "tests", ignore=shutil.ignore_patterns(*left_out))
    for path in more.iterdir() if more else ():
        if path.is_file():
            shutil.copy(path, share / "tests")
    shutil.copy(CHECKOUT / "tests" / "contract.py", share / "tests")
    shutil.move(str(share / "tests" / "run.sh"), str(share))
    started = time.monotonic()
    in_time = machine.run(image, share, limit)
    seconds = {
        "boot": float((_text(share / "uptime").split() or ["nan"])[0]),
        "boot and tests": round(time.monotonic() - started, 1),
    }
    parts = [
        "The machine powered off." if in_time else f"The machine was ended after {limit:.0f} s."
    ]
    parts += [f"Its files are in {share}"]
    parts += [
        f"--- the end of {log}\n{_tail(share / log)}" for log in ("pytest.log", "console.log")
    ]
    outcomes = results.read(_text(share / "results.jsonl").splitlines())
    return GuestRun(outcomes, "\n".join(parts), seconds)


def _new_share() -> Path:
    """An empty directory, below .cache/ so that logs can be read later; few are kept."""
    SHARES.mkdir(parents=True, exist_ok=True)
    for former in sorted(SHARES.iterdir())[:-4]:
        shutil.rmtree(former)
    return Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=SHARES))


def _build_wheel(directory: Path) -> None:
    """Built from a copy: setuptools leaves build/ in its source, and later packs what is in it."""
    source = directory / "source"
    shutil.copytree(
        CHECKOUT / "nestd", source / "nestd", ignore=shutil.ignore_patterns("__pycache__")
    )
    for path in (CHECKOUT / "pyproject.toml", *CHECKOUT.glob("LICENSE"), *CHECKOUT.glob("README*")):
        shutil.copy(path, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, str(directory), str(source)], check=True)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _tail(path: Path) -> str:
    return "\n".join(_text(path).splitlines()[-40:])
