# SPDX-License-Identifier: LGPL-2.1-or-later
"""Obstacles to loading the module, at boot or by hand, and a KVM that nestd does not know."""

from __future__ import annotations

from collections.abc import Sequence

from nestd.core.checks.finding import Finding, fail, note, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer, Vendor
from nestd.core.modules.obstacles import may_load
from nestd.core.modules.wording import cmdline_words, list_change
from nestd.formats.modprobe.boot_arguments import advice
from nestd.formats.modprobe.load_obstacle import LoadObstacle, ObstacleKind, sentence

MOST_NAMED = 5
# Reported by other checks: config-files, next-load, huge-pages and config-parameters.
_ELSEWHERE = (
    ObstacleKind.FILE.value,
    ObstacleKind.VALUE.value,
    ObstacleKind.UNKNOWN_PARAMETER.value,
)


def autoload(situation: Situation) -> Finding | None:
    """Configuration lines that prevent the module from being loaded."""
    found = situation.module
    if found is None or situation.builtin:
        return None
    obstacles = [each for each in found.load_obstacles if each.kind not in _ELSEWHERE]
    if not obstacles:
        return None
    summary = " ".join(sentence(found.name, each) for each in obstacles[:MOST_NAMED])
    hint = _hint(situation, found.name, obstacles)
    if all(_leaves_a_way(situation, found.name, each) for each in obstacles):
        return warn("autoload", summary, hint)
    return fail("autoload", summary, hint)


def mistyped_blacklist(situation: Situation) -> Finding | None:
    """A name with "-" on the kernel command line, where module names have "_"."""
    load, found = situation.load, situation.module
    if load is None or found is None or load.mistyped_blacklist is None:
        return None
    text = load.mistyped_blacklist.text
    return note(
        "config-blacklist",
        f"The kernel command line has {text}, which matches no module: module names have _ there,"
        " not -.",
        f"If {found.name} is not to be loaded, write it as {found.name}; else remove it.",
    )


def backend(situation: Situation) -> Finding | None:
    """Whether the host has a KVM that nestd does not know."""
    provider = situation.snapshot.backend
    if not provider or situation.snapshot.vendor is not Vendor.NONE:
        return None
    if situation.snapshot.nested is not Answer.UNKNOWN:
        return None  # its abilities are known and reported by other checks
    through = (
        "a KVM that is built into this kernel"
        if provider == "builtin"
        else f"{provider}, a module that nestd does not know"
    )
    return note(
        "backend",
        f"KVM runs through {through}: whether it supports nested virtualization is not known.",
        "Ask the supplier of this kernel or module how to switch nested virtualization.",
    )


def _leaves_a_way(situation: Situation, name: str, obstacle: LoadObstacle) -> bool:
    """Whether the module can still be loaded, by hand or by the command in the line."""
    if obstacle.kind == ObstacleKind.BLACKLIST.value:
        return True
    module = situation.facts.module(name)
    by_install = "install" in (obstacle.kind, obstacle.text.partition(":")[0].rpartition(" ")[2])
    return by_install and may_load(module, obstacle)


def _refused_words(situation: Situation, name: str) -> list[str]:
    """The kernel command line words whose values a module required by NAME would refuse."""
    facts = situation.facts
    refused = (
        (needed.name, each)
        for needed in facts.module(name).needed
        for each in needed.all_refused
        if not each.line
    )
    found = [word for needed, each in refused for word in cmdline_words(facts, needed, each)]
    return list(dict.fromkeys(found))


def _hint(situation: Situation, module: str, obstacles: Sequence[LoadObstacle]) -> str:
    lines = [each.place for each in obstacles if each.line]
    hints = [f"Remove {', '.join(lines)}, if KVM is to be loaded."] if lines else []
    remove, add = list_change(situation.facts, module)
    remove += _refused_words(situation, module)
    if remove:
        hints.append(f"{advice(situation.facts.boot_setup, remove, add)} Then reboot.")
    if all(each.kind == ObstacleKind.BLACKLIST.value for each in obstacles):
        hints.append(f"To load it by hand: modprobe {module}.")
    return " ".join(hints)
