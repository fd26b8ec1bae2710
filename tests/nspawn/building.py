# SPDX-License-Identifier: LGPL-2.1-or-later
"""This checkout's packages, built by packaging/build.py in a root."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from container import Overlay

CHECKOUT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("build", CHECKOUT / "packaging" / "build.py")
assert _spec is not None
assert _spec.loader is not None
_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_build)


def add_dbus_next(directory: Path) -> None:
    """Downloads the source of dbus-next from PyPI to that place: a root has no network."""
    _build.add_dbus_next(directory, None)


def build_package(root: Overlay, directory: str, kind: str, dbus_next: Path, *options: str) -> None:
    """Builds packages in ROOT; DIRECTORY is a path in it, DBUS_NEXT is that of add_dbus_next()."""
    # Without the Cockpit page, which the tier "cockpit" builds.
    command = ["/src/packaging/build.py", kind, directory, "--no-page", *options]
    command += [f"--dbus-next=/dbus-next/{_build.DBUS_NEXT}"] if kind == "rpm" else []
    root.run(*command, binds=(f"{CHECKOUT}:/src", f"{dbus_next}:/dbus-next"))
