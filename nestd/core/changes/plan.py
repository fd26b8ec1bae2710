# SPDX-License-Identifier: LGPL-2.1-or-later
"""A change told before it is done: what would be written, which steps, what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nestd.core.changes.change import Change, Effect
from nestd.core.errors import NestdError
from nestd.core.model import Blocker, When
from nestd.core.modules.derive import misplaced_nested
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import NESTED
from nestd.core.modules.vendors import nested_holders
from nestd.core.modules.wording import file_in_the_way, place, precedence, refusal
from nestd.formats.modprobe.next_load import NextLoad


@dataclass(frozen=True)
class Plan:
    """What SetParameters would do. token stands for everything that it was made from.

    refusal is the error that the request would meet at this moment, None if it would be served.
    """

    diff: str
    steps: tuple[str, ...]
    blockers: tuple[Blocker, ...]
    warnings: tuple[str, ...]
    token: str
    refusal: NestdError | None


def steps(change: Change, along: Sequence[str]) -> tuple[str, ...]:
    """What would be done, in order, as phrases; nothing where the request would be refused.

    Modules ALONG use the one that is changed: they go before it and come back after it.
    """
    module = change.module
    if change.hopeless:
        return ()
    assigned = " ".join(f"{name}={value or ''}" for name, value in change.wanted.items())
    unloads = [f"unload {name}" for name in (*along, module)]
    loads = [f"load {name} with modprobe" for name in (module, *along)]
    verify = f"verify that {module} runs" + (f" with {assigned}" if assigned else "")
    found = [f"write {change.path}"] if change.edits else []
    if change.effect is Effect.IN_PLACE:
        found.append(f"set {assigned} on the running {module}; guests that run keep what they have")
    elif change.effect is Effect.RELOAD and change.when is When.NOW:
        # The write comes after the unload, which is what may be refused.
        found = [*unloads, *found, *loads, verify]
    elif change.effect is Effect.RELOAD:
        names = " and ".join((module, *along))
        found += [f"wait until nothing uses {names}", *unloads, *loads, verify]
    return tuple(found)


def along_warnings(facts: HostFacts, along: Sequence[str]) -> tuple[str, ...]:
    """What a reload changes of modules that only go ALONG, as sentences."""
    found = []
    for name in along:
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
    """What an administrator should know first, as sentences.

    INITRAMFS is the path of the initial RAM disk that holds the module, "" for none.
    """
    module = change.module
    found = ["As things are, this would be refused."] if change.hopeless else []
    found += [f"{precedence(module, change.path, each)}." for each in change.overridden.values()]
    found += [file_in_the_way(obstacle) for obstacle in change.obstacles]
    if change.refused is not None:
        found.append(refusal(module, change.refused))
    found += [
        f"{place(assignment)} sets {NESTED} for {name}, which has no such parameter: it belongs"
        f" to {' or '.join(nested_holders(facts.machine))}."
        for name, assignment in misplaced_nested(facts)
    ]
    found += _oddities(facts.module(module).next_load, module)
    if initramfs:
        found.append(
            f"{initramfs} holds a copy of {module}, which is loaded at boot with the options in"
            " there: make it anew after the change."
        )
    in_place = change.effect is Effect.IN_PLACE
    if in_place and NESTED in change.wanted and facts.machine.startswith("ppc"):
        found.append("Guests that already are hypervisors go on being so until they are restarted.")
    return tuple(found)


def _oddities(load: NextLoad, module: str) -> list[str]:
    """What makes a load of MODULE another thing than people may think."""
    found = [
        f"{place(origin)}: what follows the # is no comment there but passed to the kernel:"
        f" {origin.text}"
        for origin in load.comment_in_options
    ]
    if load.install_by is not None:
        found.append(
            f"{place(load.install_by)} runs a command instead of loading {module}:"
            f" {load.install_by.text}"
        )
    if load.alias_by is not None:
        found.append(
            f"{place(load.alias_by)} makes modprobe take {module} for another module:"
            f" {load.alias_by.text}"
        )
    if load.blacklisted_by is not None:
        found.append(f"{place(load.blacklisted_by)} keeps udev from loading {module} by itself.")
    if load.denied_by is not None:
        found.append(f"The kernel command line forbids to load {module}: {load.denied_by.text}")
    return found
