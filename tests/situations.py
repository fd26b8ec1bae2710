# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated hosts for the checks, with some of their files written, replaced or removed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Union

from nestd.core.checks.finding import Finding
from nestd.core.checks.host.validate import validate
from nestd.core.checks.situation import Situation
from nestd.core.modules.view import HostView
from nestd.host.machine.surroundings import read_surroundings
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS, HostKind
from nestd.host.simulated.kernel import KMOD, SimulatedKernel

KVM_CONF = "/etc/modprobe.d/kvm.conf"
X86_RELEASE = KINDS["intel"].release
INTEL_NESTED = "/sys/module/kvm_intel/parameters/nested"
AMD_NESTED = "/sys/module/kvm_amd/parameters/nested"
S390_NESTED = "/sys/module/kvm/parameters/nested"

# The path of a file (None: removed) or of a directory that is removed.
Files = Mapping[str, Union[str, bytes, None]]

ARM = HostKind(
    name="arm",
    machine="aarch64",
    release="6.12.0-55.el10.aarch64",
    cpuinfo="processor\t: 0\nFeatures\t: fp asimd\n",
    kvm_conf=b"",
    system="rhel 10.0",
    loaded=(),
    modules={},
)


def make_situation(
    directory: Path,
    kind: str = "intel",
    files: Files | None = None,
    *,
    release: str = "",
    virtualization: str = "none",
    kmod_problem: str = "",
    **around: Any,
) -> Situation:
    """The situation of a simulated host, in a fresh directory below DIRECTORY.

    AROUND replaces fields of its Surroundings.
    """
    root = Root(directory / "root")
    host = ARM if kind == "arm" else KINDS[kind]
    host = replace(host, release=release or host.release)
    given = files or {}
    _write(root, {path: data for path, data in given.items() if not path.startswith("/sys/")})
    kernel = SimulatedKernel(root, host)
    # Files that the simulated kernel created, and files that install() put in removed places.
    _write(root, given)

    async def look() -> Situation:
        view = HostView(root, kernel, KMOD, virtualization, kmod_problem)
        await view.read_types()
        snapshot = view.snapshot()
        found = await read_surroundings(root, host.machine, host.release, snapshot.host_module)
        return Situation(view.facts(), snapshot, replace(found, **around))

    return asyncio.run(look())


def findings(situation: Situation) -> dict[str, Finding]:
    """The findings of Validate for it, by id."""
    found = validate(situation)
    by_id = {finding.id: finding for finding in found}
    assert len(by_id) == len(found), "two findings have the same id"
    return by_id


def _write(root: Root, files: Files) -> None:
    for path, data in files.items():
        place = root.at(path)
        if data is None and place.is_dir():
            shutil.rmtree(place)
        elif data is None:
            place.unlink(missing_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.write_bytes(data.encode() if isinstance(data, str) else data)
