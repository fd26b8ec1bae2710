# SPDX-License-Identifier: LGPL-2.1-or-later
"""The types shared by all of nestd. A Snapshot is the whole state at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from nestd.formats.modprobe.load_obstacle import LoadObstacle
from nestd.formats.modprobe.next_load import Assignment
from nestd.host.kernel.sysfs import Availability


class Vendor(Enum):
    """The kind of KVM that a host has."""

    INTEL = "intel"
    AMD = "amd"
    POWER = "power"
    S390 = "s390"
    NONE = "none"


class Answer(Enum):
    """The answer to a yes-or-no question, possibly unknown."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    UNSET = "unset"
    DEFAULT = "default"
    INVALID = "invalid"


class ModuleState(Enum):
    """How a module's configured, next and running values relate."""

    IN_SYNC = "in-sync"
    RELOAD_PENDING = "reload-pending"
    OVERRIDDEN = "overridden"
    NOT_LOADED = "not-loaded"
    BUILTIN = "builtin"
    MISSING = "missing"
    CONFIG_ERROR = "config-error"


class When(Enum):
    """When a change takes effect."""

    NOW = "now"
    IDLE = "idle"
    BOOT = "boot"


class JobState(Enum):
    """The progress of a job; the last four are its results."""

    WAITING = "waiting"
    UNLOADING = "unloading"
    LOADING = "loading"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    CANCELLED = "cancelled"


class BlockerKind(Enum):
    """The kinds of things that prevent a reload."""

    MACHINE = "machine"
    PROCESS = "process"
    MODULE = "module"
    INHIBITOR = "inhibitor"
    BUILTIN = "builtin"
    MODULES_DISABLED = "modules-disabled"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Blocker:
    """One reason why a module cannot be reloaded now; pid is 0 if it is not a process."""

    kind: BlockerKind
    name: str
    pid: int
    detail: str

    def __str__(self) -> str:
        if not self.name:
            return f"{self.kind.value} of another user"  # see core/hidden
        process = f" (pid {self.pid})" if self.pid else ""
        return f"{self.kind.value} {self.name}{process}"


@dataclass(frozen=True)
class Machine:
    """A process that runs a KVM virtual machine."""

    pid: int
    name: str
    vmm: str
    unit: str


class Pending(NamedTuple):
    """A parameter whose running value differs from its value after the next load."""

    parameter: str
    running: str
    next: str  # as written; the kernel's default for "nested" if nothing sets it


@dataclass(frozen=True)
class Module:
    """One KVM module: its running, configured and next values."""

    name: str
    availability: Availability
    loaded: bool
    refcount: int
    parameters: Mapping[str, str]
    configured: Mapping[str, str]
    assignments: tuple[Assignment, ...]
    nested: Answer
    nested_configured: Answer
    nested_next: Answer
    state: ModuleState
    nested_at_boot: Answer  # nesting for guests after the next boot: YES, NO or UNKNOWN
    load_obstacles: tuple[LoadObstacle, ...]
    pending: tuple[Pending, ...]
    read_error: str  # why the running state cannot be read, else ""


@dataclass(frozen=True)
class Snapshot:
    """The state of the host. host_module is "" if no module has a "nested" parameter.

    nested and nested_at_boot apply to the host as a whole; nested_decided_by says what decides
    the latter, backend what provides KVM (see nestd.core.modules.boot and backend).
    """

    nested: Answer
    nested_at_boot: Answer
    nested_decided_by: str
    backend: str
    vendor: Vendor
    host_module: str
    virtualization: str
    machine_count: int
    modules: Mapping[str, Module]
