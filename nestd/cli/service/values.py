# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestd tells, as frozen values. Field names are the keys of nestctl's JSON: stable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nestd.dbus.connection.wire import Variant

Properties = Mapping[str, Variant]
JOB_ENDS = ("done", "failed", "rolled-back", "cancelled")


@dataclass(frozen=True)
class Assignment:
    """One assignment that the next load of a module passes; line 0 is the kernel command line."""

    parameter: str
    value: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"{self.file}:{self.line}" if self.line else "the kernel command line"


@dataclass(frozen=True)
class Module:
    """One KVM module; the words are those of org.nestd1.Module."""

    name: str
    availability: str
    loaded: bool
    refcount: int
    parameters: Mapping[str, str]
    configured: Mapping[str, str]
    assignments: tuple[Assignment, ...]
    nested: str
    nested_configured: str
    nested_next: str
    state: str

    def decides(self, parameter: str) -> Assignment | None:
        """The assignment of a parameter that wins at the next load."""
        found = [each for each in self.assignments if each.parameter == parameter]
        return found[-1] if found else None


@dataclass(frozen=True)
class Machine:
    """A process that runs a KVM virtual machine."""

    pid: int
    name: str
    vmm: str
    unit: str


@dataclass(frozen=True)
class Blocker:
    """What keeps a module from being reloaded; pid 0 where it is no process."""

    kind: str
    name: str
    pid: int
    detail: str


@dataclass(frozen=True)
class Job:
    """A reload."""

    id: int
    kind: str
    module: str
    uid: int
    state: str
    blockers: tuple[Blocker, ...]
    error: str


@dataclass(frozen=True)
class Inhibitor:
    """Who asked for no reloads."""

    who: str
    why: str
    uid: int
    pid: int


@dataclass(frozen=True)
class LogDaemon:
    """A libvirt daemon; debug_until in microseconds since 1970, 0 where no session runs."""

    name: str
    config_file: str
    active: bool
    filters: str
    outputs: str
    level: int
    overridden_by: str
    debug_until: int
    config_error: str


@dataclass(frozen=True)
class Finding:
    """One result of a check; verdict is "pass", "note", "warn" or "fail"."""

    id: str
    verdict: str
    summary: str
    hint: str


@dataclass(frozen=True)
class Refusal:
    """The error that a request would meet."""

    name: str
    text: str


@dataclass(frozen=True)
class Plan:
    """What a change would do."""

    diff: str
    steps: tuple[str, ...]
    blockers: tuple[Blocker, ...]
    warnings: tuple[str, ...]
    token: str
    refusal: Refusal | None


@dataclass(frozen=True)
class Host:
    """The state of the whole host. Jobs are those that have not ended."""

    version: str
    vendor: str
    host_module: str
    host_virtualization: str
    machine_count: int
    machines: tuple[Machine, ...]
    modules: Mapping[str, Module]
    jobs: tuple[Job, ...]
    inhibitors: tuple[Inhibitor, ...]
    log_daemons: Mapping[str, LogDaemon]

    @property
    def main(self) -> Module | None:
        """The module that holds the "nested" parameter."""
        return self.modules.get(self.host_module)


def blockers(given: Iterable[Any]) -> tuple[Blocker, ...]:
    """From a(ssus)."""
    return tuple(Blocker(*each) for each in given)


def last_name(path: object) -> str:
    """The last part of an object path; "" for "/"."""
    return str(path).rsplit("/", 1)[-1]


def module(given: Properties) -> Module:
    """From the properties of org.nestd1.Module."""
    value = _unpack(given)
    return Module(
        name=value["Name"],
        availability=value["Availability"],
        loaded=value["Loaded"],
        refcount=value["RefCount"],
        parameters=value["Parameters"],
        configured=value["Configured"],
        assignments=tuple(Assignment(*each) for each in value["Assignments"]),
        nested=value["Nested"],
        nested_configured=value["NestedConfigured"],
        nested_next=value["NestedNext"],
        state=value["State"],
    )


def job(given: Properties) -> Job:
    """From the properties of org.nestd1.Job."""
    value = _unpack(given)
    return Job(
        id=value["Id"],
        kind=value["Kind"],
        module=last_name(value["Subject"]),
        uid=value["StartedByUid"],
        state=value["State"],
        blockers=blockers(value["Blockers"]),
        error=value["Error"],
    )


def log_daemon(given: Properties) -> LogDaemon:
    """From the properties of org.nestd1.LogDaemon."""
    value = _unpack(given)
    return LogDaemon(
        name=value["Name"],
        config_file=value["ConfigFile"],
        active=value["Active"],
        filters=value["Filters"],
        outputs=value["Outputs"],
        level=value["Level"],
        overridden_by=value["OverriddenBy"],
        debug_until=value["DebugUntil"],
        config_error=value["ConfigError"],
    )


def plan(given: Properties) -> Plan:
    """From what Module.Plan or LogDaemon.Plan return; a key that is not there is empty."""
    value = _unpack(given)
    return Plan(
        diff=value.get("diff", ""),
        steps=tuple(value.get("steps", ())),
        blockers=blockers(value.get("blockers", ())),
        warnings=tuple(value.get("warnings", ())),
        token=value.get("token", ""),
        refusal=Refusal(*value["refusal"]) if "refusal" in value else None,
    )


def host(
    manager: Properties,
    objects: Mapping[str, Mapping[str, Properties]],
    machines: Iterable[Any],
    inhibitors: Iterable[Any],
) -> Host:
    """From the manager's properties, GetManagedObjects, ListMachines and ListInhibitors."""
    found: dict[str, list[Properties]] = {}
    for path in sorted(objects):
        for interface, properties in objects[path].items():
            found.setdefault(interface, []).append(properties)
    value = _unpack(manager)
    modules = [module(each) for each in found.get("org.nestd1.Module", ())]
    daemons = [log_daemon(each) for each in found.get("org.nestd1.LogDaemon", ())]
    jobs = [job(each) for each in found.get("org.nestd1.Job", ())]
    current = [each for each in jobs if each.state not in JOB_ENDS]
    return Host(
        version=value["Version"],
        vendor=value["Vendor"],
        host_module=last_name(value["HostModule"]),
        host_virtualization=value["HostVirtualization"],
        machine_count=value["MachineCount"],
        machines=tuple(sorted((Machine(*each) for each in machines), key=lambda one: one.name)),
        modules={each.name: each for each in modules},
        jobs=tuple(sorted(current, key=lambda one: one.id)),
        inhibitors=tuple(Inhibitor(*each) for each in inhibitors),
        log_daemons={each.name: each for each in daemons},
    )


def _unpack(given: Properties) -> dict[str, Any]:
    return {name: variant.value for name, variant in given.items()}
