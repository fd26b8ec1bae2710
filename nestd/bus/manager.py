# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Manager: the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from nestd import __version__
from nestd.bus import arguments
from nestd.bus.authorization import Action, Authorizer, Verdict
from nestd.bus.declared import DeclaredInterface, needs, reads
from nestd.bus.history import events
from nestd.core.blocking.inhibitors import Inhibitor
from nestd.core.errors import NoSuchJob
from nestd.core.hidden import Reader
from nestd.core.model import Snapshot
from nestd.core.services import Services
from nestd.core.shared_work import SharedAnswers
from nestd.dbus.connection.protocol import Packed, check_value
from nestd.dbus.objects.interface import InterfaceSpec
from nestd.dbus.values import Call
from nestd.formats.api import manager
from nestd.formats.api.names import job_path, log_daemon_path, module_path

if TYPE_CHECKING:
    from nestd.core.checks.finding import Finding
    from nestd.core.guests.guest import Guest


class ManagerInterface(DeclaredInterface):
    """The host that nestd serves.

    Vendor and HostModule are constant: they keep their values from nestd's start, whatever modules
    are installed, removed or loaded later. Describe and the modules' objects have current values.
    """

    spec = InterfaceSpec.of(manager.TABLE)

    def __init__(self, services: Services, authorizer: Authorizer) -> None:
        super().__init__(authorizer)
        self._services = services
        self._shared: SharedAnswers[Sequence[object]] = SharedAnswers()
        snapshot = services.view.snapshot()
        self._vendor, self._host_module = snapshot.vendor, snapshot.host_module
        self._told: tuple[Snapshot, Mapping[str, object]] | None = None

    def properties(self) -> Mapping[str, object]:
        snapshot = self._services.view.snapshot()
        if self._told is not None and self._told[0] is snapshot:
            return self._told[1]
        values = {
            "Version": __version__,
            "Vendor": self._vendor.value,
            "HostModule": module_path(self._host_module),
            "HostVirtualization": snapshot.virtualization,
            "MachineCount": snapshot.machine_count,
            "Nested": snapshot.nested.value,
            "NestedAtBoot": snapshot.nested_at_boot.value,
            "NestedDecidedBy": snapshot.nested_decided_by,
            "Backend": snapshot.backend,
            "MachinesKnown": self._services.view.machines_known,
        }
        self._told = snapshot, values
        return values

    @reads("ListMachines")
    async def _list_machines(self, call: Call) -> Sequence[object]:
        reader = await self._reader(call, files=False)

        async def work() -> Sequence[object]:
            found = await self._services.view.machines()
            machines = self._services.view.hidden.machines(found, reader)
            return [[(each.pid, each.name, each.vmm, each.unit) for each in machines]]

        return await self._shared.get(("ListMachines", reader), work)

    @reads("ListGuests")
    async def _list_guests(self, call: Call) -> Sequence[object]:
        reader = await self._reader(call, files=False)

        async def work() -> Sequence[object]:
            return [[_guest(each) for each in await self._services.guests.list(reader)]]

        return await self._shared.get(("ListGuests", reader), work)

    @reads("Posture")
    async def _posture(self, call: Call) -> Sequence[object]:
        async def work() -> Sequence[object]:
            return [_findings(await self._services.posture.findings())]

        return await self._shared.get("Posture", work)

    @reads("GetModule")
    async def _get_module(self, call: Call) -> Sequence[object]:
        return [module_path(self._services.view.module_name(arguments.text(call.args[0])))]

    @reads("GetLogDaemon")
    async def _get_log_daemon(self, call: Call) -> Sequence[object]:
        return [log_daemon_path(self._services.daemons.daemon(arguments.text(call.args[0])).name)]

    @reads("Validate")
    async def _validate(self, call: Call) -> Sequence[object]:
        reader = await self._reader(call)

        async def work() -> Sequence[object]:
            return [_findings(await self._services.inspector.validate(reader))]

        return await self._shared.get(("Validate", reader), work)

    @reads("CheckGuest")
    async def _check_guest(self, call: Call) -> Sequence[object]:
        report = await self._services.inspector.check_guest(arguments.text(call.args[0]))
        return [report.ready, _findings(report.findings)]

    @reads("Describe")
    async def _describe(self, call: Call) -> Sequence[object]:
        reader = await self._reader(call)

        async def work() -> Sequence[object]:
            return [await self._services.describer.describe(reader)]

        return await self._shared.get(("Describe", reader), work)

    async def _reader(self, call: Call, *, files: bool = True) -> Reader:
        """The caller's rights; asks polkit only if the host hides anything."""
        view = self._services.view
        private = files and view.shared_facts().private
        return await self.authorizer.reader(
            call,
            files=Action.CONFIGURE_MODULES if private else None,
            processes=Action.RELOAD_MODULES if view.hidden.processes else None,
        )

    @reads("CheckAccess")
    async def _check_access(self, call: Call) -> Sequence[object]:
        names = list(dict.fromkeys(arguments.texts(call.args[0])))
        actions = [arguments.action(name) for name in names]
        verdicts = [await self.authorizer.check(call, action, {}) for action in actions]
        return [{name: verdict.value for name, verdict in zip(names, verdicts)}]

    @needs("CollectLogs", Action.COLLECT_LOGS)
    async def _collect_logs(self, call: Call) -> Sequence[object]:
        given = arguments.Options(call.args[0], {"max_bytes": "t"}).number("max_bytes")
        archives = self._services.archives
        max_bytes = archives.log_bytes(given)
        uid = await self.authorize(call, Action.COLLECT_LOGS, {})
        return [archives.collect(max_bytes, uid)]

    @needs("Inhibit", Action.INHIBIT)
    async def _inhibit(self, call: Call) -> Sequence[object]:
        who, why = arguments.label("who", call.args[0]), arguments.label("why", call.args[1])
        uid = await self.authorize(call, Action.INHIBIT, {"who": who})
        pid = await self.authorizer.pid_of(call.sender)
        return [await self._services.reloads.inhibit(Inhibitor(who, why, uid, pid))]

    @reads("ListInhibitors")
    async def _list_inhibitors(self, call: Call) -> Sequence[object]:
        return [
            [
                (each.who, each.why, each.uid, each.pid)
                for each in self._services.reloads.inhibitors.list()
            ]
        ]

    @reads("GetJob")
    async def _get_job(self, call: Call) -> Sequence[object]:
        job_id = arguments.number(call.args[0])
        if self._services.reloads.jobs.get(job_id) is None:
            raise NoSuchJob(f"There is no job {job_id}, or it is no longer kept.")
        return [job_path(job_id)]

    @reads("ListPresets")
    async def _list_presets(self, call: Call) -> Sequence[object]:
        from nestd.formats.libvirt.log_presets import PRESETS

        return [[(each.name, each.filters, each.purpose) for each in PRESETS]]

    @reads("ListHistory")
    async def _list_history(self, call: Call) -> Sequence[object]:
        uid = await self.authorizer.uid_of(call.sender)
        sees_all = await self.authorizer.check(call, Action.MANAGE, {}) is Verdict.YES
        return [await events(self._services.history, uid, sees_all=sees_all)]


@lru_cache(maxsize=1024)  # most guests have not changed since the previous call
def _guest(guest: Guest) -> Mapping[str, Packed]:
    """A guest as a{sv}, with packed values."""
    machine, exposure, usage = guest.machine, guest.exposure, guest.usage
    return {
        "pid": check_value("u", machine.pid),
        "name": check_value("s", machine.name),
        "vmm": check_value("s", machine.vmm),
        "unit": check_value("s", machine.unit),
        "exposed": check_value("s", exposure.answer.value),
        "exposed_by": check_value("s", exposure.by),
        "nesting": check_value("s", usage.nesting.value),
        "nested_runs": check_value("t", usage.runs),
        "nesting_by": check_value("s", usage.by),
    }


def _findings(found: Sequence[Finding]) -> list[object]:
    """Findings as a(ssss)."""
    return [(each.id, each.verdict.value, each.summary, each.hint) for each in found]
