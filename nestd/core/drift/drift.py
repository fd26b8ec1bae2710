# SPDX-License-Identifier: LGPL-2.1-or-later
"""Defines drift: the host differs from its configuration because of changes by others.

A module runs with parameters other than its next load will give it, or a package manager has moved
kvm.conf away. Changes by nestd and requested differences ("boot") are not drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nestd.core.modules.facts import HostFacts, KvmModule
from nestd.core.modules.obstacles import preventing
from nestd.core.modules.values import as_text, canonical
from nestd.core.modules.wording import place
from nestd.formats.modprobe.load_obstacle import sentence


class OnDrift(Enum):
    """The reaction to drift: only report it, or also correct it."""

    REPORT = "report"
    REAPPLY = "reapply"


class Remedy(Enum):
    """How drift can be corrected."""

    RELOAD = "it will be reloaded as soon as nothing uses it"
    IN_PLACE = "it is corrected in the running module"
    REWRITE = "it is written to kvm.conf again"


@dataclass(frozen=True)
class Drift:
    """One drift of a module. key identifies its cause: the running and the next values.

    wanted has the parameters to correct. remedy is None if hindrance keeps nestd from correcting.
    """

    module: str
    key: str
    text: str
    wanted: Mapping[str, str]
    remedy: Remedy | None
    hindrance: str = ""


def find_drift(module: KvmModule) -> Drift | None:
    """The difference between a loaded module and its next load, None if there is none."""
    running = module.running
    differing = module.pending if running.loaded else ()
    if not differing:
        return None
    values = module.next_values

    def spelled(name: str, value: str | None) -> str:
        return canonical(module.type_of(name), value)

    pairs = [
        f"{name}={spelled(name, running.parameters[name])}->{spelled(name, values[name])}"
        for name in sorted(differing)
    ]
    differences = []
    for name in sorted(differing):
        winner = module.next_load.effective(name)
        asked = f"{name}={values[name] or ''}"
        by = f", which {place(winner)} asks for" if winner is not None else ""
        differences.append(f"{name}={running.parameters[name]} instead of {asked}{by}")
    in_place = set(differing) <= running.writable
    hindrance = _hindrance(module) or ("" if in_place else _reload_hindrance(module))
    return Drift(
        module=module.name,
        key=f"{module.name}: {' '.join(pairs)}",
        text=f"{module.name} runs with {' and '.join(differences)}",
        wanted=as_text({name: values[name] for name in differing}),
        remedy=None if hindrance else Remedy.IN_PLACE if in_place else Remedy.RELOAD,
        hindrance=hindrance,
    )


def find_loss(facts: HostFacts, module: str, moved: Path, saved: bytes) -> Drift | None:
    """The settings of MODULE lost when kvm.conf, with content SAVED, was moved to MOVED."""
    before = as_text(facts.with_own(saved).module(module).configured)
    kept = facts.module(module).configured
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


def _hindrance(module: KvmModule) -> str:
    """Why the next load would not apply kvm.conf, which only an administrator can fix."""
    host = module.host
    obstacle = preventing(module)
    if obstacle is not None:
        return sentence(module.name, obstacle).rstrip(".")
    for parameter, winner in module.overridden.items():
        return f"{place(winner)} overrides {host.own.path} for {parameter}"
    return ""


def _reload_hindrance(module: KvmModule) -> str:
    """Why waiting for a reload would be useless, "" if it is not."""
    if module.host.modules_disabled:
        return "no module can be loaded or unloaded until the next boot"
    holders = ", ".join(module.running.holders)
    return f"{holders} uses it" if holders else ""
