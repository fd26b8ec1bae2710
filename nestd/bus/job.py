# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Job: one reload, kept for some seconds after its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nestd.bus.authorization import Action, Authorizer
from nestd.bus.declared import DeclaredInterface, needs
from nestd.bus.module import blockers
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.values import Call
from nestd.formats.api import job
from nestd.formats.api.names import module_path


class JobInterface(DeclaredInterface):
    """One job."""

    spec = InterfaceSpec.of(job.TABLE)

    def __init__(self, reloads: Reloads, authorizer: Authorizer, job: Job) -> None:
        super().__init__(authorizer)
        self._reloads = reloads
        self._job = job

    def properties(self) -> Mapping[str, object]:
        return {
            "Id": self._job.id,
            "Kind": self._job.kind,
            "Subject": module_path(self._job.module),
            "StartedByUid": self._job.uid,
            "State": self._job.state.value,
            "Blockers": blockers(self._reloads.view.hidden.blockers(self._job.blockers)),
            "Error": self._job.error,
            "Since": self._job.since,
        }

    @needs("Cancel", Action.RELOAD_MODULES)
    async def _cancel(self, call: Call) -> Sequence[object]:
        self._reloads.check_cancellable(self._job)
        details = {"module": self._job.module}
        uid = await self.authorize(call, Action.RELOAD_MODULES, details)
        await self._reloads.cancel(self._job, uid)
        return []
