# SPDX-License-Identifier: LGPL-2.1-or-later
"""What drift is: the host has come to differ from what was asked for, and nobody told nestd.

A module runs with other parameters than the next load will give it, or kvm.conf, with what is
asked for in it, was moved away by a package manager. What nestd does of its own accord is no drift,
nor is a state that it was asked for ("boot").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nestd.core.changes.change import place, refusal
from nestd.core.modules.derive import beaten, next_values, pending, plain, refused
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import canonical
from nestd.formats.modprobe.kernel_params import ParameterType


class OnDrift(Enum):
    """What to do about it: tell, or put it right as well."""

    REPORT = "report"
    REAPPLY = "reapply"


class Remedy(Enum):
    """How it can be put right."""

    RELOAD = "it will be reloaded as soon as nothing uses it"
    IN_PLACE = "it is set right in the running module"
    REWRITE = "it is written to kvm.conf again"


@dataclass(frozen=True)
class Drift:
    """One drift of MODULE. key identifies its cause: what runs and what comes next.

    wanted has the parameters to put right. remedy is None where nestd cannot, for hindrance.
    """

    module: str
    key: str
    text: str
    wanted: Mapping[str, str]
    remedy: Remedy | None
    hindrance: str = ""


def find_drift(facts: HostFacts, module: str) -> Drift | None:
    """How a loaded module differs from what its next load would make it."""
    running = facts.modules[module]
    differing = pending(facts, module) if running.loaded else ()
    if not differing:
        return None
    values, load = next_values(facts, module), facts.next_load(module)
    types = facts.types_of(module)

    def spelled(name: str, value: str | None) -> str:
        return canonical(types.get(name, ParameterType.UNKNOWN), value)

    pairs = [
        f"{name}={spelled(name, running.parameters[name])}->{spelled(name, values[name])}"
        for name in sorted(differing)
    ]
    differences = []
    for name in sorted(differing):
        winner = load.effective(name)
        asked = f"{name}={values[name] or ''}"
        by = f", which {place(winner)} asks for" if winner is not None else ""
        differences.append(f"{name}={running.parameters[name]} instead of {asked}{by}")
    in_place = set(differing) <= running.writable
    hindrance = _hindrance(facts, module) or ("" if in_place else _reload_hindrance(facts, module))
    return Drift(
        module=module,
        key=f"{module}: {' '.join(pairs)}",
        text=f"{module} runs with {' and '.join(differences)}",
        wanted=plain({name: values[name] for name in differing}),
        remedy=None if hindrance else Remedy.IN_PLACE if in_place else Remedy.RELOAD,
        hindrance=hindrance,
    )


def find_loss(facts: HostFacts, module: str, moved: Path, saved: bytes) -> Drift | None:
    """What is no longer asked for MODULE since kvm.conf, with SAVED in it, was moved to MOVED."""
    before = plain(facts.with_own(saved).configured(module))
    kept = facts.configured(module)
    lost = {name: value for name, value in before.items() if name not in kept}
    if not lost:
        return None
    named = ", ".join(f"{name}={value}" for name, value in sorted(lost.items()))
    return Drift(
        module=module,
        key=f"{module}: {named} moved to {moved.name}",
        text=f"{facts.own.path} was moved to {moved.name}, and {named} for {module} with it",
        wanted=lost,
        remedy=Remedy.REWRITE,
    )


def _hindrance(facts: HostFacts, module: str) -> str:
    """Why the next load would not bring what kvm.conf asks for: a matter for people."""
    if facts.obstacles:
        return facts.obstacles[0].rstrip(".")
    bad = refused(facts, module)
    if bad is not None:
        return refusal(module, bad).rstrip(".")
    for parameter, winner in beaten(facts, module).items():
        return f"{place(winner)} decides over {facts.own.path} for {parameter}"
    return ""


def _reload_hindrance(facts: HostFacts, module: str) -> str:
    """Why no reload is to be awaited."""
    if facts.modules_disabled:
        return "no module can be loaded or unloaded until the next boot"
    holders = ", ".join(facts.modules[module].holders)
    return f"{holders} uses it" if holders else ""
