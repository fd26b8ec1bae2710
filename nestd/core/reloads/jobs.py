# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs: work that clients can watch. A job is removed some time after its end."""

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
    """A reload or unload of one module, requested by the user uid. error is a sentence or "".

    since is the time of the request, in microseconds of CLOCK_REALTIME.
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
        """Whether the job has ended."""
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
        """Add a job with this id: a new one, or one from before a restart of nestd (SINCE)."""
        job = Job(job_id, module, uid, state, kind=kind, since=now() if since is None else since)
        self._jobs[job.id] = job
        for listener in self.on_new:
            listener(job)
        return job

    def get(self, job_id: int) -> Job | None:
        """The job, available for a while after its end."""
        return self._jobs.get(job_id)

    def all(self) -> tuple[Job, ...]:
        """All jobs, including recently ended ones, oldest first."""
        return tuple(self._jobs.values())

    def current(self) -> tuple[Job, ...]:
        """The jobs that have not ended, oldest first."""
        return tuple(job for job in self._jobs.values() if not job.ended)

    def update(self, job: Job, state: JobState, error: str = "") -> None:
        """Set the job's STATE; a final state ends it."""
        job.state = state
        job.error = error
        if state is not JobState.WAITING:
            job.blockers = ()
        for listener in self.on_end if job.ended else self.on_change:
            listener(job)

    def block(self, job: Job, blockers: tuple[Blocker, ...]) -> None:
        """Set what a waiting job waits for now."""
        if job.state is JobState.WAITING and job.blockers != blockers:
            job.blockers = blockers
            for listener in self.on_change:
                listener(job)

    def forget(self, job: Job) -> None:
        """Remove the job."""
        self._jobs.pop(job.id, None)
