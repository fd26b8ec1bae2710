# SPDX-License-Identifier: LGPL-2.1-or-later
"""The latest events, newest first, and the totals of each kind and result.

Both are stored below /var/lib/nestd. They are written in a separate thread shortly after the
events, once per burst, so that nothing waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from nestd.core.errors import (
    InvalidArgument,
    InvalidFilter,
    InvalidOutput,
    InvalidParameter,
    NestdError,
    NotRestored,
    ReloadFailed,
    RolledBack,
    WriteFailed,
)
from nestd.core.history.entry import Entry, Kind, Result, Undo, cut, digest, from_json
from nestd.core.model import JobState
from nestd.core.reloads.jobs import Job, Jobs
from nestd.host.files import read_below
from nestd.host.root import Root
from nestd.host.state.json_file import HISTORY, TOTALS, JsonFile

MOST = 50
MOST_REFUSED = 10
"""Limit for these entries, so that repeated refusals do not displace actual changes."""
_REJECTED = (InvalidArgument, InvalidFilter, InvalidOutput, InvalidParameter)
"""A request with invalid arguments is not an event."""
_RESULTS: Mapping[type[BaseException], Result] = {
    NotRestored: Result.FAILED,
    ReloadFailed: Result.FAILED,
    WriteFailed: Result.FAILED,
    RolledBack: Result.ROLLED_BACK,
}
_OF_JOBS: Mapping[JobState, Result] = {
    JobState.DONE: Result.DONE,
    JobState.FAILED: Result.FAILED,
    JobState.ROLLED_BACK: Result.ROLLED_BACK,
    JobState.CANCELLED: Result.CANCELLED,
}


@dataclass
class Request:
    """A client's request while it is served; the handler fills in the details."""

    kind: Kind
    subject: str
    asked: str
    uid: int | None = None
    undo: Undo | None = None
    happened: bool = False  # whether anything was changed


class History:
    """The history of events. Call load() first."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._kept = JsonFile(root.at(HISTORY))
        self._kept_totals = JsonFile(root.at(TOTALS))
        self._entries: list[Entry] = []  # newest first
        self._totals: Counter[tuple[str, str]] = Counter()
        self._saving: asyncio.Task[None] | None = None
        self._waiting: set[int] = set()  # jobs that outlive the requesting call
        self._serving = False

    def load(self) -> None:
        """Read the stored events; damaged ones are skipped."""
        for document in _list(self._kept.read().get("entries"))[:MOST]:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._entries.append(from_json(document))
        for kind, results in self._kept_totals.read().items():
            for result, count in results.items() if isinstance(results, dict) else ():
                if isinstance(count, int) and count >= 0:
                    self._totals[kind, result] = count

    async def close(self) -> None:
        """Wait until everything is stored."""
        if self._saving is not None:
            await self._saving

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The latest events, newest first."""
        return tuple(self._entries)

    @property
    def totals(self) -> Mapping[str, Mapping[str, int]]:
        """The number of events ever, by kind and result; the numbers only grow."""
        found: dict[str, dict[str, int]] = {}
        for (kind, result), count in sorted(self._totals.items()):
            found.setdefault(kind, {})[result] = count
        return found

    def add(
        self,
        kind: Kind,
        subject: str,
        result: Result,
        *,
        uid: int | None = None,
        asked: str = "",
        error: str = "",
        undo: Undo | None = None,
    ) -> None:
        """Add an event that has just happened; it is stored shortly afterwards."""
        now = time.time_ns() // 1000
        entry = Entry(now, kind, subject, result, uid, cut(asked), cut(error), undo)
        self._totals[kind.value, result.value] += 1
        self._entries.insert(0, entry)
        refused = [each for each in self._entries if each.result is Result.REFUSED]
        for each in refused[MOST_REFUSED:]:
            self._entries.remove(each)
        del self._entries[MOST:]
        if self._saving is None or self._saving.done():
            self._saving = asyncio.ensure_future(self._save())

    async def undoable(self, entry: Entry) -> bool:
        """Whether the file is unchanged since the event, so that its undo reverts nothing else."""
        if entry.undo is None or entry.result is not Result.DONE:
            return False
        return await self.digest(entry.undo.file) == entry.undo.digest

    async def digest(self, path: str) -> str | None:
        """The digest of a file of the host, "" if it does not exist, None if it is unreadable."""
        try:
            return digest(await asyncio.to_thread(read_below, self._root, path))
        except OSError:
            return None

    @contextlib.asynccontextmanager
    async def request(
        self, kind: Kind, subject: str, asked: str, who: Callable[[], Awaitable[int]]
    ) -> AsyncIterator[Request]:
        """Record how a client's request ends: with an error, or with an event.

        WHO returns the user id, in case the request ends before the handler knows it.
        """
        request = Request(kind, subject, asked)
        try:
            yield request
        except NestdError as error:
            if not isinstance(error, _REJECTED):
                uid = await who() if request.uid is None else request.uid
                result = _RESULTS.get(type(error), Result.REFUSED)
                self.add(kind, subject, result, uid=uid, asked=asked, error=str(error))
            raise
        if request.happened:
            self.add(kind, subject, Result.DONE, uid=request.uid, asked=asked, undo=request.undo)

    def watch(self, jobs: Jobs) -> None:
        """Record the ends of JOBS that no call waits for; a reload "now" is part of its request.

        Before serve() this applies to all jobs: they were interrupted by the end of the last nestd.
        """

        def on_new(job: Job) -> None:
            if job.state is JobState.WAITING or not self._serving:
                self._waiting.add(job.id)

        def on_end(job: Job) -> None:
            if job.id in self._waiting:
                self._waiting.discard(job.id)
                result = _OF_JOBS[job.state]
                self.add(
                    *(Kind.RELOAD, job.module, result),
                    uid=job.uid,
                    asked=f"{job.kind} when idle",
                    error=job.error,
                )

        jobs.on_new.append(on_new)
        jobs.on_end.append(on_end)

    def serve(self) -> None:
        """Clients are served from now on."""
        self._serving = True

    async def _save(self) -> None:
        """Write the files, and again if something was added meanwhile."""
        kept = -1
        while kept != sum(self._totals.values()):
            kept = sum(self._totals.values())
            entries = [each.as_json() for each in self._entries]
            await asyncio.to_thread(self._kept.write, {"entries": entries})
            await asyncio.to_thread(self._kept_totals.write, self.totals)


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
