# SPDX-License-Identifier: LGPL-2.1-or-later
"""A service with answers that the contract allows, but that no simulated host can give.

It uses the real bus floor and the real interface files. A Script defines its answers.

with scripted_nestd(address, Script(findings=[...])):
    nestctl(address, "validate")
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract import contract

from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.dbus.objects.exported import Handler, Interface
from nestd.dbus.objects.tree import ObjectTree
from nestd.dbus.values import Call, Variant
from nestd.formats.api.names import BUS_NAME, MANAGER_PATH

_SECONDS = 20
OWN = "org.nestd1.Error."
LOG = f"{MANAGER_PATH}/log/virtqemud"
MODULE = f"{MANAGER_PATH}/module/kvm_intel"


@dataclass
class Script:
    """The answers. "failures" are raised by the methods of those names."""

    findings: Sequence[tuple[str, str, str, str]] = ()
    ready: bool = True
    machines: Sequence[tuple[int, str, str, str]] = ()
    machines_known: bool = True
    guests: Sequence[Mapping[str, Any]] = ()  # nested_runs grows with each call
    vendor: str = "intel"
    state: str = "in-sync"
    nested: str = "yes"
    nested_next: str = "yes"
    availability: str = "loadable"
    archive: bytes = b""
    archive_pause: float = 0.0  # seconds of delay before each 64 KiB of it
    blockers: Sequence[tuple[str, str, int, str]] = ()
    failures: Mapping[str, BusError] = field(default_factory=dict)
    before: Mapping[str, Callable[[], None]] = field(default_factory=dict)  # the service answers
    log_file: Path = Path("/nonexistent")
    filters: str = "3:remote"
    calls: list[Call] = field(default_factory=list)

    def calls_of(self, member: str) -> list[Call]:
        return [each for each in self.calls if each.member == member]


class _Scripted(Interface):
    """An interface; its methods record their calls, and fail if the script says so."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def methods(self) -> Mapping[str, Handler]:
        return dict.fromkeys(self.spec.methods, self._answer)

    async def _answer(self, call: Call) -> Sequence[object]:
        self.script.calls.append(call)
        if call.member in self.script.before:
            await asyncio.to_thread(self.script.before[call.member])
        if call.member in self.script.failures:
            raise self.script.failures[call.member]
        return list(self.answer(call))

    def answer(self, call: Call) -> Sequence[object]:
        raise BusError(OWN + "NotSupported", f"This version does not do {call.member}.")


class _Manager(_Scripted):
    spec = contract("org.nestd1.Manager")

    def properties(self) -> Mapping[str, object]:
        return {
            "Version": "1.2.3",
            "Vendor": self.script.vendor,
            "HostModule": MODULE,
            "HostVirtualization": "kvm",
            "MachineCount": len(self.script.machines),
            "MachinesKnown": self.script.machines_known,
        }

    def answer(self, call: Call) -> Sequence[object]:
        script = self.script
        if call.member == "GetModule":
            return [MODULE]
        if call.member == "GetLogDaemon":
            if call.args[0] != "virtqemud":
                raise BusError(OWN + "Missing", f"There is no daemon {call.args[0]}.")
            return [LOG]
        if call.member == "CollectLogs":
            return [_pipe_of(script.archive, script.archive_pause)]
        answers: dict[str, Sequence[object]] = {
            "ListMachines": [script.machines],
            "ListInhibitors": [[]],
            "ListGuests": [self._guests()],
            "Validate": [script.findings],
            "CheckGuest": [script.ready, script.findings],
            "Describe": ["{}"],
        }
        return answers[call.member] if call.member in answers else super().answer(call)

    def _guests(self) -> list[dict[str, Variant]]:
        types = {"pid": "u", "nested_runs": "t"}
        calls = len(self.script.calls_of("ListGuests"))
        return [
            {
                key: Variant(types.get(key, "s"), value * calls if key == "nested_runs" else value)
                for key, value in guest.items()
            }
            for guest in self.script.guests
        ]


def _pipe_of(data: bytes, pause: float) -> int:
    """The read end of a pipe; a thread writes DATA to it."""
    reader, writer = os.pipe()

    def send() -> None:
        with suppress(BrokenPipeError), open(writer, "wb") as pipe:
            for start in range(0, len(data), 1 << 16):
                time.sleep(pause)
                pipe.write(data[start : start + (1 << 16)])

    threading.Thread(target=send, daemon=True).start()
    return reader


class _Module(_Scripted):
    spec = contract("org.nestd1.Module")

    def properties(self) -> Mapping[str, object]:
        script = self.script
        return {
            "Name": "kvm_intel",
            "Availability": script.availability,
            "Loaded": True,
            "RefCount": 0,
            "Parameters": {"nested": "Y"},
            "Configured": {},
            "Assignments": [],
            "Nested": script.nested,
            "NestedConfigured": "unset",
            "NestedNext": script.nested_next,
            "State": script.state,
        }

    def answer(self, call: Call) -> Sequence[object]:
        answers: dict[str, Sequence[object]] = {
            "ListBlockers": [self.script.blockers],
            "Plan": [
                {
                    "warnings": Variant("as", []),
                    "blockers": Variant("a(ssus)", self.script.blockers),
                }
            ],
            "SetNested": ["/"],
            "SetParameters": ["/"],
        }
        return answers[call.member] if call.member in answers else super().answer(call)


class _LogDaemon(_Scripted):
    """One libvirt daemon. Its debug sessions write to script.log_file, quickly at first."""

    spec = contract("org.nestd1.LogDaemon")

    def __init__(self, script: Script, tree: ObjectTree) -> None:
        super().__init__(script)
        self._tree = tree
        self._until = 0
        self._task: asyncio.Task[None] | None = None

    def properties(self) -> Mapping[str, object]:
        return {
            "Name": "virtqemud",
            "ConfigFile": "/etc/libvirt/virtqemud.conf",
            "Active": True,
            "Filters": self.script.filters,
            "Outputs": "",
            "Level": 0,
            "OverriddenBy": "",
            "DebugUntil": self._until,
            "ConfigError": "",
        }

    def answer(self, call: Call) -> Sequence[object]:
        outputs = f"1:file:{self.script.log_file}" if self._until else ""
        if call.member == "GetRunning":
            return [self.script.filters, outputs]
        if call.member == "CheckFilters":
            return [call.args[0], ["1:nosuch matches no known category of libvirt"]]
        if call.member == "SetFilters":
            self.script.filters = str(call.args[0])
            self._tree.refresh()
            return []
        if call.member == "StartDebug":
            self._task = asyncio.ensure_future(self._session(int(str(call.args[1]))))
            return []
        if call.member == "StopDebug":
            self._end()
            return []
        return super().answer(call)

    async def _session(self, seconds: int) -> None:
        self._until = int((time.time() + seconds) * 1e6)
        self._tree.refresh()
        with self.script.log_file.open("ab", buffering=0) as file:
            for _ in range(seconds):
                file.write(b"x" * 1_500_000)
                await asyncio.sleep(1)
        self._end()

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._until = 0
        self._tree.refresh()


@contextmanager
def scripted_nestd(address: str, script: Script) -> Iterator[Script]:
    """Run it in a separate thread; it is ready when it owns its name."""
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        connection = await Connection.connect(address)
        tree = ObjectTree(connection)
        tree.export(MANAGER_PATH, [_Manager(script)])
        tree.export(MODULE, [_Module(script)])
        tree.export(LOG, [_LogDaemon(script, tree)])
        assert await connection.request_name(BUS_NAME)
        ready.set()
        await asyncio.to_thread(stop.wait)
        await connection.release_name(BUS_NAME)
        connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(_SECONDS)
    try:
        yield script
    finally:
        stop.set()
        thread.join(_SECONDS)
