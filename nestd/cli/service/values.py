# SPDX-License-Identifier: LGPL-2.1-or-later
"""The values that nestd returns. Field names are the keys of nestctl's JSON and are stable.

A field is read from the property of the same name (exceptions are in PROPERTIES); if a service of
version 1.0 lacks the property, the field keeps its default. These are NamedTuples, since frozen
dataclasses take ten times as long to define at each start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, TypeVar, Union

from nestd.dbus.values import Variant
from nestd.formats.modprobe.load_obstacle import LoadObstacle

Properties = Mapping[str, Variant]
KERNEL_DEFAULT = "kernel default"
JOB_ENDS = ("done", "failed", "rolled-back", "cancelled")

_Value = TypeVar("_Value")


class Assignment(NamedTuple):
    """One assignment for the next load of a module; line 0 is the kernel command line."""

    parameter: str
    value: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """Its file and line, in words."""
        return place(self.file, self.line)


class Difference(NamedTuple):
    """A parameter that the next load changes."""

    parameter: str
    running: str
    next: str


class Blocker(NamedTuple):
    """Something that blocks a reload of a module; pid is 0 if it is not a process."""

    kind: str
    name: str
    pid: int
    detail: str


class Module(NamedTuple):
    """One KVM module; the words are those of org.nestd1.Module.

    nested_at_boot is "" and pending None if the service does not report them.
    """

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
    nested_at_boot: str = ""
    load_obstacles: tuple[LoadObstacle, ...] = ()
    pending: tuple[Difference, ...] | None = None
    read_error: str = ""

    def decides(self, parameter: str) -> Assignment | None:
        """The assignment of a parameter that wins at the next load."""
        found = [each for each in self.assignments if each.parameter == parameter]
        return found[-1] if found else None


class Machine(NamedTuple):
    """A process that runs a KVM virtual machine."""

    pid: int
    name: str
    vmm: str
    unit: str


class Guest(NamedTuple):
    """A virtual machine and its nesting; the words are those of ListGuests."""

    pid: int
    name: str
    vmm: str
    unit: str
    exposed: str = "unknown"
    exposed_by: str = ""
    nesting: str = "unknown"
    nested_runs: int = 0
    nesting_by: str = ""


class Job(NamedTuple):
    """A reload; since is in microseconds since 1970, 0 if the service does not report it."""

    id: int
    kind: str
    module: str
    uid: int
    state: str
    blockers: tuple[Blocker, ...]
    error: str
    since: int = 0


class Inhibitor(NamedTuple):
    """A client that blocks reloads."""

    who: str
    why: str
    uid: int
    pid: int


class LogDaemon(NamedTuple):
    """A libvirt daemon; debug_until is in microseconds since 1970, 0 without a session.

    activation is "" if the service does not report it.
    """

    name: str
    config_file: str
    active: bool
    filters: str
    outputs: str
    level: int
    overridden_by: str
    debug_until: int
    config_error: str
    activation: str = ""
    warnings: tuple[str, ...] = ()
    debug_filters: str = ""
    debug_file: str = ""
    debug_bytes: int = 0

    @property
    def other_warnings(self) -> tuple[str, ...]:
        """The warnings without those that repeat the file's error."""
        error = self.config_error
        return tuple(each for each in self.warnings if not error or error not in each)


class Finding(NamedTuple):
    """One result of a check; verdict is "pass", "note", "warn" or "fail"."""

    id: str
    verdict: str
    summary: str
    hint: str


class Refusal(NamedTuple):
    """The error that a request would get."""

    name: str
    text: str


class Plan(NamedTuple):
    """What a change would do."""

    diff: str = ""
    steps: tuple[str, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    warnings: tuple[str, ...] = ()
    token: str = ""
    refusal: Refusal | None = None


class Entry(NamedTuple):
    """A past change or reload; time is in microseconds since 1970; uid is -1 if not reported.

    before is what a change replaced in a file, keyed by parameter or "filters" and "outputs";
    undoable says whether the file is still as the change wrote it.
    """

    time: int
    kind: str
    subject: str
    result: str
    uid: int = -1
    asked: str = ""
    error: str = ""
    before: Mapping[str, str] | None = None
    undoable: bool = False

    @property
    def is_change(self) -> bool:
        """Whether it changed parameters or log settings."""
        return self.kind in ("change", "logs") and self.result == "done"


class Nested(NamedTuple):
    """Nested virtualization on the host as a whole.

    decided_by is the place of the assignment that takes effect at the next load, None for the
    default.
    """

    running: str
    at_boot: str
    configured: str
    next: str
    state: str
    decided_by: str | None


class Host(NamedTuple):
    """The state of the whole host. jobs has only jobs that have not ended."""

    nested: Nested
    version: str
    vendor: str
    host_module: str
    host_virtualization: str
    backend: str
    machine_count: int
    machines_known: bool
    machines: tuple[Machine, ...]
    modules: Mapping[str, Module]
    jobs: tuple[Job, ...]
    inhibitors: tuple[Inhibitor, ...]
    log_daemons: Mapping[str, LogDaemon]

    @property
    def main(self) -> Module | None:
        """The module that holds the "nested" parameter."""
        return self.modules.get(self.host_module)


PROPERTIES: Mapping[str, str] = {"refcount": "RefCount", "module": "Subject", "uid": "StartedByUid"}
"""Properties whose names differ from their fields'."""
_STRUCTS: Mapping[str, type] = {
    "assignments": Assignment,
    "blockers": Blocker,
    "load_obstacles": LoadObstacle,
    "pending": Difference,
}


def property_of(field: str) -> str:
    """The D-Bus property of a field, such as NestedNext for nested_next."""
    return PROPERTIES.get(field) or "".join(word.capitalize() for word in field.split("_"))


def place(file: str, line: int) -> str:
    """A file and line, or the kernel command line, in words."""
    if line:
        return f"{file}:{line}"
    return "the kernel command line" if file in ("", "/proc/cmdline") else file


def last_name(path: object) -> str:
    """The last part of an object path; "" for "/"."""
    return str(path).rsplit("/", 1)[-1]


def blockers(given: Iterable[Any]) -> tuple[Blocker, ...]:
    """Blockers from a(ssus)."""
    return tuple(Blocker(*each) for each in given)


def from_properties(kind: Callable[..., _Value], given: Properties) -> _Value:
    """A value of type KIND from the properties of an object."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    known = {field: given.get(property_of(field)) for field in fields}
    return kind(**{field: _shaped(field, value) for field, value in known.items() if value})


def from_keys(kind: Callable[..., _Value], given: Properties) -> _Value:
    """A value of type KIND from an a{sv} with its fields as keys; other keys are ignored."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    return kind(**{field: _shaped(field, given[field]) for field in fields if field in given})


def _shaped(field: str, given: Variant) -> Any:
    value: Any = given.value
    if field == "module":
        return last_name(value)
    if field == "refusal":
        return Refusal(*value)
    if field in _STRUCTS:
        return tuple(_STRUCTS[field](*each) for each in value)
    return tuple(value) if isinstance(value, list) else value


def host(
    manager: Properties,
    objects: Mapping[str, Mapping[str, Properties]],
    machines: Iterable[Any],
    inhibitors: Iterable[Any],
) -> Host:
    """The host from the manager's properties, GetManagedObjects, ListMachines, ListInhibitors."""
    found: dict[str, list[Properties]] = {}
    for path in sorted(objects):
        for interface, properties in objects[path].items():
            found.setdefault(interface, []).append(properties)
    value: dict[str, Any] = {name: variant.value for name, variant in manager.items()}
    modules = [from_properties(Module, each) for each in found.get("org.nestd1.Module", ())]
    daemons = [from_properties(LogDaemon, each) for each in found.get("org.nestd1.LogDaemon", ())]
    jobs = [from_properties(Job, each) for each in found.get("org.nestd1.Job", ())]
    by_name = {each.name: each for each in modules}
    main = last_name(value["HostModule"])
    return Host(
        nested=_nested(value, by_name.get(main)),
        version=value["Version"],
        vendor=value["Vendor"],
        host_module=main,
        host_virtualization=value["HostVirtualization"],
        backend=value.get("Backend", ""),
        machine_count=value["MachineCount"],
        machines_known=value.get("MachinesKnown", True),
        machines=tuple(sorted((Machine(*each) for each in machines), key=lambda one: one.name)),
        modules=by_name,
        jobs=tuple(sorted(each for each in jobs if each.state not in JOB_ENDS)),
        inhibitors=tuple(Inhibitor(*each) for each in inhibitors),
        log_daemons={each.name: each for each in daemons},
    )


def _nested(manager: Mapping[str, Any], module: Module | None) -> Nested:
    decides = module.decides("nested") if module else None
    decided = manager.get("NestedDecidedBy") or KERNEL_DEFAULT
    backend = manager.get("Backend", "")
    return Nested(
        running=manager.get("Nested") or (module.nested if module else "unknown"),
        at_boot=manager.get("NestedAtBoot") or (module.nested_at_boot if module else ""),
        configured=module.nested_configured if module else "unset",
        next=module.nested_next if module else "default",
        state=module.state if module else "builtin" if backend == "builtin" else "missing",
        decided_by=decides.place if decides else None if decided == KERNEL_DEFAULT else decided,
    )


Plain = Union[str, int, float, bool, None, "list[Any]", "dict[str, Any]"]


def as_plain(value: Any) -> Plain:
    """A value as dicts, lists and scalars, for JSON."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): as_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(each) for each in value]
    plain: Plain = value
    return plain
