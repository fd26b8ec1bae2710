# SPDX-License-Identifier: LGPL-2.1-or-later
"""From facts to a Snapshot: what runs, what is configured, what comes next, and who decides."""

from __future__ import annotations

from collections.abc import Mapping, Set
from types import MappingProxyType

from nestd.core.model import Answer, Module, ModuleState, Snapshot, Vendor
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import (
    NESTED,
    acceptable,
    answer,
    canonical,
    differing,
    same,
    version,
)
from nestd.core.modules.vendors import HOST_MODULES, default_nested, detect, nested_holders
from nestd.formats.modprobe.kernel_params import KernelVersion, ParameterType
from nestd.formats.modprobe.next_load import Assignment
from nestd.host.kernel.sysfs import Availability, ModuleFacts

# Of s390x's kvm, not to be on both (arch/s390/kvm/kvm-s390.c).
CLASHING = (NESTED, "hpage")
_NO_CLASH = "hpage_2g"  # the kernel that brought this parameter (7.2) no longer minds


def derive(facts: HostFacts, flags: Set[str], virtualization: str, machine_count: int) -> Snapshot:
    """The state that FACTS amount to. FLAGS are the processor's."""
    vendor = detect(facts.machine, facts.modules, flags)
    return Snapshot(
        vendor=vendor,
        host_module="" if vendor is Vendor.NONE else HOST_MODULES[vendor],
        virtualization=virtualization,
        machine_count=machine_count,
        modules=MappingProxyType({name: derive_module(facts, name) for name in facts.modules}),
    )


def derive_module(facts: HostFacts, name: str) -> Module:
    """One module's state."""
    running = facts.modules[name]
    assignments = facts.next_load(name).assignments
    own = facts.configured(name)
    types = facts.types_of(name)
    kind = types.get(NESTED, ParameterType.UNKNOWN)
    kernel = version(facts.release)
    return Module(
        name=name,
        availability=running.availability,
        loaded=running.loaded or running.availability is Availability.BUILTIN,
        refcount=running.refcount,
        parameters=running.parameters,
        configured=MappingProxyType(plain(own)),
        assignments=assignments,
        nested=_running(kind, running, kernel),
        nested_configured=answer(kind, own[NESTED], kernel) if NESTED in own else Answer.UNSET,
        nested_next=_next(facts, name, assignments),
        state=_state(facts, name, assignments),
    )


def refused(facts: HostFacts, name: str) -> Assignment | None:
    """The first assignment that would make the next load fail, if there is one."""
    types, kernel = facts.types_of(name), version(facts.release)
    for assignment in facts.next_load(name).assignments:
        kind = types.get(assignment.parameter, ParameterType.UNKNOWN)
        if not acceptable(kind, assignment.value, kernel):
            return assignment
    return None


def beaten(facts: HostFacts, name: str) -> dict[str, Assignment]:
    """kvm.conf's parameters that something else sets otherwise, with the winner."""
    types = facts.types_of(name)
    load = facts.next_load(name)
    lost = {}
    for parameter, value in facts.configured(name).items():
        winner = load.effective(parameter)
        kind = types.get(parameter, ParameterType.UNKNOWN)
        if (
            winner is not None
            and winner.file != facts.own.path
            and not same(parameter, kind, winner.value, value)
        ):
            lost[parameter] = winner
    return lost


def pending(facts: HostFacts, name: str) -> tuple[str, ...]:
    """The parameters that run with another value than the next load would give them."""
    return differing(next_values(facts, name), facts.modules[name].parameters, facts.types_of(name))


def next_values(facts: HostFacts, name: str) -> dict[str, str | None]:
    """What the next load gives to each parameter that is assigned at all."""
    return {each.parameter: each.value for each in facts.next_load(name).assignments}


def may_clash(facts: HostFacts, name: str) -> bool:
    """Whether the module refuses to load with both of CLASHING on."""
    parameters = {*facts.types_of(name), *facts.modules[name].parameters}
    return facts.machine == "s390x" and _NO_CLASH not in parameters


def clash(facts: HostFacts, name: str) -> bool:
    """Whether the next load fails since it has both of CLASHING on."""
    if not may_clash(facts, name):
        return False
    values = next_values(facts, name)
    return all(canonical(ParameterType.INT, values.get(each, "0")) != "0" for each in CLASHING)


def misplaced_nested(facts: HostFacts) -> tuple[tuple[str, Assignment], ...]:
    """`options kvm nested=` on x86, a common mistake: that module has no such parameter."""
    holders = nested_holders(facts.machine)
    return tuple(
        (name, assignment)
        for name in facts.modules
        if name not in holders
        for assignment in facts.next_load(name).assignments
        if assignment.parameter == NESTED
    )


def _running(kind: ParameterType, facts: ModuleFacts, kernel: KernelVersion) -> Answer:
    if NESTED not in facts.parameters or not (
        facts.loaded or facts.availability is Availability.BUILTIN
    ):
        return Answer.UNKNOWN
    found = answer(kind, facts.parameters[NESTED], kernel)
    return Answer.UNKNOWN if found is Answer.INVALID else found


def _next(facts: HostFacts, name: str, assignments: tuple[Assignment, ...]) -> Answer:
    stuck = facts.obstacles and facts.modules[name].availability is not Availability.BUILTIN
    if stuck or clash(facts, name):
        return Answer.INVALID
    kind, kernel = facts.types_of(name).get(NESTED, ParameterType.UNKNOWN), version(facts.release)
    nested = [each.value for each in assignments if each.parameter == NESTED]
    answers = [answer(kind, value, kernel) for value in nested]
    if not answers:
        return Answer.DEFAULT
    # One that does not parse fails the whole load, whatever comes after it.
    return Answer.INVALID if Answer.INVALID in answers else answers[-1]


def _state(facts: HostFacts, name: str, assignments: tuple[Assignment, ...]) -> ModuleState:
    running = facts.modules[name]
    if running.availability is Availability.MISSING:
        return ModuleState.MISSING
    if running.availability is Availability.BUILTIN:
        return ModuleState.BUILTIN
    if facts.obstacles or refused(facts, name) is not None or clash(facts, name):
        return ModuleState.CONFIG_ERROR
    if beaten(facts, name):
        return ModuleState.OVERRIDDEN
    if not running.loaded:
        return ModuleState.NOT_LOADED
    differs = pending(facts, name) or _is_beside_default(facts, name)
    return ModuleState.RELOAD_PENDING if differs else ModuleState.IN_SYNC


def _is_beside_default(facts: HostFacts, name: str) -> bool:
    """Whether "nested" is not what it would be after the next load, where nothing sets it."""
    default = default_nested(name, version(facts.release))
    running = facts.modules[name].parameters
    if NESTED not in running or NESTED in next_values(facts, name) or default is Answer.UNKNOWN:
        return False
    kind = facts.types_of(name).get(NESTED, ParameterType.UNKNOWN)
    return answer(kind, running[NESTED]) is not default


def plain(values: Mapping[str, str | None]) -> dict[str, str]:
    """VALUES as clients get them: "" for a parameter without "="."""
    return {name: value or "" for name, value in values.items()}
