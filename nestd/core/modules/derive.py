# SPDX-License-Identifier: LGPL-2.1-or-later
"""Derives a Snapshot from facts: running, configured and next values, and what decides them."""

from __future__ import annotations

from collections.abc import Set
from types import MappingProxyType

from nestd.core.model import Answer, Module, ModuleState, Pending, Snapshot, Vendor
from nestd.core.modules.backend import backend, decided_without_module, nested_without_module
from nestd.core.modules.boot import decided_by, nested_at_boot
from nestd.core.modules.facts import HostFacts, KvmModule
from nestd.core.modules.obstacles import load_obstacles
from nestd.core.modules.values import NESTED, answer, as_text
from nestd.core.modules.vendors import HOST_MODULES, LPAR, detect, nested_holders
from nestd.formats.modprobe.next_load import Assignment
from nestd.host.kernel.sysfs import Availability


def derive(facts: HostFacts, flags: Set[str], virtualization: str, machine_count: int) -> Snapshot:
    """The Snapshot of FACTS. FLAGS are the processor's."""
    vendor = detect(facts.machine, facts.modules, flags)
    modules = {name: derive_module(facts.module(name), flags) for name in facts.modules}
    host_module = "" if vendor is Vendor.NONE else HOST_MODULES[vendor]
    decisive = modules.get(host_module)
    provider = backend(facts)
    without = nested_without_module(facts, provider)
    decides = decided_by(facts.module(host_module)) if host_module else ""
    withheld = vendor is Vendor.POWER and virtualization == LPAR
    return Snapshot(
        nested=_of_host(decisive.nested, withheld) if decisive else without,
        nested_at_boot=_of_host(decisive.nested_at_boot, withheld) if decisive else without,
        nested_decided_by=decides or decided_without_module(facts),
        backend=provider,
        vendor=vendor,
        host_module=host_module,
        virtualization=virtualization,
        machine_count=machine_count,
        modules=MappingProxyType(modules),
    )


def derive_module(module: KvmModule, flags: Set[str]) -> Module:
    """One module's state on a host whose processor has FLAGS."""
    running, own = module.running, module.configured
    asked = answer(module.type_of(NESTED), own[NESTED], module.kernel) if NESTED in own else None
    return Module(
        name=module.name,
        availability=running.availability,
        loaded=running.loaded or running.availability is Availability.BUILTIN,
        refcount=running.refcount,
        parameters=running.parameters,
        configured=MappingProxyType(as_text(module.shown_configured)),
        assignments=module.shown_assignments,
        nested=_running(module),
        nested_configured=asked or Answer.UNSET,
        nested_next=_next(module),
        state=_state(module),
        nested_at_boot=nested_at_boot(module, flags),
        load_obstacles=load_obstacles(module),
        pending=_pending(module),
        read_error=running.error,
    )


def _of_host(answer: Answer, withheld: bool) -> Answer:
    """The host's answer, given the module's ANSWER: guests get no nesting in a PowerVM partition.

    KVM refuses the capability there (kvmhv_enable_nested, nested v2), whatever "nested" is.
    """
    return Answer.NO if withheld and answer is Answer.YES else answer


def misplaced_nested(facts: HostFacts) -> tuple[tuple[str, Assignment], ...]:
    """Find `options kvm nested=` on x86, a common mistake: that module has no such parameter."""
    holders = nested_holders(facts.machine)
    return tuple(
        (name, assignment)
        for name in facts.modules
        if name not in holders
        for assignment in facts.module(name).next_load.assignments
        if assignment.parameter == NESTED
    )


def _running(module: KvmModule) -> Answer:
    running = module.running
    if NESTED not in running.parameters or not (
        running.loaded or running.availability is Availability.BUILTIN
    ):
        return Answer.UNKNOWN
    found = answer(module.type_of(NESTED), running.parameters[NESTED], module.kernel)
    return Answer.UNKNOWN if found is Answer.INVALID else found


def _next(module: KvmModule) -> Answer:
    builtin = module.running.availability is Availability.BUILTIN
    if (module.host.obstacles and not builtin) or module.conflicts:
        return Answer.INVALID
    answers = [
        answer(module.type_of(NESTED), each.value, module.kernel)
        for each in module.next_load.assignments
        if each.parameter == NESTED
    ]
    if not answers:
        return Answer.DEFAULT
    # An invalid value fails the whole load, whatever follows it.
    return Answer.INVALID if Answer.INVALID in answers else answers[-1]


def _state(module: KvmModule) -> ModuleState:
    running = module.running
    if running.availability is Availability.MISSING:
        return ModuleState.MISSING
    if running.availability is Availability.BUILTIN:
        return ModuleState.BUILTIN
    if module.host.obstacles or module.refused is not None or module.conflicts:
        return ModuleState.CONFIG_ERROR
    if module.overridden:
        return ModuleState.OVERRIDDEN
    if not running.loaded:
        return ModuleState.NOT_LOADED
    differs = module.pending or _differs_from_default(module)
    return ModuleState.RELOAD_PENDING if differs else ModuleState.IN_SYNC


def _pending(module: KvmModule) -> tuple[Pending, ...]:
    """The parameters whose running and next values differ for the kernel."""
    running = module.running
    # A bare name means true for a bool; other types reject it.
    following = {
        name: "1" if value is None else value for name, value in module.next_values.items()
    }
    if not running.loaded:
        return ()
    found = [Pending(name, running.parameters[name], following[name]) for name in module.pending]
    if _differs_from_default(module):
        default = "1" if module.default_nested is Answer.YES else "0"
        found.append(Pending(NESTED, running.parameters[NESTED], default))
    return tuple(found)


def _differs_from_default(module: KvmModule) -> bool:
    """Whether "nested", if nothing sets it, differs from its value after the next load."""
    default, running = module.default_nested, module.running.parameters
    if NESTED not in running or NESTED in module.next_values or default is Answer.UNKNOWN:
        return False
    return answer(module.type_of(NESTED), running[NESTED]) is not default
