# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this host keeps from its users, and who asks: nestd tells nobody more than the host would.

Text of files that others cannot read is marked in HostFacts; here it is about processes, which a
/proc mounted with hidepid shows to nobody but their owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Callable

from nestd.core.model import Blocker, BlockerKind, Machine
from nestd.host import privacy
from nestd.host.root import Root

_OF_PROCESSES = (BlockerKind.MACHINE, BlockerKind.PROCESS)
NAMELESS = Machine(0, "", "", "")


@dataclass(frozen=True)
class Reader:
    """Who asks: sees_files is whether they may see the text of files that others cannot read,
    sees_processes whether other users' processes. uid is None for everybody at once.
    """

    uid: int | None = None
    sees_files: bool = False
    sees_processes: bool = False


EVERYBODY = Reader()
"""For properties and signals, which all users get alike, and before somebody is authorized."""
AUTHORIZED = Reader(sees_files=True, sees_processes=True)
"""Whom polkit has allowed what they ask for."""


class Hidden:
    """Keeps other users' machines from those who may not see them. They still are counted."""

    def __init__(self, root: Root) -> None:
        self._root = root

    @property
    def processes(self) -> bool:
        """Whether the host hides processes at all."""
        return privacy.hides_processes(self._root)

    def machines(self, found: Sequence[Machine], reader: Reader) -> tuple[Machine, ...]:
        """Without anything in those that READER may not see."""
        keeps = self.keeps(reader)
        return tuple(NAMELESS if keeps(each.pid) else each for each in found)

    def blockers(self, found: Iterable[Blocker], reader: Reader = EVERYBODY) -> tuple[Blocker, ...]:
        """Likewise."""
        keeps = self.keeps(reader)
        return tuple(
            Blocker(each.kind, "", 0, f"{each.kind.value} of another user")
            if each.kind in _OF_PROCESSES and keeps(each.pid)
            else each
            for each in found
        )

    def keeps(self, reader: Reader) -> Callable[[int], bool]:
        """Whether a process is kept from READER, by its PID."""
        if reader.sees_processes or not self.processes:
            return lambda pid: False
        if reader.uid is None:
            return lambda pid: True
        return lambda pid: privacy.owner(self._root, pid) != reader.uid
