# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd on a bus: its objects, and the signals about changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nestd.bus.authorization import Authorizer
from nestd.bus.errors import translate
from nestd.bus.job import JobInterface
from nestd.bus.log_control import LogControl, LogControlInterface
from nestd.bus.manager import ManagerInterface
from nestd.bus.module import ModuleInterface
from nestd.core.modules.view import HostView
from nestd.core.reloads.jobs import Job
from nestd.core.services import Services
from nestd.dbus.connection.transport import Connection
from nestd.dbus.objects.tree import ObjectTree
from nestd.dbus.values import Call
from nestd.formats.api.names import (
    BUS_NAME,
    LOG_CONTROL_PATH,
    MANAGER,
    MANAGER_PATH,
    job_path,
    log_daemon_path,
    module_path,
)

if TYPE_CHECKING:
    from nestd.core.logs.daemon import LogDaemon

JOB_STAYS_SECONDS = 10.0  # after its end


class Service:
    """Exports core's services and the log of this process on a connection."""

    def __init__(
        self,
        connection: Connection,
        services: Services,
        log: LogControl,
        machine_id: str,
    ) -> None:
        self._connection = connection
        self._services = services
        self._authorizer = Authorizer(connection)
        self._tree = ObjectTree(
            connection,
            MANAGER_PATH,
            machine_id=machine_id,
            translate=translate,
            settled=_Readable(services.view),
        )
        self._tree.export(MANAGER_PATH, [ManagerInterface(services, self._authorizer)])
        self._tree.export(LOG_CONTROL_PATH, [LogControlInterface(log, self._authorizer)])
        for name in services.view.modules:
            interface = ModuleInterface(services, self._authorizer, name)
            self._tree.export(module_path(name), [interface])
        self._exported: dict[str, LogDaemon] = {}
        self._on_daemons()
        for job in services.reloads.jobs.all():  # from before a restart, ended or not
            self._on_job_new(job)
        services.view.listen(self._tree.refresh)
        services.view.machine_count.on_machines.append(self._on_machines)
        services.reloads.inhibitors.on_change.append(self._on_inhibitors)
        services.daemons.on_change.append(self._on_daemons)
        services.reloads.jobs.on_new.append(self._on_job_new)
        services.reloads.jobs.on_change.append(self._on_job_change)
        services.reloads.jobs.on_end.append(self._on_job_end)

    async def own_name(self) -> bool:
        """Request nestd's bus name; returns whether nestd now owns it."""
        owned = await self._connection.request_name(BUS_NAME)
        for job in self._services.reloads.jobs.all():
            if owned and job.ended:  # during this start, before anybody could subscribe
                self._on_job_end(job)
        return owned

    def _on_daemons(self) -> None:
        """Update the objects after daemons were changed, installed or removed."""
        for name in self._exported.keys() - self._services.daemons.daemons.keys():
            del self._exported[name]
            self._tree.unexport(log_daemon_path(name))
        for name, daemon in self._services.daemons.daemons.items():
            if name not in self._exported:
                self._exported[name] = daemon
                self._export_daemon(daemon)
        self._tree.refresh()

    def _export_daemon(self, daemon: LogDaemon) -> None:
        from nestd.bus.log_daemon import LogDaemonInterface  # not needed without libvirt

        interface = LogDaemonInterface(daemon, self._services.history, self._authorizer)
        self._tree.export(log_daemon_path(daemon.name), [interface])

    def _on_machines(self) -> None:
        self._tree.emit(MANAGER_PATH, MANAGER, "MachinesChanged")

    def _on_inhibitors(self) -> None:
        self._tree.emit(MANAGER_PATH, MANAGER, "InhibitorsChanged")

    def _on_job_new(self, job: Job) -> None:
        path = job_path(job.id)
        self._tree.export(path, [JobInterface(self._services.reloads, self._authorizer, job)])
        self._tree.emit(MANAGER_PATH, MANAGER, "JobNew", job.id, path)

    def _on_job_change(self, job: Job) -> None:
        self._tree.refresh(job_path(job.id))

    def _on_job_end(self, job: Job) -> None:
        self._tree.refresh()
        self._tree.emit(
            MANAGER_PATH, MANAGER, "JobRemoved", job.id, job_path(job.id), job.state.value
        )
        asyncio.get_running_loop().call_later(JOB_STAYS_SECONDS, self._forget, job)

    def _forget(self, job: Job) -> None:
        self._services.reloads.jobs.forget(job)
        self._tree.unexport(job_path(job.id))


class _Readable:
    """Whether the host's state can be read yet; implements nestd.dbus.objects.tree.Settled."""

    def __init__(self, view: HostView) -> None:
        self._view = view

    @property
    def is_settled(self) -> bool:
        return self._view.is_settled and self._view.machine_count.is_known

    async def settled(self, call: Call) -> None:
        if call.path == MANAGER_PATH and call.args[1:] in ((), ("MachineCount",)):  # () for GetAll
            await self._view.machine_count.known()
        await self._view.settled()
