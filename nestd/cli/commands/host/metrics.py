# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl metrics: this host's state for Prometheus, on standard output or in a file.

Words, such as a module's state, are labels: only the current one has a sample, of value 1.
node_exporter reads files, hence --textfile and --output.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.local.new_file import READABLE, new_file
from nestd.cli.service.errors import Exit
from nestd.cli.service.values import Finding, Guest, Host
from nestd.formats.openmetrics import Family, Kind, Sample, openmetrics, textfile

_MICROSECONDS = 1e6
_EXPOSED = ("yes", "no", "unknown")
_NESTING = ("used", "not-used", "unknown")


def add_to(commands: Any) -> None:
    """Add the command."""
    about = "Print this host's state as metrics for Prometheus"
    parser = add_command(commands, "metrics", run, about)
    help_ = "in the text format that node_exporter's textfile collector reads"
    parser.add_argument("--textfile", action="store_true", help=help_)
    help_ = "write them there, whole or not at all, instead of printing them"
    parser.add_argument("--output", type=Path, metavar="FILE", help=help_)


async def run(session: Session, chosen: Namespace) -> Exit:
    """Print or write the metrics."""
    client = session.client
    totals = json.loads(await client.describe()).get("totals", {})
    families = [
        *_state(await client.host()),
        *_guests(await client.guests()),
        _findings(await client.validate()),
        _results(totals),
    ]
    text = textfile(families) if chosen.textfile else openmetrics(families)
    if chosen.output is None:
        session.screen.write(text)
        return Exit.DONE
    with new_file(chosen.output, mode=READABLE) as file:
        file.write(text.encode())
    return Exit.DONE


def _state(host: Host) -> Iterator[Family]:
    labels = {"version": host.version, "vendor": host.vendor, "module": host.host_module}
    yield Family("nestd_info", "The version of nestd, and the KVM of this host.", [_one(**labels)])
    text = "Nested virtualization: running, at the next boot, and as kvm.conf has it."
    nested = host.nested
    states = {"running": nested.running, "boot": nested.at_boot, "configured": nested.configured}
    samples = [_one(at=at, state=each) for at, each in states.items() if each]
    yield Family("nestd_nested", text, samples)
    text = "KVM virtual machines that run; a lower bound where nestd may not look at all of them."
    yield Family("nestd_machines", text, [Sample(host.machine_count)])
    yield from _modules(host)
    yield from _jobs(host)
    yield from _debug_sessions(host)


def _modules(host: Host) -> Iterator[Family]:
    modules = list(host.modules.values())
    text = "Whether the module is loaded."
    loaded = [Sample(int(each.loaded), {"module": each.name}) for each in modules]
    yield Family("nestd_module_loaded", text, loaded)
    text = "The state of the module: in-sync, reload-pending, overridden, config-error and so on."
    states = [_one(module=each.name, state=each.state) for each in modules]
    yield Family("nestd_module_state", text, states)
    text = "Parameters of the module that its next load changes."
    drift = [
        Sample(len(each.pending), {"module": each.name})
        for each in modules
        if each.pending is not None
    ]
    yield Family("nestd_module_drift", text, drift)


def _jobs(host: Host) -> Iterator[Family]:
    counts = Counter((each.module, each.state) for each in host.jobs)
    text = "Reloads that wait or are under way."
    samples = [
        Sample(count, {"module": module, "state": state})
        for (module, state), count in counts.items()
    ]
    yield Family("nestd_jobs", text, samples)
    text = "When the oldest reload of the module that waits was asked for, in seconds since 1970."
    oldest: dict[str, int] = {}
    for job in host.jobs:
        if job.state == "waiting" and job.since:
            oldest[job.module] = min(job.since, oldest.get(job.module, job.since))
    times = [Sample(each / _MICROSECONDS, {"module": name}) for name, each in oldest.items()]
    yield Family("nestd_job_waiting_since_timestamp_seconds", text, times)


def _debug_sessions(host: Host) -> Iterator[Family]:
    daemons = list(host.log_daemons.values())
    text = "Whether a debug session of the daemon runs."
    active = [Sample(int(bool(each.debug_until)), {"daemon": each.name}) for each in daemons]
    yield Family("nestd_debug_session_active", text, active)
    running = [each for each in daemons if each.debug_until]
    text = "When the debug session of the daemon ends, in seconds since 1970."
    ends = [Sample(each.debug_until / _MICROSECONDS, {"daemon": each.name}) for each in running]
    yield Family("nestd_debug_session_end_timestamp_seconds", text, ends)
    text = "How much the debug session of the daemon has written."
    sizes = [Sample(each.debug_bytes, {"daemon": each.name}) for each in running]
    yield Family("nestd_debug_session_bytes", text, sizes)


def _guests(guests: Sequence[Guest]) -> Iterator[Family]:
    text = "Virtual machines by whether their processor has what a hypervisor needs."
    exposed = Counter(each.exposed for each in guests)
    samples = [Sample(exposed[each], {"exposed": each}) for each in _EXPOSED]
    yield Family("nestd_machines_exposed", text, samples)
    text = "Virtual machines by whether they have run guests of their own."
    nesting = Counter(each.nesting for each in guests)
    samples = [Sample(nesting[each], {"nesting": each}) for each in _NESTING]
    yield Family("nestd_machines_nesting", text, samples)


def _findings(findings: Sequence[Finding]) -> Family:
    text = "The verdict of each check of nestctl validate."
    samples = [_one(id=each.id, verdict=each.verdict) for each in findings]
    return Family("nestd_finding", text, samples)


def _results(totals: Mapping[str, Mapping[str, int]]) -> Family:
    text = "Changes, reloads and debug sessions that have ended, by kind and result."
    samples = [
        Sample(count, {"kind": kind, "result": result})
        for kind, counts in sorted(totals.items())
        for result, count in sorted(counts.items())
    ]
    return Family("nestd_results", text, samples, Kind.COUNTER)


def _one(**labels: str) -> Sample:
    return Sample(1, labels)
