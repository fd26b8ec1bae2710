# SPDX-License-Identifier: LGPL-2.1-or-later
"""The changes that the crash test makes nestd perform, and the process that performs them.

The host is a directory; its simulated kernel lives in the test's process, since a kernel outlives
nestd: a request that was sent is carried out, whatever happens to the sender.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestd.core.changes.changes import Changes
from nestd.core.errors import NestdError
from nestd.core.model import JobState, When
from nestd.core.modules.view import HostView
from nestd.core.reloads import waiting
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host import fingerprint
from nestd.host.kernel.interface import KernelEvent, LoadError
from nestd.host.kernel.sysfs import ModuleFacts, read_module
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS, HostKind
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.state.records import Records


@dataclass(frozen=True)
class Scenario:
    """A request on a prepared host, and whether it can succeed."""

    name: str
    when: When
    prepare: Callable[[Path], None]
    succeeds: bool
    kind: HostKind = KINDS["intel"]
    module: str = "kvm_intel"
    parameter: str = "nested"
    also: tuple[tuple[str, str], ...] = ()  # other parameters that are part of the state

    @property
    def watched(self) -> tuple[tuple[str, str], ...]:
        """The modules and parameters that make up the state."""
        return ((self.module, self.parameter), *self.also)


def _nothing(root: Path) -> None:
    pass


def _no_load(root: Path) -> None:
    (root / "etc/modprobe.d/a.conf").write_text("install kvm_intel /bin/true\n")


def _no_file(root: Path) -> None:
    (root / "etc/modprobe.d/kvm.conf").unlink()


def _nested_at_next_load(root: Path) -> None:
    """The value that kvm_intel gets when kvm is reloaded, and kvm_intel with it."""
    (root / "etc/modprobe.d/a.conf").write_text("options kvm_intel nested=0\n")


_KVM_AND_VENDOR = (KINDS["intel"], "kvm", "enable_virt_at_load", (("kvm_intel", "nested"),))

SCENARIOS = (
    Scenario("now", When.NOW, _nothing, True),
    Scenario("now, load fails", When.NOW, _no_load, False),
    Scenario("now, no file", When.NOW, _no_file, True),
    Scenario("idle", When.IDLE, _nothing, True),
    Scenario("idle, load fails", When.IDLE, _no_load, False),
    Scenario("boot", When.BOOT, _nothing, True),
    Scenario("in place", When.NOW, _nothing, True, KINDS["power"], "kvm_hv"),
    Scenario("two modules", When.NOW, _nested_at_next_load, True, *_KVM_AND_VENDOR),
    Scenario("two modules, load fails", When.NOW, _no_load, False, *_KVM_AND_VENDOR),
    Scenario("two modules, idle", When.IDLE, _nested_at_next_load, True, *_KVM_AND_VENDOR),
)


class RemoteKernel:
    """The Kernel that the process under test sees; its requests go through a socket."""

    can_load = True

    def __init__(self, kind: HostKind, root: Root, requests: socket.socket) -> None:
        self.machine, self.release = kind.machine, kind.release
        self._kind = kind
        self._root = root
        self._requests = requests

    def nests(self) -> bool | None:
        return None

    def read_module(self, name: str) -> ModuleFacts:
        return read_module(self._root, self.release, name)

    async def parameter_types(self, name: str) -> Mapping[str, ParameterType]:
        return {key: kind for key, (kind, _) in self._kind.modules[name].parameters.items()}

    async def check_load(self, name: str) -> None:
        pass

    async def unload(self, name: str) -> None:
        number = self._ask({"do": "unload", "module": name})["errno"]
        if number:
            raise OSError(number, "refused", name)

    async def load(
        self, name: str, parameters: Sequence[tuple[str, str]] = (), *, only_these: bool = False
    ) -> None:
        reason = self._ask(
            {"do": "load", "module": name, "parameters": list(parameters), "only": only_these}
        )["reason"]
        if reason:
            raise LoadError(reason)

    def write_parameter(self, name: str, parameter: str, value: str) -> None:
        number = self._ask({"do": "write", "module": name, "set": [parameter, value]})["errno"]
        if number:
            raise OSError(number, "refused", name)

    async def wait_for_device(self, timeout: float) -> bool:
        return self._root.at("/dev/kvm").exists()

    def subscribe(self, callback: Callable[[KernelEvent], None]) -> None:
        pass

    def close(self) -> None:
        pass

    def _ask(self, request: Mapping[str, object]) -> dict[str, object]:  # type: ignore[misc]
        self._requests.send(json.dumps(request).encode())
        answer = json.loads(self._requests.recv(65536))
        assert isinstance(answer, dict)
        return answer


def report(requests: socket.socket, text: str) -> None:
    """Tell the other side how the change ended for the caller."""
    requests.send(json.dumps({"do": "report", "text": text}).encode())


def serve(kernel: SimulatedKernel, requests: socket.socket, reports: list[str]) -> bool:
    """Carry out one request; False if the other side is gone."""
    data = requests.recv(65536)
    if not data:
        return False
    request = json.loads(data)
    if request["do"] == "report":
        reports.append(request["text"])
        return True
    answer: dict[str, object] = {"errno": 0, "reason": ""}
    try:
        if request["do"] == "unload":
            asyncio.run(kernel.unload(request["module"]))
        elif request["do"] == "write":
            kernel.write_parameter(request["module"], *request["set"])
        else:
            parameters = [tuple(pair) for pair in request["parameters"]]
            asyncio.run(kernel.load(request["module"], parameters, only_these=request["only"]))
    except LoadError as error:
        answer["reason"] = str(error)
    except OSError as error:
        answer["errno"] = error.errno
    try:
        requests.send(json.dumps(answer).encode())
    except BrokenPipeError:
        return False
    return True


def request_change(
    scenario: Scenario, root: Path, requests: socket.socket, begin: Callable[[], None]
) -> str:
    """Set the parameter to 0 as a client would; returns "" or the error's name and text."""

    async def body() -> str:
        view, reloads = await _start(scenario.kind, root, requests)
        changes = Changes(view, reloads)
        begin()
        try:
            change = changes.prepare(scenario.module, {scenario.parameter: "0"}, scenario.when)
            job = await changes.apply(change, uid=0)
            await _all_jobs_ended(reloads)
            return "" if job is None or job.state is JobState.DONE else f"{job.state.value}:"
        except NestdError as error:
            return f"{type(error).__name__}: {error}"

    return asyncio.run(body())


def start_again(scenario: Scenario, root: Path, requests: socket.socket) -> str:
    """Do what nestd's next start does; returns "" or the error from recovery."""

    async def body() -> str:
        _, reloads = await _start(scenario.kind, root, requests)
        return await _all_jobs_ended(reloads)

    return asyncio.run(body())


async def _start(kind: HostKind, root: Path, requests: socket.socket) -> tuple[HostView, Reloads]:
    # One thread, so that each system call has one number.
    async def inline(function: Callable[..., object], *arguments: object) -> object:
        return function(*arguments)

    asyncio.to_thread = inline  # type: ignore[assignment]
    waiting.FIRST_PAUSE = 0.001
    # Rereading files must not depend on the clock: their names are new with each change.
    fingerprint.TICK_SECONDS = 0.0
    place = Root(root)
    view = HostView(place, RemoteKernel(kind, place, requests), KMOD, "none")
    await view.read_types()
    reloads = Reloads(view, Records(place))
    await recover(reloads)
    return view, reloads


async def _all_jobs_ended(reloads: Reloads) -> str:
    waits = [waiter.task for waiter in reloads.waiting._waiters.values() if waiter.task]
    await asyncio.wait_for(asyncio.gather(*waits), 60)
    return ""
