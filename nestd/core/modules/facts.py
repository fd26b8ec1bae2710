# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything read from the host at one moment, from which all else is derived.

HostFacts is the host; HostFacts.module(name) is one of KVM's modules: its running and configured
values, those that the next load passes, and their differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from nestd.core.model import Answer
from nestd.core.modules.values import NESTED, acceptable, canonical, differing, same, version
from nestd.core.modules.vendors import default_nested, nested_holders
from nestd.formats.arm_mode import ArmMode, arm_mode
from nestd.formats.modprobe.boot_arguments import BootSetup
from nestd.formats.modprobe.edit import configured
from nestd.formats.modprobe.kernel_params import KernelVersion, ParameterType
from nestd.formats.modprobe.next_load import (
    Assignment,
    ConfigFile,
    NextLoad,
    Origin,
    next_load,
)
from nestd.host.kernel.sysfs import Availability, ModuleFacts
from nestd.host.modprobe.boot_loads import BootLoads
from nestd.host.modprobe.config import StoppingFile
from nestd.host.modprobe.kvm_conf import OwnFile

# Parameters of s390x's kvm, which loads with one of them on but not both
# (arch/s390/kvm/kvm-s390.c).
EXCLUSIVE = (NESTED, "hpage")
_LIFTS_EXCLUSION = "hpage_2g"  # the kernel with this parameter (7.2) allows both

# One look at the host queries the same files many times.
_next_load = lru_cache(maxsize=32)(next_load)
_configured = lru_cache(maxsize=32)(configured)


class RestOfHost(NamedTuple):
    """Readers for facts that few answers need, called on demand."""

    modules_disabled: Callable[[], bool]
    installed: Callable[[], Set[str]]
    other_providers: Callable[[], tuple[str, ...]]
    has_device: Callable[[], bool]
    boot_setup: Callable[[], BootSetup]


@dataclass(frozen=True)
class HostFacts:
    """The host at one moment; modules by name, types by module and parameter."""

    machine: str
    release: str
    kmod: int
    kmod_problem: str  # why modprobe gave no version, so that kmod is a guess; else ""
    modules: Mapping[str, ModuleFacts]
    types: Mapping[str, Mapping[str, ParameterType]]
    own: OwnFile
    files: tuple[ConfigFile, ...]
    cmdline: bytes
    problems: tuple[str, ...]
    stopping: tuple[StoppingFile, ...]  # those of the problems that make a load hang or misbehave
    needs: Mapping[str, tuple[str, ...]]  # needed modules by module, in loading order
    needed: Mapping[str, ModuleFacts]  # other modules that KVM's need
    private: frozenset[str]  # files that some users cannot read
    ignored: tuple[ConfigFile, ...]  # files of modprobe.d that kmod ignores
    boot_loads: BootLoads
    kvm_nests: bool | None  # arm64's KVM's own answer, None if unknown
    rest: RestOfHost

    @cached_property
    def modules_disabled(self) -> bool:
        """Whether kernel.modules_disabled forbids loading and unloading until the next boot."""
        return self.rest.modules_disabled()

    @cached_property
    def installed(self) -> Set[str]:
        """The modules that this kernel has."""
        return self.rest.installed()

    @cached_property
    def other_providers(self) -> tuple[str, ...]:
        """KVM modules unknown to nestd."""
        return self.rest.other_providers()

    @cached_property
    def has_device(self) -> bool:
        """Whether /dev/kvm exists."""
        return self.rest.has_device()

    @cached_property
    def boot_setup(self) -> BootSetup:
        """How to change the kernel command line on this host."""
        return self.rest.boot_setup()

    def is_as(self, before: HostFacts) -> bool:
        """Whether everything derived from the earlier facts BEFORE also holds for these.

        Facts read on demand count if they were requested then.
        """
        mine, theirs = self.__dict__, before.__dict__
        names = (name for name in HostFacts.__dataclass_fields__ if name != "rest")
        if not all(mine[name] is theirs[name] or mine[name] == theirs[name] for name in names):
            return False
        asked = (name for name in RestOfHost._fields if name in theirs)
        return all(getattr(self, name) == theirs[name] for name in asked)

    @cached_property
    def arm_mode(self) -> ArmMode:
        """The mode requested for arm64's KVM on the kernel command line."""
        return arm_mode(self.cmdline)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The stopping files, one sentence each."""
        return tuple(map(str, self.stopping))

    def for_reader(self, *, sees_all: bool) -> HostFacts:
        """The same host for a reader; SEES_ALL is whether it may see the text of private files."""
        return replace(self, private=frozenset()) if sees_all and self.private else self

    def text(self, origin: Origin) -> str:
        """The text at ORIGIN, "" if the reader may not see it."""
        return "" if origin.file in self.private else origin.text

    @property
    def hides_own(self) -> bool:
        """Whether some users cannot read kvm.conf, or the file that an edit of it starts from."""
        name = _basename(self.own.path)
        return any(_basename(path) == name for path in self.private)

    def is_loaded(self, name: str) -> bool:
        """Whether NAME, one of KVM's modules or one that they need, is loaded now."""
        facts = self.modules.get(name) or self.needed.get(name)
        return facts is not None and facts.loaded

    def module(self, name: str) -> KvmModule:
        """The module NAME, one of KVM's or one that they need. Raises KeyError for others."""
        return self._modules[name]

    def load_of(self, name: str) -> NextLoad:
        """What a load of any module would pass, even of one that does not exist here."""
        return _next_load(self.files, self.cmdline, name, kmod=self.kmod)

    @property
    def bad_lines(self) -> tuple[Origin, ...]:
        """The lines in all files that libkmod ignores with a warning."""
        return _next_load(self.files, self.cmdline, "kvm", kmod=self.kmod).bad_lines

    def with_own(self, data: bytes) -> HostFacts:
        """The same host with DATA as the content of kvm.conf."""
        name = _basename(self.own.path)
        files = [file for file in self.files if _basename(file.path) != name]
        files.append(ConfigFile(self.own.path, data))
        # kmod's order: by the bytes of the base name, regardless of directory.
        files.sort(key=lambda file: _basename(file.path).encode("utf-8", "surrogateescape"))
        own = replace(self.own, data=data, base=data)
        return replace(self, own=own, files=tuple(files))

    @cached_property
    def _modules(self) -> Mapping[str, KvmModule]:
        return {name: KvmModule(self, name) for name in (*self.needed, *self.modules)}


@dataclass(frozen=True)
class KvmModule:
    """One of KVM's modules: its facts, and how running, configured and next values compare."""

    host: HostFacts
    name: str

    @property
    def running(self) -> ModuleFacts:
        """The facts from sysfs and depmod's lists."""
        found = self.host.modules.get(self.name)
        return self.host.needed[self.name] if found is None else found

    @property
    def kernel(self) -> KernelVersion:
        """The version of the kernel that loads it."""
        return version(self.host.release)

    @cached_property
    def types(self) -> Mapping[str, ParameterType]:
        """The parameters' types: those declared by the module's file, and "nested"'s known type."""
        declared = self.host.types.get(self.name, {})
        return with_nested(self.host.machine, self.name, declared)

    def type_of(self, parameter: str) -> ParameterType:
        """The type of PARAMETER; UNKNOWN if it is not known."""
        return self.types.get(parameter, ParameterType.UNKNOWN)

    @property
    def parameters(self) -> Set[str]:
        """The names of all known parameters."""
        return {*self.types, *self.running.parameters}

    @property
    def shown_assignments(self) -> tuple[Assignment, ...]:
        """The assignments of its next load, without words from private files that are not its
        parameters, since those may be anything.
        """
        private, known = self.host.private, self.parameters
        return tuple(
            each
            for each in self.next_load.assignments
            if each.file not in private or each.parameter in known
        )

    @property
    def shown_configured(self) -> Mapping[str, str | None]:
        """The configured values in kvm.conf, filtered likewise."""
        if not self.host.hides_own:
            return self.configured
        known = self.parameters
        return {name: value for name, value in self.configured.items() if name in known}

    @cached_property
    def next_load(self) -> NextLoad:
        """What its next load passes to the kernel."""
        host = self.host
        # Only the kernel command line sets parameters of built-in modules.
        builtin = self.running.availability is Availability.BUILTIN
        return _next_load(() if builtin else host.files, host.cmdline, self.name, kmod=host.kmod)

    @cached_property
    def next_values(self) -> Mapping[str, str | None]:
        """The value after the next load of each assigned parameter."""
        return {each.parameter: each.value for each in self.next_load.assignments}

    @cached_property
    def configured(self) -> Mapping[str, str | None]:
        """kvm.conf's values: the last assignment of each parameter (None: without "=")."""
        own = self.host.own.data or b""
        return MappingProxyType(_configured(own, self.name, kmod=self.host.kmod))

    @property
    def needed(self) -> tuple[KvmModule, ...]:
        """The modules that its load needs, in loading order."""
        return tuple(map(self.host.module, self.host.needs.get(self.name, ())))

    @property
    def holds_nested(self) -> bool:
        """Whether the module has the parameter "nested"."""
        return self.name in nested_holders(self.host.machine)

    @property
    def default_nested(self) -> Answer:
        """The default of "nested"; UNKNOWN if kernels differ."""
        return default_nested(self.name, self.kernel)

    @cached_property
    def pending(self) -> tuple[str, ...]:
        """The parameters whose running value differs from their value after the next load."""
        return differing(self.next_values, self.running.parameters, self.types)

    @property
    def refused(self) -> Assignment | None:
        """The first assignment that would make the next load fail, if any."""
        return next(iter(self.all_refused), None)

    @cached_property
    def all_refused(self) -> tuple[Assignment, ...]:
        """All assignments that would each make the next load fail."""
        return tuple(
            each
            for each in self.next_load.assignments
            if not acceptable(self.type_of(each.parameter), each.value, self.kernel)
        )

    @cached_property
    def overridden(self) -> Mapping[str, Assignment]:
        """kvm.conf's parameters that are overridden, each with the winning assignment."""
        lost = {}
        for parameter, value in self.configured.items():
            winner = self.next_load.effective(parameter)
            if (
                winner is not None
                and winner.file != self.host.own.path
                and not same(parameter, self.type_of(parameter), winner.value, value)
            ):
                lost[parameter] = winner
        return lost

    @property
    def may_conflict(self) -> bool:
        """Whether the module refuses to load with both of EXCLUSIVE on."""
        return self.host.machine == "s390x" and _LIFTS_EXCLUSION not in self.parameters

    @property
    def conflicts(self) -> bool:
        """Whether the next load fails because both of EXCLUSIVE are on."""
        values = (self.next_values.get(each, "0") for each in EXCLUSIVE)
        return self.may_conflict and all(
            canonical(ParameterType.INT, value) != "0" for value in values
        )


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def with_nested(
    machine: str, module: str, declared: Mapping[str, ParameterType]
) -> Mapping[str, ParameterType]:
    """The types DECLARED by MODULE's file, with "nested"'s added if there is no file."""
    holders = nested_holders(machine)
    return {NESTED: holders[module], **declared} if module in holders else declared
