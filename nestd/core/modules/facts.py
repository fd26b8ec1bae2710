# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that was read of the host at one moment, from which everything else is derived.

HostFacts is the host; HostFacts.module(name) is one of KVM's modules on it: what runs, what is
configured, what the next load passes, and how these differ.
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

# Of s390x's kvm: it loads with one of them on, not with both (arch/s390/kvm/kvm-s390.c).
EXCLUSIVE = (NESTED, "hpage")
_LIFTS_EXCLUSION = "hpage_2g"  # the kernel that brought this parameter (7.2) allows both

# The same files are asked about many times for one look at the host.
_next_load = lru_cache(maxsize=32)(next_load)
_configured = lru_cache(maxsize=32)(configured)


class RestOfHost(NamedTuple):
    """How what few answers need is read, when one needs it."""

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
    kmod_problem: str  # why modprobe did not tell its version: kmod is a guess; "" where it did
    modules: Mapping[str, ModuleFacts]
    types: Mapping[str, Mapping[str, ParameterType]]
    own: OwnFile
    files: tuple[ConfigFile, ...]
    cmdline: bytes
    problems: tuple[str, ...]
    stopping: tuple[StoppingFile, ...]  # of the problems, what a load would hang or go astray in
    needs: Mapping[str, tuple[str, ...]]  # by module, in loading order
    needed: Mapping[str, ModuleFacts]  # the others that KVM's need
    private: frozenset[str]  # files that not everybody may read
    ignored: tuple[ConfigFile, ...]  # files of modprobe.d that kmod does not read
    boot_loads: BootLoads
    kvm_nests: bool | None  # what arm64's KVM says of itself, None where that is not known
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
        """Modules of KVM that nestd does not know."""
        return self.rest.other_providers()

    @cached_property
    def has_device(self) -> bool:
        """Whether there is /dev/kvm."""
        return self.rest.has_device()

    @cached_property
    def boot_setup(self) -> BootSetup:
        """How the kernel command line is changed here."""
        return self.rest.boot_setup()

    def is_as(self, before: HostFacts) -> bool:
        """Whether all that was derived from the facts of an earlier look is true of these.

        Of what is read on demand that counts which was asked for then.
        """
        mine, theirs = self.__dict__, before.__dict__
        names = (name for name in HostFacts.__dataclass_fields__ if name != "rest")
        if not all(mine[name] is theirs[name] or mine[name] == theirs[name] for name in names):
            return False
        asked = (name for name in RestOfHost._fields if name in theirs)
        return all(getattr(self, name) == theirs[name] for name in asked)

    @cached_property
    def arm_mode(self) -> ArmMode:
        """What the kernel command line asks of arm64's KVM."""
        return arm_mode(self.cmdline)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """The stopping files, one sentence each."""
        return tuple(map(str, self.stopping))

    def for_reader(self, *, sees_all: bool) -> HostFacts:
        """The same host, for one who may see the text of private files or may not."""
        return replace(self, private=frozenset()) if sees_all and self.private else self

    def text(self, origin: Origin) -> str:
        """What stands there, "" where it is not for everybody to read."""
        return "" if origin.file in self.private else origin.text

    @property
    def hides_own(self) -> bool:
        """Whether not everybody may read kvm.conf, or what an edit of it starts from."""
        name = _basename(self.own.path)
        return any(_basename(path) == name for path in self.private)

    def is_loaded(self, name: str) -> bool:
        """Whether NAME, one of KVM's modules or of those that they need, is loaded now."""
        facts = self.modules.get(name) or self.needed.get(name)
        return facts is not None and facts.loaded

    def module(self, name: str) -> KvmModule:
        """The module NAME, KVM's or one that KVM's need. Raises KeyError for another one."""
        return self._modules[name]

    def load_of(self, name: str) -> NextLoad:
        """What a load of any module would pass, be it one that there is not here."""
        return _next_load(self.files, self.cmdline, name, kmod=self.kmod)

    @property
    def bad_lines(self) -> tuple[Origin, ...]:
        """The lines of all files that libkmod ignores with a warning; the same for each module."""
        return _next_load(self.files, self.cmdline, "kvm", kmod=self.kmod).bad_lines

    def with_own(self, data: bytes) -> HostFacts:
        """The same host with DATA in kvm.conf."""
        name = _basename(self.own.path)
        files = [file for file in self.files if _basename(file.path) != name]
        files.append(ConfigFile(self.own.path, data))
        # kmod's order: by the bytes of the base name, whatever the directory.
        files.sort(key=lambda file: _basename(file.path).encode("utf-8", "surrogateescape"))
        own = replace(self.own, data=data, base=data)
        return replace(self, own=own, files=tuple(files))

    @cached_property
    def _modules(self) -> Mapping[str, KvmModule]:
        return {name: KvmModule(self, name) for name in (*self.needed, *self.modules)}


@dataclass(frozen=True)
class KvmModule:
    """One of KVM's modules: what was read of it, and how running, configured and next compare."""

    host: HostFacts
    name: str

    @property
    def running(self) -> ModuleFacts:
        """What sysfs and depmod's lists say of it."""
        found = self.host.modules.get(self.name)
        return self.host.needed[self.name] if found is None else found

    @property
    def kernel(self) -> KernelVersion:
        """The kernel that loads it."""
        return version(self.host.release)

    @cached_property
    def types(self) -> Mapping[str, ParameterType]:
        """The parameters' types: what the module's file declares, and what is known of "nested"."""
        declared = self.host.types.get(self.name, {})
        return with_nested(self.host.machine, self.name, declared)

    def type_of(self, parameter: str) -> ParameterType:
        """The type of PARAMETER; UNKNOWN where nothing tells."""
        return self.types.get(parameter, ParameterType.UNKNOWN)

    @property
    def parameters(self) -> Set[str]:
        """The names of all parameters that are known of it."""
        return {*self.types, *self.running.parameters}

    @property
    def shown_assignments(self) -> tuple[Assignment, ...]:
        """What its next load passes, without the words in private files that are none of its
        parameters: those may be anything.
        """
        private, known = self.host.private, self.parameters
        return tuple(
            each
            for each in self.next_load.assignments
            if each.file not in private or each.parameter in known
        )

    @property
    def shown_configured(self) -> Mapping[str, str | None]:
        """What kvm.conf asks for, likewise."""
        if not self.host.hides_own:
            return self.configured
        known = self.parameters
        return {name: value for name, value in self.configured.items() if name in known}

    @cached_property
    def next_load(self) -> NextLoad:
        """What its next load passes."""
        host = self.host
        # Of the kernel image's modules the kernel command line alone sets parameters.
        builtin = self.running.availability is Availability.BUILTIN
        return _next_load(() if builtin else host.files, host.cmdline, self.name, kmod=host.kmod)

    @cached_property
    def next_values(self) -> Mapping[str, str | None]:
        """What the next load gives to each parameter that is assigned at all."""
        return {each.parameter: each.value for each in self.next_load.assignments}

    @cached_property
    def configured(self) -> Mapping[str, str | None]:
        """What kvm.conf asks for: the last assignment of each parameter (None: without "=")."""
        own = self.host.own.data or b""
        return MappingProxyType(_configured(own, self.name, kmod=self.host.kmod))

    @property
    def needed(self) -> tuple[KvmModule, ...]:
        """The modules that a load of it needs, in the order of loading."""
        return tuple(map(self.host.module, self.host.needs.get(self.name, ())))

    @property
    def holds_nested(self) -> bool:
        """Whether it is a module with the parameter "nested"."""
        return self.name in nested_holders(self.host.machine)

    @property
    def default_nested(self) -> Answer:
        """What "nested" is where nothing sets it; UNKNOWN where kernels differ."""
        return default_nested(self.name, self.kernel)

    @cached_property
    def pending(self) -> tuple[str, ...]:
        """The parameters that run with another value than the next load would give them."""
        return differing(self.next_values, self.running.parameters, self.types)

    @property
    def refused(self) -> Assignment | None:
        """The first assignment that would make the next load fail, if there is one."""
        return next(iter(self.all_refused), None)

    @cached_property
    def all_refused(self) -> tuple[Assignment, ...]:
        """The assignments of which each would make the next load fail."""
        return tuple(
            each
            for each in self.next_load.assignments
            if not acceptable(self.type_of(each.parameter), each.value, self.kernel)
        )

    @cached_property
    def overridden(self) -> Mapping[str, Assignment]:
        """kvm.conf's parameters that something else sets otherwise, with the winner."""
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
        """Whether the next load fails since it has both of EXCLUSIVE on."""
        values = (self.next_values.get(each, "0") for each in EXCLUSIVE)
        return self.may_conflict and all(
            canonical(ParameterType.INT, value) != "0" for value in values
        )


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def with_nested(
    machine: str, module: str, declared: Mapping[str, ParameterType]
) -> Mapping[str, ParameterType]:
    """The types that MODULE's file DECLARED, and of "nested" where there is no file to tell."""
    holders = nested_holders(machine)
    return {NESTED: holders[module], **declared} if module in holders else declared
