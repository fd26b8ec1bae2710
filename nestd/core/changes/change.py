# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a request for other parameters amounts to on this host: checked, but not yet done.

Nothing here touches the host: from the facts and the request comes a Change, or the reason why not.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from nestd.core.errors import (
    BuiltIn,
    ConfigUnparsable,
    Conflict,
    InvalidParameter,
    Missing,
    NotSupported,
    Overridden,
    StalePlan,
)
from nestd.core.model import Answer, When
from nestd.core.modules.derive import CLASHING, beaten, clash, next_values, refused
from nestd.core.modules.facts import HostFacts
from nestd.core.modules.values import NESTED, acceptable, differing, untold, version, written
from nestd.core.modules.vendors import default_nested, nested_holders
from nestd.formats.modprobe.edit import EditError, set_parameters
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.formats.modprobe.next_load import Assignment, Origin
from nestd.formats.printable import one_line
from nestd.host.kernel.sysfs import Availability

# What neither libkmod nor the kernel takes for anything but itself: no white space, no quotes, no
# backslash, no "#". The kernel reads a page at most.
_PLAIN = re.compile(r"[!$-&(-\[\]-~]{1,4000}")
LONGEST_SHOWN = 60  # characters of a caller's words that a message repeats


CLASH = (
    "nested and hpage exclude each other on this kernel: a KVM host that supports nesting cannot"
    " back its KVM guests with huge pages."
)


STUCK = "No module is loaded or unloaded as long as modprobe would have to read this:"


class MoreToDo(Exception):
    """The host has changed, and the same request needs leave for more than it was given."""


class Effect(Enum):
    """How the running module gets the new values."""

    NONE = "none"  # it has them, is not loaded, or gets them at the next boot
    IN_PLACE = "in place"  # its parameters are writable
    RELOAD = "reload"


@dataclass(frozen=True)
class Change:
    """A checked request.

    data is what kvm.conf will hold; old what it holds (None: no file); base what it was made from,
    which is another file's where there is none.
    """

    module: str
    parameters: Mapping[str, str]  # as they will be written; "" removes the assignment
    when: When
    path: str
    old: bytes | None
    base: bytes
    data: bytes
    effect: Effect
    wanted: Mapping[str, str | None]  # to verify on the running module
    overridden: Mapping[str, Assignment]  # by parameter, who decides instead
    refused: Assignment | None  # one that would make the next load fail
    obstacles: tuple[str, ...]  # files in the way of every load
    token: str
    from_plan: bool  # the caller gave the token, and wants this or nothing

    @property
    def edits(self) -> bool:
        """Whether kvm.conf changes."""
        # A copy of the file in a lower directory would only mask it.
        return self.data != self.base

    @property
    def nothing_to_do(self) -> bool:
        """Whether the host is already as asked."""
        return not self.edits and self.effect is Effect.NONE

    @property
    def hopeless(self) -> bool:
        """Whether a load could not bring it about: see check_effective()."""
        stuck = self.effect is Effect.RELOAD and bool(self.obstacles)
        return self.when is not When.BOOT and (stuck or bool(self.overridden or self.refused))

    @property
    def diff(self) -> str:
        """What changes in kvm.conf, as a unified diff."""
        if self.hopeless or not self.edits:
            return ""
        before, after = (
            (data or b"").decode("utf-8", "backslashreplace").splitlines(keepends=True)
            for data in (self.old, self.data)
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(before, after, self.path, self.path)
        )


def make_change(
    facts: HostFacts,
    module: str,
    parameters: Mapping[str, str],
    when: When,
    token: str | None = None,
) -> Change:
    """Check a request and work it out. Raises the errors of nestd.core.errors that say why not.

    TOKEN is that of the plan that the caller made it from, None for one that made none.
    """
    check_present(facts, module)
    checked = _checked(facts, module, parameters)
    check_loadable(facts, module, checked)
    after = facts.with_own(_edited(facts, module, checked))
    if clash(after, module) and (when is not When.BOOT or not checked.keys().isdisjoint(CLASHING)):
        raise Conflict(CLASH)
    overridden = {key: won for key, won in beaten(after, module).items() if key in checked}
    wanted, effect = _effect(facts, after, module, checked, when)
    if effect is Effect.RELOAD:
        check_reloadable(facts, module)
    change = Change(
        module=module,
        parameters=checked,
        when=when,
        path=facts.own.path,
        old=facts.own.data,
        base=facts.own.base,
        data=after.own.base,
        effect=effect,
        wanted=wanted,
        overridden=overridden,
        refused=refused(after, module),
        obstacles=facts.obstacles,
        token=_token(facts, module, checked, when),
        from_plan=token is not None,
    )
    if token is not None and token != change.token:
        raise StalePlan("Something that the plan was made from has changed: make a new plan.")
    return change


def check_effective(change: Change) -> None:
    """Refuse a change for now or for idle that a load could not bring about.

    For the next boot it is written all the same: then it is the module's state that tells.
    """
    if not change.hopeless:
        return
    check_unobstructed(change.obstacles)
    if change.refused is not None:
        raise Conflict(refusal(change.module, change.refused))
    for parameter, winner in change.overridden.items():
        raise Overridden(
            f'{precedence(change, parameter, winner)}: change it there, or ask for "boot" to have'
            f" {change.path} written all the same."
        )


def check_allowed(change: Change, allowed: Change) -> None:
    """Raise MoreToDo for what ALLOWED, made for the same request before, was not going to do."""
    writes = change.edits or change.effect is Effect.IN_PLACE
    wrote = allowed.edits or allowed.effect is Effect.IN_PLACE
    reloads, reloaded = (each.effect is Effect.RELOAD for each in (change, allowed))
    if (writes and not wrote and not reloaded) or (reloads and not reloaded):
        raise MoreToDo


def precedence(change: Change, parameter: str, winner: Assignment) -> str:
    """Who decides instead of kvm.conf, as the beginning of a sentence."""
    assigned = f"{parameter}={winner.value or ''}"
    return f"{place(winner)} sets {assigned} for {change.module} and decides over {change.path}"


def refusal(module: str, bad: Assignment) -> str:
    """What is wrong with an assignment that the module refuses, as a sentence."""
    assigned = f"{bad.parameter}={bad.value or ''}"
    return f"{place(bad)} sets {assigned}, which {module} refuses: the module would not load."


def place(at: Assignment | Origin) -> str:
    """Where something stands in the configuration, in words."""
    return f"{at.file}:{at.line}" if at.line else f"The kernel command line ({at.file})"


def shown(text: str) -> str:
    """A caller's word as a message may repeat it: in quotes, printable, short."""
    start = text[:LONGEST_SHOWN]
    printable = one_line(start)
    return f'"{printable}"' if start == text else f'"{printable}..."'


def check_present(facts: HostFacts, module: str) -> None:
    """Refuse a module that is not there."""
    if facts.modules[module].availability is Availability.MISSING:
        raise Missing(f"This host has no module {module}.")


def check_loadable(facts: HostFacts, module: str, asked: Mapping[str, str]) -> None:
    """Refuse a module that is part of the kernel image, with what would do what was ASKED for."""
    if facts.modules[module].availability is not Availability.BUILTIN:
        return
    ways = []
    if any(asked.values()):
        given = (f"{module}.{name}={value}" for name, value in asked.items() if value)
        ways.append(f"with {' '.join(given)}")
    if not all(asked.values()):
        dropped = (f"{module}.{name}" for name, value in asked.items() if not value)
        ways.append(f"without {' '.join(dropped)}")
    if not asked:
        parameter = NESTED if module in nested_holders(facts.machine) else "PARAMETER"
        ways.append(f"with {module}.{parameter}=1 (or =0)")
    raise BuiltIn(
        f"{module} is built into this kernel, where modprobe.d has no effect: boot"
        f" {' and '.join(ways)} on the kernel command line."
    )


def check_reloadable(facts: HostFacts, module: str) -> None:
    """Refuse to unload what could not be loaded again: the running kernel's package is gone."""
    if not facts.modules[module].on_disk:
        raise Missing(
            f"{module} is loaded, but is not in /lib/modules/{facts.release} any more: it could not"
            " be loaded again before the next boot."
        )


def _checked(facts: HostFacts, module: str, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """PARAMETERS as they will be written; each must be the module's, and its value one for it."""
    if not parameters:
        raise InvalidParameter("No parameter is given.")
    checked: dict[str, str] = {}
    for name, value in parameters.items():
        spelled = _known(facts, module, name)
        if spelled in checked:
            raise InvalidParameter(
                f'{spelled} is given twice: "-" and "_" are the same in a parameter\'s name.'
            )
        checked[spelled] = _value(facts, module, name, value)
    return checked


def check_unobstructed(obstacles: Sequence[str]) -> None:
    """Refuse to unload what modprobe would not load again."""
    if obstacles:
        raise ConfigUnparsable(f"{STUCK} {obstacles[0]}")


def _known(facts: HostFacts, module: str, name: str) -> str:
    """The parameter's name as the module spells it ("-" and "_" are the same to the kernel)."""
    spelled = name.replace("-", "_")
    parameters = {*facts.types_of(module), *facts.modules[module].parameters}
    if spelled in parameters:
        return spelled
    holder = next(iter(nested_holders(facts.machine)), "")
    hint = f" {NESTED} belongs to the vendor's module, {holder}." if spelled == NESTED else ""
    raise InvalidParameter(f"{module} has no parameter {shown(name)}.{hint}")


def _value(facts: HostFacts, module: str, name: str, value: str) -> str:
    kind = facts.types_of(module).get(name.replace("-", "_"), ParameterType.UNKNOWN)
    if value and not _PLAIN.fullmatch(value):
        raise InvalidParameter(
            f"The value {shown(value)} for {name} has a character other than letters, digits and"
            " plain punctuation, or is too long."
        )
    if value and not acceptable(kind, value):
        raise InvalidParameter(
            f"{module} takes no {shown(value)} for {name}: it is declared as {kind.value}."
        )
    return written(name.replace("-", "_"), kind, value) if value else ""


def _edited(facts: HostFacts, module: str, parameters: Mapping[str, str]) -> bytes:
    if facts.own.problem:
        raise ConfigUnparsable(f"{facts.own.path} cannot be edited: {facts.own.problem}.")
    removed_or_set = {name: value or None for name, value in parameters.items()}
    try:
        return set_parameters(facts.own.base, module, removed_or_set, kmod=facts.kmod)
    except EditError as error:
        raise ConfigUnparsable(f"{facts.own.path} cannot be edited: {error}") from error


def _effect(
    before: HostFacts,
    after: HostFacts,
    module: str,
    parameters: Mapping[str, str],
    when: When,
) -> tuple[Mapping[str, str | None], Effect]:
    """What must run afterwards, and how the running module comes to it."""
    facts = before.modules[module]
    following = next_values(after, module)
    wanted = {name: following[name] for name in parameters if name in following}
    if when is When.BOOT or not facts.loaded:
        return wanted, Effect.NONE
    dropped = set(next_values(before, module)) - set(following)
    default = default_nested(module, version(after.release))
    if NESTED in dropped & facts.writable and default is not Answer.UNKNOWN:
        dropped.remove(NESTED)
        wanted[NESTED] = "1" if default is Answer.YES else "0"
    types = after.types_of(module)
    stale = {*differing(wanted, facts.parameters, types), *untold(wanted, types)}
    # An assignment that goes leaves the kernel's own default, known only after a load.
    stale |= {name for name in parameters if name in dropped}
    if not stale:
        return wanted, Effect.NONE
    if stale <= facts.writable and not stale & dropped:
        return wanted, Effect.IN_PLACE
    return wanted, Effect.RELOAD


def _token(facts: HostFacts, module: str, parameters: Mapping[str, str], when: When) -> str:
    """A digest of all that the plan depends on."""
    digest = hashlib.sha256()
    running = facts.modules[module]
    inputs: list[object] = [
        module,
        sorted(parameters.items()),
        when.value,
        facts.own.data,
        [(file.path, file.data) for file in facts.files],
        facts.cmdline,
        running.initstate,
        sorted(running.parameters.items()),
    ]
    for item in inputs:
        digest.update(repr(item).encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def check_supported(can_load: bool, effect: Effect) -> None:
    """Refuse what needs a running kernel where only files are at hand."""
    if effect is not Effect.NONE and not can_load:
        raise NotSupported(
            "These are the files of another machine: nothing is loaded, unloaded or written there."
        )
