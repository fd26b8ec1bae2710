# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which running virtual machines can run a hypervisor, and which do.

Nothing is sampled between requests and nothing is started: the facts come from the kernel's and
libvirt's own records.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from nestd.core.guests.exposure import CommandLine, HostAtStart, exposure
from nestd.core.guests.guest import Exposure, Guest, Nesting
from nestd.core.guests.usage import usage
from nestd.core.hidden import EVERYBODY, NAMELESS, Reader
from nestd.core.model import Answer, Machine, Snapshot
from nestd.core.modules.view import HostView
from nestd.core.shared_work import SharedLook
from nestd.formats.vmm_arguments import QemuArguments, read_qemu
from nestd.host.guests.look import GuestFacts, GuestLook
from nestd.host.kernel.sysfs import load_time

# Tolerance when comparing a module's load with a process's start: /proc/stat gives the boot time in
# whole seconds.
_SLACK_SECONDS = 2.0


class Guests:
    """The running virtual machines at each call."""

    def __init__(self, view: HostView) -> None:
        self._view = view
        self._look = SharedLook(GuestLook(view.root))

    async def list(self, reader: Reader = EVERYBODY) -> tuple[Guest, ...]:
        """All machines, ordered by PID; for those that READER may not see, only the answers."""
        found = await self._look()
        snapshot = self._view.snapshot()
        loaded = load_time(self._view.root, snapshot.host_module)
        guests = (self._guest(facts, snapshot, loaded) for facts in found)
        keeps = self._view.hidden.keeps(reader)
        return tuple(_nameless(each) if keeps(each.machine.pid) else each for each in guests)

    def _guest(self, facts: GuestFacts, snapshot: Snapshot, loaded: float | None) -> Guest:
        holder = facts.holder
        machine = Machine(
            holder.pid, holder.guest or holder.executable, holder.executable, holder.unit
        )
        command_line = _command_line(facts)
        used = usage(facts.runs, command_line.qemu)
        if used.nesting is Nesting.USED:
            given = Exposure(Answer.YES, f"it has run a guest of its own ({used.by})")
        else:
            then = self._host_at_start(facts, snapshot, loaded)
            given = exposure(then, holder.executable, command_line, facts.domain)
        return Guest(machine, given, used)

    def _host_at_start(
        self, facts: GuestFacts, snapshot: Snapshot, loaded: float | None
    ) -> HostAtStart:
        module = snapshot.modules.get(snapshot.host_module)
        reloaded = None
        if loaded is not None and facts.started is not None:
            reloaded = loaded > facts.started + _SLACK_SECONDS
        return HostAtStart(
            machine=self._view.kernel.machine,
            vendor=snapshot.vendor,
            module=snapshot.host_module,
            nested=Answer.UNKNOWN if module is None else module.nested,
            reloaded=reloaded,
        )


def _nameless(guest: Guest) -> Guest:
    exposure, usage = replace(guest.exposure, by=""), replace(guest.usage, by="")
    return Guest(NAMELESS, exposure, usage)


def _command_line(facts: GuestFacts) -> CommandLine:
    words = facts.arguments or ()
    return CommandLine(words[1:], _read_qemu(words[1:]) if words and _is_qemu(facts) else None)


@lru_cache(maxsize=1024)  # a process keeps its command line
def _read_qemu(words: tuple[str, ...]) -> QemuArguments:
    return read_qemu(words)


def _is_qemu(facts: GuestFacts) -> bool:
    """Whether it is QEMU: qemu-system-ARCH, qemu-kvm (RHEL) or kvm (Debian, Ubuntu)."""
    name = facts.holder.executable
    return facts.libvirts or name.startswith("qemu") or name == "kvm"
