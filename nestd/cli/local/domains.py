# SPDX-License-Identifier: LGPL-2.1-or-later
"""The domains of libvirt's system daemon, and operations on one.

Domains are addressed by UUID: a name may be a number, or change.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nestd.cli.local.virsh import VirshError, VirshTimeout, virsh

RUNNING, PAUSED, SHUT_OFF = "running", "paused", "shut off"
_PIDS = Path("/run/libvirt/qemu")  # has NAME.pid of running domains
_AT_ONCE = 50  # domains per call of virsh
_LONG_SECONDS = 24 * 3600.0  # in effect no limit: a large guest on a slow disk takes long


class Domain(NamedTuple):
    """One domain; state in virsh's words; pid is its QEMU's, 0 if it does not run."""

    uuid: str
    name: str
    state: str
    persistent: bool
    managed_save: bool
    pid: int


class Domains:
    """libvirt's system daemon, through virsh. Every method raises VirshError."""

    async def all(self) -> list[Domain]:
        """All domains, including those that are off."""
        uuids = (await virsh("list", "--all", "--uuid")).split()
        return await self.these(uuids)

    async def these(self, uuids: Sequence[str]) -> list[Domain]:
        """The domains of UUIDS that still exist."""
        found: list[Domain] = []
        for start in range(0, len(uuids), _AT_ONCE):
            some = uuids[start : start + _AT_ONCE]
            try:
                text = await virsh("; ".join(f"dominfo {each}" for each in some))
                found += _domains(text.splitlines())
            except VirshError:  # one of them was undefined in the meantime
                found += [one for each in some for one in await self._one(each)]
        return found

    async def _one(self, uuid: str) -> Iterable[Domain]:
        try:
            return _domains((await virsh("dominfo", uuid)).splitlines())
        except VirshError as error:
            if "failed to get domain" in error.reason:
                return ()
            raise

    async def reason(self, uuid: str) -> tuple[str, str]:
        """The state and its reason, such as ("running", "restored")."""
        state, _, reason = (await virsh("domstate", "--reason", uuid)).strip().partition(" (")
        return state, reason.rstrip(")")

    async def definition(self, uuid: str) -> str:
        """The XML for the next start, including passwords."""
        return await virsh("dumpxml", "--inactive", "--security-info", uuid)

    async def live(self, uuid: str) -> str:
        """The XML of the running guest."""
        return await virsh("dumpxml", uuid)

    async def define(self, xml: str) -> None:
        """Replace the definition after a check against libvirt's schema."""
        with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as file:
            file.write(xml)  # its mode is 0600
            file.flush()
            await virsh("define", "--validate", file.name)

    async def save(self, uuid: str, seconds: float) -> None:
        """Save the state to disk and stop the guest. Raises VirshTimeout after SECONDS.

        The guest then continues to run, unless the save ended at that moment.
        """
        try:
            await virsh("managedsave", uuid, "--running", timeout=seconds)
        except VirshTimeout:
            with contextlib.suppress(VirshError):  # the save may not have begun, or have just ended
                await virsh("domjobabort", uuid)
            raise

    async def is_busy(self, uuid: str) -> bool:
        """Whether libvirt is busy with it, such as saving it, or has just stopped it."""
        try:
            return "None" not in await virsh("domjobinfo", uuid)
        except VirshError:
            return True

    async def shut_down(self, uuid: str) -> None:
        """Press the guest's power button (ACPI)."""
        await virsh("shutdown", uuid, "--mode", "acpi")

    async def start(self, uuid: str) -> None:
        """Start it, from its saved state if there is one."""
        await virsh("start", uuid, timeout=_LONG_SECONDS)


def _domains(lines: Sequence[str]) -> Iterator[Domain]:
    """Parse the output of virsh dominfo, in which each block begins with Id."""
    starts = [index for index, line in enumerate(lines) if line.startswith("Id:")]
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        pairs = (line.partition(":") for line in lines[start:end])
        facts = {key: value.strip() for key, colon, value in pairs if colon}
        name = facts["Name"]
        yield Domain(
            uuid=facts["UUID"],
            name=name,
            state=facts["State"],
            persistent=facts["Persistent"] == "yes",
            managed_save=facts["Managed save"] == "yes",
            pid=_pid(name),
        )


def _pid(name: str) -> int:
    try:
        return int((_PIDS / f"{name}.pid").read_text("ascii"))
    except (OSError, ValueError):
        return 0
