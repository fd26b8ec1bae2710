# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole state as one JSON document, for scripts and bug reports. Its keys are stable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from nestd import __version__
from nestd.core.hidden import EVERYBODY, Reader
from nestd.core.logs.settings.state import LogState
from nestd.core.model import Blocker, Module, Snapshot
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.view import HostView
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads
from nestd.formats.libvirt import log_filters, log_outputs


class Describer:
    """Creates the document.

    LOG_STATES returns the states of libvirt's daemons, TOTALS the number of events by kind and
    result.
    """

    def __init__(
        self,
        view: HostView,
        reloads: Reloads,
        log_states: Callable[[], Sequence[LogState]],
        totals: Callable[[], Mapping[str, Mapping[str, int]]],
    ) -> None:
        self._view = view
        self._reloads = reloads
        self._log_states = log_states
        self._totals = totals

    async def describe(self, reader: Reader = EVERYBODY) -> str:
        """The current state as JSON, as far as READER may see it."""
        hidden = self._view.hidden
        machines = hidden.machines(await self._view.machines(), reader)
        await self._view.machine_count.known()
        facts = self._view.facts().for_reader(sees_all=reader.sees_files)
        snapshot = self._view.derived(facts)
        document = {
            **_host(facts, snapshot),
            "modules": {name: _module(module) for name, module in snapshot.modules.items()},
            "machine_count": snapshot.machine_count,
            "machines": [
                {"pid": each.pid, "name": each.name, "vmm": each.vmm, "unit": each.unit}
                for each in machines
            ],
            "jobs": [
                _job(job, hidden.blockers(job.blockers, reader))
                for job in self._reloads.jobs.current()
            ],
            "inhibitors": [
                {"who": each.who, "why": each.why, "uid": each.uid, "pid": each.pid}
                for each in self._reloads.inhibitors.list()
            ],
            "totals": self._totals(),
            "log_daemons": {state.name: _log_daemon(state) for state in self._log_states()},
        }
        return json.dumps(document, indent=2, sort_keys=True)


def _host(facts: HostFacts, snapshot: Snapshot) -> dict[str, object]:
    return {
        "version": __version__,
        "nested": snapshot.nested.value,
        "nested_at_boot": snapshot.nested_at_boot.value,
        "nested_decided_by": snapshot.nested_decided_by,
        "backend": snapshot.backend,
        "vendor": snapshot.vendor.value,
        "host_module": snapshot.host_module or None,
        "host_virtualization": snapshot.virtualization,
        "kernel": {"release": facts.release, "machine": facts.machine},
        "kmod": facts.kmod,
        "kmod_problem": facts.kmod_problem,
        "modules_disabled": facts.modules_disabled,
        "config_problems": list(facts.problems),
    }


def _module(module: Module) -> dict[str, object]:
    return {
        "availability": module.availability.value,
        "loaded": module.loaded,
        "refcount": module.refcount,
        "parameters": dict(module.parameters),
        "configured": dict(module.configured),
        "assignments": [
            {
                "parameter": each.parameter,
                "value": each.value,
                "file": each.file,
                "line": each.line,
            }
            for each in module.assignments
        ],
        "nested": module.nested.value,
        "nested_configured": module.nested_configured.value,
        "nested_next": module.nested_next.value,
        "state": module.state.value,
        "nested_at_boot": module.nested_at_boot.value,
        "load_obstacles": [
            {"kind": each.kind, "text": each.text, "file": each.file, "line": each.line}
            for each in module.load_obstacles
        ],
        "pending": [
            {"parameter": each.parameter, "running": each.running, "next": each.next}
            for each in module.pending
        ],
        "read_error": module.read_error,
    }


def _log_daemon(state: LogState) -> dict[str, object]:
    return {
        "config_file": state.config_file,
        "config_error": state.config.error,
        "active": state.active,
        "filters": log_filters.canonical(state.config.filters),
        "outputs": log_outputs.canonical(state.config.outputs),
        "level": state.config.level,
        "overridden_by": state.overridden_by,
        "debug_until": state.debug.until,
        "debug_filters": state.debug.filters,
        "debug_file": state.debug.file,
        "debug_bytes": state.debug.written,
        "activation": state.activation.value,
        "warnings": list(state.warnings),
    }


def _job(job: Job, blockers: Sequence[Blocker]) -> dict[str, object]:
    return {
        "id": job.id,
        "kind": "reload",
        "module": job.module,
        "uid": job.uid,
        "state": job.state.value,
        "blockers": [_blocker(each) for each in blockers],
        "error": job.error,
        "since": job.since,
    }


def _blocker(blocker: Blocker) -> dict[str, object]:
    return {
        "kind": blocker.kind.value,
        "name": blocker.name,
        "pid": blocker.pid,
        "detail": blocker.detail,
    }
