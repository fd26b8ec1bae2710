# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Manager: the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nestd import __version__
from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer
from nestd.core.archive.archives import DEFAULT_LOG_BYTES, check_log_bytes
from nestd.core.checks.finding import Finding
from nestd.core.errors import NoSuchJob
from nestd.core.reloads.inhibitors import Inhibitor
from nestd.core.services import Services
from nestd.dbus.connection.wire import Call
from nestd.dbus.objects.exported import Handler, Interface
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.formats.api import manager
from nestd.formats.api.names import job_path, log_daemon_path, module_path


class ManagerInterface(Interface):
    """The host that nestd serves.

    Vendor and HostModule are constant: they stay what they were at nestd's start, whatever modules
    are installed, removed or loaded later. What is so now is in Describe and the modules' objects.
    """

    spec = InterfaceSpec.of(manager.TABLE)

    def __init__(self, services: Services, authorizer: Authorizer) -> None:
        self._services = services
        self._authorizer = authorizer
        snapshot = services.view.snapshot()
        self._vendor, self._host_module = snapshot.vendor, snapshot.host_module

    def methods(self) -> Mapping[str, Handler]:
        return {
            "ListMachines": self._list_machines,
            "GetModule": self._get_module,
            "GetLogDaemon": self._get_log_daemon,
            "Validate": self._validate,
            "CheckGuest": self._check_guest,
            "Describe": self._describe,
            "CollectLogs": self._collect_logs,
            "Inhibit": self._inhibit,
            "ListInhibitors": self._list_inhibitors,
            "GetJob": self._get_job,
        }

    def properties(self) -> Mapping[str, object]:
        snapshot = self._services.view.snapshot()
        return {
            "Version": __version__,
            "Vendor": self._vendor.value,
            "HostModule": module_path(self._host_module),
            "HostVirtualization": snapshot.virtualization,
            "MachineCount": snapshot.machine_count,
            "Nested": snapshot.nested.value,
            "NestedAtBoot": snapshot.nested_at_boot.value,
            "NestedDecidedBy": snapshot.nested_decided_by,
            "Backend": snapshot.backend,
        }

    async def _list_machines(self, call: Call) -> Sequence[object]:
        machines = await self._services.view.machines()
        return [[(each.pid, each.name, each.vmm, each.unit) for each in machines]]

    async def _get_module(self, call: Call) -> Sequence[object]:
        return [module_path(self._services.view.module_name(str(call.args[0])))]

    async def _get_log_daemon(self, call: Call) -> Sequence[object]:
        return [log_daemon_path(self._services.daemons.daemon(str(call.args[0])).name)]

    async def _validate(self, call: Call) -> Sequence[object]:
        return [_findings(await self._services.inspector.validate())]

    async def _check_guest(self, call: Call) -> Sequence[object]:
        report = await self._services.inspector.check_guest(str(call.args[0]))
        return [report.ready, _findings(report.findings)]

    async def _describe(self, call: Call) -> Sequence[object]:
        return [await self._services.describer.describe()]

    async def _collect_logs(self, call: Call) -> Sequence[object]:
        options = arguments.options(call.args[0], {"max_bytes": "t"})
        max_bytes = int(str(options.get("max_bytes", DEFAULT_LOG_BYTES)))
        check_log_bytes(max_bytes)
        await self._authorizer.require(call, Action.COLLECT_LOGS, {})
        uid = await self._authorizer.uid_of(call.sender)
        return [self._services.archives.collect(max_bytes, uid)]

    async def _inhibit(self, call: Call) -> Sequence[object]:
        who, why = arguments.label("who", call.args[0]), arguments.label("why", call.args[1])
        await self._authorizer.require(call, Action.INHIBIT, {"who": who})
        uid = await self._authorizer.uid_of(call.sender)
        pid = await self._authorizer.pid_of(call.sender)
        return [await self._services.reloads.inhibit(Inhibitor(who, why, uid, pid))]

    async def _list_inhibitors(self, call: Call) -> Sequence[object]:
        return [
            [
                (each.who, each.why, each.uid, each.pid)
                for each in self._services.reloads.inhibitors.list()
            ]
        ]

    async def _get_job(self, call: Call) -> Sequence[object]:
        [number] = call.args
        if self._services.reloads.jobs.get(int(str(number))) is None:
            raise NoSuchJob(f"There is no job {number}, or no longer.")
        return [job_path(int(str(number)))]


def _findings(found: Sequence[Finding]) -> list[object]:
    """Findings as a(ssss)."""
    return [(each.id, each.verdict.value, each.summary, each.hint) for each in found]
