# SPDX-License-Identifier: LGPL-2.1-or-later
"""The current state of the host, read again at every hint of a change.

Data flows one way: an event is only a hint, the facts are read again, a Snapshot is derived from
them, and listeners compare it with their last one. Events never modify the state directly.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Set
from typing import Callable

from nestd.core.errors import InvalidArgument
from nestd.core.hidden import Hidden
from nestd.core.model import Machine, Snapshot
from nestd.core.modules.derive import derive
from nestd.core.modules.facts import HostFacts, RestOfHost, with_nested
from nestd.core.modules.machine_count import MachineCount
from nestd.core.modules.vendors import modules_of
from nestd.core.modules.wording import no_module
from nestd.core.shared_work import SharedLook
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.kernel import kvm_holders
from nestd.host.kernel.interface import Kernel, KernelEvent
from nestd.host.kernel.kvm_holders import KvmHolder
from nestd.host.kernel.sysfs import (
    Availability,
    has_device,
    installed_modules,
    modules_disabled,
    needed_modules,
    other_providers,
    read_lists,
)
from nestd.host.libvirt import domains as libvirt_domains
from nestd.host.machine.boot_setup import read_boot_setup
from nestd.host.machine.detect_virt import cpu_flags
from nestd.host.modprobe.config import read_cmdline
from nestd.host.modprobe.watch import ConfigWatch, Look
from nestd.host.root import Root

SETTLE_SECONDS = 0.01  # events come in bursts; one look serves the burst
MOST_READS = 5  # maximum reads of files that keep changing, before they are taken as they are
TRANSIENT_SECONDS = 0.05  # until a module in transit is read again


class HostView:
    """nestd's knowledge of the host, on the running event loop. Call start() first.

    KMOD_PROBLEM is why modprobe gave no version; KMOD is then a guess.
    """

    def __init__(
        self, root: Root, kernel: Kernel, kmod: int, virtualization: str, kmod_problem: str = ""
    ) -> None:
        self.root = root
        self.kernel = kernel
        self.kmod = kmod
        self._kmod_problem = kmod_problem
        self.modules = modules_of(kernel.machine)
        self._virtualization = virtualization
        self._flags = cpu_flags(root)
        # The running kernel's command line never changes.
        self._cmdline = read_cmdline(root) if root.is_this_machine else None
        self._types: Mapping[str, Mapping[str, ParameterType]] = {}
        self._config = ConfigWatch(root, kmod)
        self._files = SharedLook(self._read_files)
        self._notifying: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._snapshot: Snapshot | None = None
        self._facts: HostFacts | None = None  # of this event loop iteration
        self._last: tuple[HostFacts, int, Snapshot] | None = None  # with the machine count
        self._scan = SharedLook(lambda: kvm_holders.scan(root, libvirt_domains.names_by_pid(root)))
        self.machines_known = kvm_holders.may_see_all(root)
        self.hidden = Hidden(root)
        self.machine_count = MachineCount(root, self._notify_soon)
        self._listeners: list[Callable[[], None]] = []
        self._look: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start listening, then read what events do not report. Machines are counted later."""
        self.kernel.subscribe(self._on_event)
        self._config.watch(self._notify_soon)
        await self.read_types()

    def close(self) -> None:
        """Stop listening."""
        self.kernel.close()
        self._config.close()
        self.machine_count.close()
        for pending in (self._look, self._notifying):
            if pending is not None:
                pending.cancel()

    def listen(self, callback: Callable[[], None]) -> None:
        """Call CALLBACK after each burst of hints."""
        self._listeners.append(callback)

    def facts(self) -> HostFacts:
        """All facts as of now, except that files on disk are as of the last settled()."""
        config, own, boot_loads = self._config.known
        needs = {name: self._needs(name) for name in self.modules}
        others = {other for needed in needs.values() for other in needed}.difference(self.modules)
        root, release = self.root, self.kernel.release
        return HostFacts(
            machine=self.kernel.machine,
            release=self.kernel.release,
            kmod=self.kmod,
            kmod_problem=self._kmod_problem,
            modules={name: self.kernel.read_module(name) for name in self.modules},
            types=self._types,
            own=own,
            files=config.files,
            cmdline=read_cmdline(root) if self._cmdline is None else self._cmdline,
            problems=config.problems,
            stopping=config.stopping,
            needs=needs,
            needed={name: self.kernel.read_module(name) for name in sorted(others)},
            private=config.private,
            ignored=config.ignored,
            boot_loads=boot_loads,
            kvm_nests=self.kernel.nests(),
            rest=RestOfHost(
                modules_disabled=lambda: modules_disabled(root),
                installed=self._installed,
                other_providers=lambda: other_providers(root, self.modules),
                has_device=lambda: has_device(root),
                boot_setup=lambda: read_boot_setup(root, release),
            ),
        )

    def module_name(self, name: str) -> str:
        """NAME in the kernel's spelling. Raises InvalidArgument if it is no KVM module here."""
        spelled = name.replace("-", "_")
        if spelled not in self.modules:
            raise InvalidArgument(no_module(name, self.modules, self.kernel.machine))
        return spelled

    def shared_facts(self) -> HostFacts:
        """The facts for readers: one look at the host serves an event loop iteration."""
        if self._facts is None:
            self._facts = self.facts()
            self._loop.call_soon(self._forget)
        return self._facts

    def snapshot(self) -> Snapshot:
        """The state in this event loop iteration."""
        if self._snapshot is None:
            facts, count = self.shared_facts(), self.machine_count.value
            if self._last is None or count != self._last[1] or not facts.is_as(self._last[0]):
                self._last = facts, count, self.derived(facts)
            self._snapshot = self._last[2]
        return self._snapshot

    def derived(self, facts: HostFacts) -> Snapshot:
        """The state derived from FACTS."""
        return derive(facts, self._flags, self._virtualization, self.machine_count.value)

    async def read_types(self) -> None:
        """Read the unknown declarations of the modules' files, which may be installed later."""
        wanted = {*self.modules, *(other for name in self.modules for other in self._needs(name))}
        unknown = [name for name in sorted(wanted) if not self._knows(name) and self._has(name)]
        found = await asyncio.gather(*map(self.kernel.parameter_types, unknown))
        self._types = {**self._types, **dict(zip(unknown, found))}

    def types(self) -> Mapping[str, Mapping[str, ParameterType]]:
        """The known parameter types of each module; does not access the host."""
        machine = self.kernel.machine
        return {
            name: with_nested(machine, name, self._types.get(name, {})) for name in self.modules
        }

    def _knows(self, module: str) -> bool:
        """Whether MODULE's types are known: KVM's modules all have parameters, others may not."""
        return bool(self._types.get(module)) if module in self.modules else module in self._types

    def _needs(self, module: str) -> tuple[str, ...]:
        try:
            return needed_modules(self.root, self.kernel.release, module)
        except OSError:
            return ()  # read_module() reads the same list and reports the error

    def _installed(self) -> Set[str]:
        try:
            return installed_modules(self.root, self.kernel.release)
        except OSError:
            return frozenset()

    def _has(self, module: str) -> bool:
        return self.kernel.read_module(module).availability is not Availability.MISSING

    async def holders(self) -> tuple[KvmHolder, ...]:
        """The processes that use KVM now."""
        return await self._scan()

    async def machines(self) -> tuple[Machine, ...]:
        """The virtual machines that run now."""
        return tuple(
            Machine(holder.pid, holder.guest or holder.executable, holder.executable, holder.unit)
            for holder in await self.holders()
            if holder.machine
        )

    @property
    def is_settled(self) -> bool:
        """Whether the files are unchanged since facts() and snapshot() read them."""
        return self._config.is_current

    async def settled(self) -> None:
        """Read the files in a worker thread if something may have changed.

        Call it before an answer or a decision uses facts(), so that no disk blocks the event loop.
        """
        for _ in range(MOST_READS):
            if self.is_settled:
                return
            self._config.take(await self._files())
            self._forget()

    def _read_files(self) -> Look:
        look = self._config.look()
        with contextlib.suppress(OSError):  # read_module() reports it
            read_lists(self.root, self.kernel.release, self.modules)
        return look

    def config_changed(self) -> None:
        """Read modprobe.d again at the next look, since it may have changed."""
        if not self._config.is_watched:
            self._config.forget()
        self._forget()
        self._notify_soon()

    def _forget(self) -> None:
        self._snapshot = self._facts = None

    def _on_event(self, event: KernelEvent) -> None:
        self.machine_count.on_event(event)
        self._notify_soon()

    def _notify_soon(self, delay: float = SETTLE_SECONDS) -> None:
        self._forget()
        if self._look is None:
            self._look = self._loop.call_later(delay, self._notify)

    def _notify(self) -> None:
        self._look = None
        if self.is_settled:
            self._notify_listeners()
        elif self._notifying is None or self._notifying.done():
            self._notifying = asyncio.create_task(self._notify_after_reading())
        else:  # the read in progress may be older than this hint
            self._notify_soon()

    async def _notify_after_reading(self) -> None:
        await self.settled()
        self._notify_listeners()

    def _notify_listeners(self) -> None:
        for listener in self._listeners:
            listener()
        if any(module.in_transit for module in self.shared_facts().modules.values()):
            self._notify_soon(TRANSIENT_SECONDS)
