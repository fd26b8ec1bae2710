# SPDX-License-Identifier: LGPL-2.1-or-later
"""One look at all running virtual machines. It blocks for some milliseconds: use a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nestd.formats.libvirt_xml.domain_xml import Domain
from nestd.host.guests import processes
from nestd.host.guests.live_domains import LiveDomains
from nestd.host.guests.nested_runs import NestedRuns, NestedRunsReader
from nestd.host.kernel import kvm_holders
from nestd.host.kernel.kvm_holders import KvmHolder
from nestd.host.libvirt import domains as libvirt_domains
from nestd.host.root import Root


@dataclass(frozen=True)
class GuestFacts:
    """What was read of one virtual machine.

    arguments is None where the command line cannot be read; libvirts says whether it is a domain
    of libvirt's system daemon, domain is None where its live XML cannot be read; started is in
    seconds of the epoch, None where it is not known.
    """

    holder: KvmHolder
    arguments: tuple[str, ...] | None
    libvirts: bool
    domain: Domain | None
    started: float | None
    runs: NestedRuns


class GuestLook:
    """The looks of one nestd: what cannot change of a process is read once."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._domains = LiveDomains()
        self._arguments: dict[int, tuple[processes.Identity, tuple[str, ...] | None]] = {}

    def __call__(self) -> tuple[GuestFacts, ...]:
        """All virtual machines, by PID."""
        files = libvirt_domains.status_files(self._root)
        holders = kvm_holders.scan(self._root, libvirt_domains.names_of(files))
        machines = [holder for holder in holders if holder.machine]
        runs = NestedRunsReader(self._root)
        boot = processes.boot_time(self._root)
        found = tuple(self._facts(holder, files, runs, boot) for holder in machines)
        pids = {holder.pid for holder in machines}
        self._arguments = {pid: known for pid, known in self._arguments.items() if pid in pids}
        self._domains.forget_all_but({path for pid, path in files.items() if pid in pids})
        return found

    def _facts(
        self, holder: KvmHolder, files: Mapping[int, Path], runs: NestedRunsReader, boot: int
    ) -> GuestFacts:
        pid = holder.pid
        identity, started = processes.identify(self._root, pid, boot)
        known = self._arguments.get(pid)
        if known is None or known[0] != identity or known[1] is None:
            known = self._arguments[pid] = (identity, processes.arguments(self._root, pid))
        file = files.get(pid)
        return GuestFacts(
            holder=holder,
            arguments=known[1],
            libvirts=file is not None,
            domain=None if file is None else self._domains.read(file),
            started=started,
            runs=runs.of(pid),
        )
