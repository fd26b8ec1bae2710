# SPDX-License-Identifier: LGPL-2.1-or-later
"""Describes what a change would do: the file's diff, the steps, blockers and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nestd.core.changes.change import Change, Effect, overridden
from nestd.core.errors import NestdError
from nestd.core.model import Answer, Blocker, When
from nestd.core.modules.derive import misplaced_nested
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.obstacles import load_obstacles
from nestd.core.modules.values import NESTED, answer
from nestd.core.modules.vendors import nested_holders
from nestd.core.modules.wording import place
from nestd.formats.excerpt import excerpt
from nestd.formats.modprobe.load_obstacle import sentence
from nestd.formats.modprobe.next_load import NextLoad
from nestd.formats.modprobe.shown_options import shown_options
from nestd.formats.unified_diff import unified_diff


@dataclass(frozen=True)
class Plan:
    """What SetParameters would do. token identifies the state that the plan is based on.

    refusal is the error that the request would get now, None if it would be served.
    """

    diff: str
    steps: tuple[str, ...]
    blockers: tuple[Blocker, ...]
    warnings: tuple[str, ...]
    token: str
    refusal: NestdError | None


def diff(facts: HostFacts, change: Change) -> str:
    """The change of kvm.conf; FACTS say whether every user may read the file."""
    if not change.diff or not facts.hides_own:
        return change.diff
    known = {name: facts.module(name).parameters for name in facts.modules}

    def shown(data: bytes) -> bytes:
        return excerpt(data, shown_options(data, known, kmod=facts.kmod))

    return unified_diff(shown(change.old or b""), shown(change.data), change.path)


def steps(change: Change, dependents: Sequence[str]) -> tuple[str, ...]:
    """The steps in order, as phrases; none if the request would be refused.

    DEPENDENTS use the changed module: they are unloaded before it and loaded after it.
    """
    module = change.module
    if change.ineffective:
        return ()
    assigned = " ".join(f"{name}={value or ''}" for name, value in change.wanted.items())
    unloads = [f"unload {name}" for name in (*dependents, module)]
    loads = [f"load {name} with modprobe" for name in (module, *dependents)]
    verify = f"verify that {module} runs" + (f" with {assigned}" if assigned else "")
    found = [f"write {change.path}"] if change.edits else []
    if change.effect is Effect.IN_PLACE:
        found.append(f"set {assigned} on the running {module}; running guests keep what they have")
    elif change.effect is Effect.RELOAD and change.when is When.NOW:
        # The write comes after the unload, since the unload may be refused.
        found = [*unloads, *found, *loads, verify]
    elif change.effect is Effect.RELOAD:
        names = " and ".join((module, *dependents))
        found += [f"wait until nothing uses {names}", *unloads, *loads, verify]
    return tuple(found)


def dependents_warnings(facts: HostFacts, dependents: Sequence[str]) -> tuple[str, ...]:
    """Sentences on changes in modules that are reloaded only because they use the module."""
    found = []
    for name in dependents:
        module = facts.module(name)
        for parameter in module.pending:
            winner = module.next_load.effective(parameter)
            asks = f", as {place(winner)} asks" if winner is not None else ""
            found.append(
                f"{name} is reloaded with it and comes back with"
                f" {parameter}={module.next_values[parameter] or ''} instead of"
                f" {module.running.parameters[parameter]}{asks}."
            )
    return tuple(found)


def warnings(facts: HostFacts, change: Change, initramfs: str) -> tuple[str, ...]:
    """Sentences that an administrator should know before the change.

    INITRAMFS is the path of the initial RAM disk that contains the module, "" for none.
    """
    module = change.module
    found = ["As things are, this would be refused."] if change.ineffective else []
    found += [overridden(change, each) for each in change.overridden.values()]
    after = facts.with_own(change.base if change.ineffective else change.data).module(module)
    commented = {(each.file, each.line) for each in after.next_load.comment_in_options}
    found += [
        sentence(module, each)
        for each in load_obstacles(after)
        if (each.file, each.line) not in commented
    ]
    found += [
        f"{place(assignment)} sets {NESTED} for {name}, which has no such parameter: it belongs"
        f" to {' or '.join(nested_holders(facts.machine))}."
        for name, assignment in misplaced_nested(facts)
    ]
    found += _comments(facts, facts.module(module).next_load)
    if initramfs:
        found.append(
            f"{initramfs} holds a copy of {module}, which is loaded at boot with the options in"
            " that image: rebuild it after the change."
        )
    if change.effect is Effect.IN_PLACE and _switches_off(facts, change):
        found.append(
            "Guests that already run guests of their own keep nesting until they are restarted."
        )
    return tuple(found)


def _switches_off(facts: HostFacts, change: Change) -> bool:
    """Whether "nested" is switched off in the running module (possible on POWER)."""
    kind = facts.module(change.module).type_of(NESTED)
    return NESTED in change.wanted and answer(kind, change.wanted[NESTED]) is Answer.NO


def _comments(facts: HostFacts, load: NextLoad) -> list[str]:
    """Warnings about '#' after options, which is no comment: kmod passes it to the kernel."""
    found = []
    for origin in load.comment_in_options:
        text = facts.text(origin)
        found.append(
            f"{place(origin)}: what follows the # is no comment there but passed to the kernel"
            + (f": {text}" if text else ".")
        )
    return found
