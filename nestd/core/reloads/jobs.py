# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs: work that clients can watch. A job exists until it is removed some time after its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Callable

from nestd.core.model import Blocker, JobState

ENDS = (JobState.DONE, JobState.FAILED, JobState.ROLLED_BACK, JobState.CANCELLED)


def now() -> int:
    """Microseconds of CLOCK_REALTIME."""
    return time.time_ns() // 1000


@dataclass
class Job:
    """A reload or unload of one module, asked for by the user UID. error is a sentence, or "".

    since is when it was asked for, in microseconds of CLOCK_REALTIME.
    """

    id: int
    module: str
    uid: int
    state: JobState
    blockers: tuple[Blocker, ...] = ()
    error: str = ""
    kind: str = "reload"
    since: int = field(default_factory=now)

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDS


class Jobs:
    """All jobs, and their listeners."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self.on_new: list[Callable[[Job], None]] = []
        self.on_change: list[Callable[[Job], None]] = []
        self.on_end: list[Callable[[Job], None]] = []

    def new(
        self,
        job_id: int,
        module: str,
        uid: int,
        state: JobState,
        kind: str = "reload",
        since: int | None = None,
    ) -> Job:
        """A job of that id: a new one, or one that was there SINCE before a restart of nestd."""
        job = Job(job_id, module, uid, state, kind=kind, since=now() if since is None else since)
        self._jobs[job.id] = job
        for listener in self.on_new:
            listener(job)
        return job

    def get(self, job_id: int) -> Job | None:
        """The job, also for a while after its end."""
        return self._jobs.get(job_id)

    def all(self) -> tuple[Job, ...]:
        """Those that ended a while ago included, oldest first."""
        return tuple(self._jobs.values())

    def current(self) -> tuple[Job, ...]:
        """The jobs that have not ended, oldest first."""
        return tuple(job for job in self._jobs.values() if not job.ended)

    def update(self, job: Job, state: JobState, error: str = "") -> None:
        """The job came to STATE; with an end state it has ended."""
        job.state = state
        job.error = error
        if state is not JobState.WAITING:
            job.blockers = ()
        for listener in self.on_end if job.ended else self.on_change:
            listener(job)

    def block(self, job: Job, blockers: tuple[Blocker, ...]) -> None:
        """What a waiting job waits for now."""
        if job.state is JobState.WAITING and job.blockers != blockers:
            job.blockers = blockers
            for listener in self.on_change:
                listener(job)

    def forget(self, job: Job) -> None:
        """The job is no longer to be had."""
        self._jobs.pop(job.id, None)
