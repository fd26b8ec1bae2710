# SPDX-License-Identifier: LGPL-2.1-or-later
"""Detects what others did to KVM's modules: loads, unloads, new values, edited files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nestd.core.changes.changes import Changes
from nestd.core.history.entry import Kind, Result
from nestd.core.history.history import History
from nestd.core.modules.facts import HostFacts
from nestd.core.reloads.jobs import Job

BUSY_SECONDS = 0.5  # retry interval while nestd itself is changing something


@dataclass(frozen=True)
class _Seen:
    """The state of one module that others may change."""

    loaded: bool
    values: Mapping[str, str]
    assigned: tuple[tuple[str, str], ...]  # by other files than kvm.conf: the value and the place


class ForeignWatch:
    """Compares the host with the last state seen; nestd's own changes count as seen."""

    def __init__(self, changes: Changes, history: History) -> None:
        self._changes = changes
        self._view = changes.view
        self._history = history
        self._modules: dict[str, _Seen] = {}
        self._own: bytes | None = None  # kvm.conf
        self._later: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start comparing with the present state."""
        if not self._view.kernel.can_load:
            return  # another machine's files
        self._take()
        self._view.listen(self._look)
        self._changes.on_change.append(self._on_change)
        self._changes.loads.on_load.append(self._take)
        self._changes.reloads.jobs.on_end.append(self._on_job_end)

    def close(self) -> None:
        """Stop."""
        if self._later is not None:
            self._later.cancel()

    def _on_change(self, module: str) -> None:
        self._take()

    def _on_job_end(self, job: Job) -> None:
        self._take()

    def _take(self) -> None:
        """Take the present state as seen."""
        facts = self._view.shared_facts()
        self._modules = {name: _seen(facts, name) for name in facts.modules}
        self._own = facts.own.data

    def _look(self) -> None:
        self._later = None
        if self._changes.reloads.lock.locked():
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(BUSY_SECONDS, self._look)
            return
        before, own = self._modules, self._own
        self._take()
        if self._own != own:
            self._note(self._view.facts().own.path, "the file was edited")
        for name, now in self._modules.items():
            for what in _differences(before.get(name, now), now):
                self._note(name, what)

    def _note(self, subject: str, what: str) -> None:
        self._history.add(Kind.FOREIGN, subject, Result.DONE, asked=what)


def _seen(facts: HostFacts, name: str) -> _Seen:
    found = facts.module(name)
    assigned = tuple(
        (f"{each.parameter}={each.value or ''}", f"{each.file}:{each.line}")
        for each in found.next_load.assignments
        if each.file != facts.own.path
    )
    return _Seen(found.running.loaded, dict(found.running.parameters), assigned)


def _differences(before: _Seen, now: _Seen) -> Iterator[str]:
    if before.loaded != now.loaded:
        yield "the module was loaded" if now.loaded else "the module was unloaded"
    elif before.values != now.values:
        changed = [
            f"{name}={value}"
            for name, value in now.values.items()
            if before.values.get(name, value) != value
        ]
        yield f"it runs with {', '.join(changed)}" if changed else "its parameters changed"
    if before.assigned != now.assigned:
        new = [
            f"{value} ({place})" for value, place in now.assigned if value not in _values(before)
        ]
        gone = [value for value, _ in before.assigned if value not in _values(now)]
        if new:
            yield f"its next load gets {', '.join(new)}"
        if gone:
            yield f"its next load no longer gets {', '.join(gone)}"


def _values(seen: _Seen) -> set[str]:
    return {value for value, _ in seen.assigned}
