# SPDX-License-Identifier: LGPL-2.1-or-later
"""Collects facts about all running virtual machines. Blocks for some ms: use a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nestd.formats.libvirt_xml.domain_xml import Domain
from nestd.host.guests import processes
from nestd.host.guests.live_domains import LiveDomains
from nestd.host.guests.nested_runs import NestedRuns, NestedRunsReader
from nestd.host.kernel import kvm_holders
from nestd.host.kernel.kvm_holders import KvmHolder, MachineLinks
from nestd.host.libvirt.domains import DomainLook
from nestd.host.root import Root


@dataclass(frozen=True)
class GuestFacts:
    """The facts read about one virtual machine.

    arguments is None if the command line cannot be read; libvirts says whether it is a domain of
    libvirt's system daemon; domain is None if its live XML cannot be read; started is in seconds
    since the epoch, None if unknown.
    """

    holder: KvmHolder
    arguments: tuple[str, ...] | None
    libvirts: bool
    domain: Domain | None
    started: float | None
    runs: NestedRuns


@dataclass(frozen=True)
class _Process:
    """The facts that stay constant during the life of a process with a virtual machine."""

    identity: processes.Identity
    started: float | None
    arguments: tuple[str, ...] | None
    holder: KvmHolder


class GuestLook:
    """Reads the facts; those that cannot change during a process's life are read once."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._domains = DomainLook(root)
        self._live_domains = LiveDomains()
        self._machine_links = MachineLinks()
        self._known: dict[int, _Process] = {}

    def __call__(self) -> tuple[GuestFacts, ...]:
        """All virtual machines, ordered by PID."""
        domains = self._domains()
        files, names = domains.files, domains.names
        boot = processes.boot_time(self._root)
        found: dict[int, _Process] = {}

        def describe(path: Path, machine: bool) -> KvmHolder:
            process = self._process(path, machine, names, boot)
            found[process.holder.pid] = process
            return process.holder

        holders = kvm_holders.scan_with(self._root, describe, self._machine_links)
        self._known = found
        runs = NestedRunsReader(self._root)
        self._live_domains.forget_all_but(found.keys())
        return tuple(
            self._facts(found[holder.pid], holder, files.get(holder.pid), runs)
            for holder in holders
            if holder.machine
        )

    def _process(self, path: Path, machine: bool, names: Mapping[int, str], boot: int) -> _Process:
        pid = int(path.name)
        identity, started = processes.identify(path, boot)
        known = self._known.get(pid)
        name = names.get(pid)
        if (
            known is not None
            and (known.identity, known.holder.machine) == (identity, machine)
            and known.arguments
            and name in (None, known.holder.guest)
        ):
            unit = kvm_holders.unit_of(path)
            if unit == known.holder.unit:
                return known
            return replace(known, holder=replace(known.holder, unit=unit))
        holder = kvm_holders.describe(path, machine, names)
        return _Process(identity, started, processes.arguments(path), holder)

    def _facts(
        self, process: _Process, holder: KvmHolder, file: Path | None, runs: NestedRunsReader
    ) -> GuestFacts:
        return GuestFacts(
            holder=holder,
            arguments=process.arguments,
            libvirts=file is not None,
            domain=None if file is None else self._live_domains.read(holder.pid, file),
            started=process.started,
            runs=runs.of(holder.pid),
        )
