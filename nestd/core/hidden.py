# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this host hides from a user: nestd reveals no more than the host itself does.

HostFacts marks the text of files that others cannot read; this module handles processes, which a
/proc mounted with hidepid shows only to their owner.
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
    """The caller: sees_files is whether it may see the text of files that others cannot read,
    sees_processes whether it may see other users' processes. uid is None for everybody at once.
    """

    uid: int | None = None
    sees_files: bool = False
    sees_processes: bool = False


EVERYBODY = Reader()
"""For properties and signals, which are the same for all users, and before authorization."""
AUTHORIZED = Reader(sees_files=True, sees_processes=True)
"""A caller whose request polkit has authorized."""


class Hidden:
    """Hides other users' machines from callers who may not see them; they still count."""

    def __init__(self, root: Root) -> None:
        self._root = root

    @property
    def processes(self) -> bool:
        """Whether the host hides processes at all."""
        return privacy.hides_processes(self._root)

    def machines(self, found: Sequence[Machine], reader: Reader) -> tuple[Machine, ...]:
        """FOUND, with the data of machines that READER may not see removed."""
        keeps = self.keeps(reader)
        return tuple(NAMELESS if keeps(each.pid) else each for each in found)

    def blockers(self, found: Iterable[Blocker], reader: Reader = EVERYBODY) -> tuple[Blocker, ...]:
        """FOUND, with the data of processes that READER may not see removed."""
        keeps = self.keeps(reader)
        return tuple(
            Blocker(each.kind, "", 0, f"{each.kind.value} of another user")
            if each.kind in _OF_PROCESSES and keeps(each.pid)
            else each
            for each in found
        )

    def keeps(self, reader: Reader) -> Callable[[int], bool]:
        """A function that says whether the process with a PID is hidden from READER."""
        if reader.sees_processes or not self.processes:
            return lambda pid: False
        if reader.uid is None:
            return lambda pid: True
        return lambda pid: privacy.owner(self._root, pid) != reader.uid
