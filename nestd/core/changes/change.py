# SPDX-License-Identifier: LGPL-2.1-or-later
"""Derives the effect of a parameter change on this host: checked, but not yet carried out.

Nothing here touches the host: the facts and the request give a Change, or the error that refuses
it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from nestd.core.errors import (
    BuiltIn,
    ConfigUnparsable,
    Conflict,
    InvalidParameter,
    Missing,
    NestdError,
    NotSupported,
    Overridden,
    StalePlan,
    Unreadable,
)
from nestd.core.model import Answer, When
from nestd.core.modules.facts import EXCLUSIVE, HostFacts, KvmModule
from nestd.core.modules.values import NESTED, acceptable, differing, unverifiable, written
from nestd.core.modules.vendors import nested_holders
from nestd.core.modules.wording import (
    NESTED_WITH_HUGE_PAGES,
    cmdline_words,
    precedence,
    refusal,
)
from nestd.core.reloads.chain import first_prevented
from nestd.formats.modprobe.boot_arguments import BootSetup, advice
from nestd.formats.modprobe.edit import EditError, set_parameters
from nestd.formats.modprobe.load_obstacle import LoadObstacle, ObstacleKind, sentence
from nestd.formats.modprobe.next_load import Assignment
from nestd.formats.printable import quoted
from nestd.formats.unified_diff import unified_diff
from nestd.host.kernel.sysfs import Availability

# Characters without special meaning to libkmod and the kernel: no white space, quotes, backslash or
# "#". The kernel reads at most a page.
_PLAIN = re.compile(r"[!$-&(-\[\]-~]{1,4000}")


_REFUSALS: Mapping[str, type[NestdError]] = {  # by kind of obstacle; else Overridden
    ObstacleKind.FILE.value: ConfigUnparsable,
    ObstacleKind.VALUE.value: Conflict,
}


class NeedsMoreAuthorization(Exception):
    """The host has changed: the request now needs more authorization than was granted."""


class Effect(Enum):
    """How the running module gets the new values."""

    NONE = "none"  # it has them already, is not loaded, or gets them at the next boot
    IN_PLACE = "in place"  # its parameters are writable
    RELOAD = "reload"


@dataclass(frozen=True)
class Change:
    """A checked request.

    data is the new content of kvm.conf, old the present content (None: no file), base the content
    that was edited, which comes from another file if kvm.conf does not exist.
    """

    module: str
    parameters: Mapping[str, str]  # as they will be written; "" removes the assignment
    replaced: Mapping[str, str]  # kvm.conf's present values of these, "" for none
    when: When
    path: str
    old: bytes | None
    base: bytes
    data: bytes
    effect: Effect
    wanted: Mapping[str, str | None]  # to verify on the running module
    overridden: Mapping[str, Assignment]  # by parameter, the assignment that decides instead
    refused: Assignment | None  # an assignment that would make the next load fail
    prevented: tuple[str, LoadObstacle] | None  # a module that could not be loaded again, and why
    words: Mapping[str, list[str]]  # overriding words of the kernel command line, by parameter
    boot_setup: BootSetup  # how to change the kernel command line on this host
    token: str
    from_plan: bool  # the caller gave a token, and accepts only the planned change

    @property
    def edits(self) -> bool:
        """Whether kvm.conf changes."""
        # An identical copy would only mask the file in the lower directory.
        return self.data != self.base

    @property
    def nothing_to_do(self) -> bool:
        """Whether the host is already in the requested state."""
        return not self.edits and self.effect is Effect.NONE

    @property
    def ineffective(self) -> bool:
        """Whether a load could not have the requested effect: see check_effective()."""
        prevented = self.effect is Effect.RELOAD and self.prevented is not None
        return self.when is not When.BOOT and (prevented or bool(self.overridden or self.refused))

    @property
    def diff(self) -> str:
        """The change of kvm.conf as a unified diff."""
        if self.ineffective or not self.edits:
            return ""
        return unified_diff(self.old or b"", self.data, self.path)


def make_change(
    facts: HostFacts,
    name: str,
    parameters: Mapping[str, str],
    when: When,
    token: str | None = None,
) -> Change:
    """Check a request and derive its change. Raises the errors of nestd.core.errors.

    TOKEN is the token of the caller's plan, None if there was no plan.
    """
    module, own = facts.module(name), facts.own
    checked = _checked_request(module, parameters, when)
    after = facts.with_own(_edited(module, checked)).module(name)
    if after.conflicts and (when is not When.BOOT or not checked.keys().isdisjoint(EXCLUSIVE)):
        raise Conflict(NESTED_WITH_HUGE_PAGES)
    wanted, effect = _effect(module, after, checked, when)
    if effect is Effect.RELOAD:
        check_reloadable(module)
    change = Change(
        module=name,
        parameters=checked,
        replaced={key: _assigned(module.configured, key) for key in checked},
        when=when,
        path=own.path,
        old=own.data,
        base=own.base,
        data=after.host.own.base,
        effect=effect,
        wanted=wanted,
        overridden={key: it for key, it in after.overridden.items() if key in checked},
        words=_words(after),
        refused=after.refused,
        prevented=first_prevented(after.host, name),
        boot_setup=facts.boot_setup,
        token=_token(module, checked, when),
        from_plan=token is not None,
    )
    _check_current(change, token)
    return change


def _words(module: KvmModule) -> Mapping[str, list[str]]:
    found = {key: each for key, each in module.overridden.items() if not each.line}
    return {key: cmdline_words(module.host, module.name, each) for key, each in found.items()}


def _check_current(change: Change, token: str | None) -> None:
    """Refuse a change that differs from the planned one. Raises StalePlan."""
    if token is not None and token != change.token:
        raise StalePlan("The host has changed since the plan was made: make a new plan.")


def _checked_request(
    module: KvmModule, parameters: Mapping[str, str], when: When
) -> Mapping[str, str]:
    """PARAMETERS in the form to be written, checked against the module."""
    check_present(module)
    if when is not When.BOOT:
        check_readable(module)
    checked = _checked(module, parameters)
    check_loadable(module, checked)
    return checked


def check_effective(change: Change) -> None:
    """Refuse a change for "now" or "idle" that a load could not put into effect.

    For "boot" it is written nevertheless; the module's state then shows the obstacle.
    """
    if not change.ineffective:
        return
    if change.effect is Effect.RELOAD:
        check_unobstructed(change.prevented)
    if change.refused is not None:
        raise Conflict(refusal(change.module, change.refused))
    for winner in change.overridden.values():
        if winner.line:
            said = precedence(change.module, change.path, winner)
            raise Overridden(f"{said}: change it there.")
        raise Overridden(overridden(change, winner))


def check_allowed(change: Change, allowed: Change) -> None:
    """Raise NeedsMoreAuthorization if CHANGE does more than ALLOWED, made for the same request."""
    writes = change.edits or change.effect is Effect.IN_PLACE
    wrote = allowed.edits or allowed.effect is Effect.IN_PLACE
    reloads, reloaded = (each.effect is Effect.RELOAD for each in (change, allowed))
    if (writes and not wrote and not reloaded) or (reloads and not reloaded):
        raise NeedsMoreAuthorization


def check_present(module: KvmModule) -> None:
    """Refuse a module that does not exist on this host."""
    if module.running.availability is Availability.MISSING:
        raise Missing(f"This host has no module {module.name}.")


def overridden(change: Change, winner: Assignment) -> str:
    """Sentences that say what overrides kvm.conf and where to change the value."""
    said = f"{precedence(change.module, change.path, winner)}."
    if winner.line:
        return said
    value = change.parameters[winner.parameter]
    add = [f"{change.module}.{winner.parameter}={value}"] if value else []
    return f"{said} {advice(change.boot_setup, change.words[winner.parameter], add)}"


def check_loadable(module: KvmModule, asked: Mapping[str, str]) -> None:
    """Refuse a module in the kernel image; the text says how to get the values ASKED for."""
    if module.running.availability is not Availability.BUILTIN:
        return
    name = module.name
    ways = []
    if any(asked.values()):
        given = (f"{name}.{parameter}={value}" for parameter, value in asked.items() if value)
        ways.append(f"with {' '.join(given)}")
    if not all(asked.values()):
        dropped = (f"{name}.{parameter}" for parameter, value in asked.items() if not value)
        ways.append(f"without {' '.join(dropped)}")
    if not asked:
        parameter = NESTED if name in nested_holders(module.host.machine) else "PARAMETER"
        ways.append(f"with {name}.{parameter}=1 (or =0)")
    setup = module.host.boot_setup
    how = f" {_builtin_advice(module, asked)}" if asked and setup.tool.value else ""
    raise BuiltIn(
        f"{name} is built into this kernel, where modprobe.d has no effect: boot"
        f" {' and '.join(ways)} on the kernel command line.{how}"
    )


def _builtin_advice(module: KvmModule, asked: Mapping[str, str]) -> str:
    present = {each.parameter: each for each in module.next_load.assignments}
    found = (present[name] for name in asked if name in present)
    remove = [word for each in found for word in cmdline_words(module.host, module.name, each)]
    add = [f"{module.name}.{name}={value}" for name, value in asked.items() if value]
    return advice(module.host.boot_setup, remove, add) if remove or add else ""


def check_reloadable(module: KvmModule) -> None:
    """Refuse a module whose file is gone (the package of the running kernel was removed)."""
    if not module.running.on_disk:
        raise Missing(
            f"{module.name} is loaded, but is not in /lib/modules/{module.host.release} any more:"
            " it could not be loaded again before the next boot."
        )


def check_readable(module: KvmModule) -> None:
    """Refuse to touch a module whose running state cannot be read."""
    if module.running.error:
        raise Unreadable(
            f"What {module.name} runs with cannot be read: {module.running.error}. Nothing is"
            " loaded or unloaded; a change for the next boot is possible."
        )


def check_unobstructed(prevented: tuple[str, LoadObstacle] | None) -> None:
    """Refuse to unload a module that modprobe could not load again."""
    if prevented is not None:
        module, obstacle = prevented
        raise _REFUSALS.get(obstacle.kind, Overridden)(sentence(module, obstacle))


def check_supported(can_load: bool, effect: Effect) -> None:
    """Refuse a change that needs the running kernel if only its files are available (--root)."""
    if effect is not Effect.NONE and not can_load:
        raise NotSupported(
            "These are the files of another machine: nothing is loaded, unloaded or written there."
        )


def _checked(module: KvmModule, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """PARAMETERS in the form to be written; the module must have each and accept its value."""
    if not parameters:
        raise InvalidParameter("No parameter is given.")
    checked: dict[str, str] = {}
    for name, value in parameters.items():
        spelled = _known(module, name)
        if spelled in checked:
            raise InvalidParameter(
                f'{spelled} is given twice: "-" and "_" are the same in a parameter\'s name.'
            )
        checked[spelled] = _value(module, name, value)
    return checked


def _known(module: KvmModule, name: str) -> str:
    """The parameter's name in the module's spelling ("-" equals "_" for the kernel)."""
    spelled = name.replace("-", "_")
    if spelled in module.parameters:
        return spelled
    holder = next(iter(nested_holders(module.host.machine)), "")
    hint = f" {NESTED} belongs to the vendor's module, {holder}." if spelled == NESTED else ""
    raise InvalidParameter(f"{module.name} has no parameter {quoted(name)}.{hint}")


def _value(module: KvmModule, name: str, value: str) -> str:
    spelled = name.replace("-", "_")
    kind = module.type_of(spelled)
    if value and not _PLAIN.fullmatch(value):
        raise InvalidParameter(
            f"The value {quoted(value)} for {name} has a character other than letters, digits and"
            " plain punctuation, or is too long."
        )
    if value and not acceptable(kind, value):
        raise InvalidParameter(
            f"{module.name} takes no {quoted(value)} for {name}: it is declared as {kind.value}."
        )
    return written(spelled, kind, value) if value else ""


def _edited(module: KvmModule, parameters: Mapping[str, str]) -> bytes:
    own = module.host.own
    if own.problem:
        raise ConfigUnparsable(f"{own.path} cannot be edited: {own.problem}.")
    removed_or_set = {name: value or None for name, value in parameters.items()}
    try:
        return set_parameters(own.base, module.name, removed_or_set, kmod=module.host.kmod)
    except EditError as error:
        raise ConfigUnparsable(f"{own.path} cannot be edited: {error}") from error


def _effect(
    before: KvmModule, after: KvmModule, parameters: Mapping[str, str], when: When
) -> tuple[Mapping[str, str | None], Effect]:
    """The values to verify afterwards, and how the running module gets them."""
    running, following = before.running, after.next_values
    wanted = {name: following[name] for name in parameters if name in following}
    if when is When.BOOT or not running.loaded:
        return wanted, Effect.NONE
    dropped = set(before.next_values) - set(following)
    default = after.default_nested
    if NESTED in dropped & running.writable and default is not Answer.UNKNOWN:
        dropped.remove(NESTED)
        wanted[NESTED] = "1" if default is Answer.YES else "0"
    stale = {
        *differing(wanted, running.parameters, after.types),
        *unverifiable(wanted, after.types),
    }
    # After the removal of an assignment the kernel's default applies, known only after a load.
    stale |= {name for name in parameters if name in dropped}
    if not stale:
        return wanted, Effect.NONE
    if stale <= running.writable and not stale & dropped:
        return wanted, Effect.IN_PLACE
    return wanted, Effect.RELOAD


def _token(module: KvmModule, parameters: Mapping[str, str], when: When) -> str:
    """A digest of everything that the plan depends on."""
    digest = hashlib.sha256()
    running, host = module.running, module.host
    inputs: list[object] = [
        module.name,
        sorted(parameters.items()),
        when.value,
        host.own.data,
        [(file.path, file.data) for file in host.files],
        host.cmdline,
        running.initstate,
        sorted(running.parameters.items()),
    ]
    for item in inputs:
        digest.update(repr(item).encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()


def _assigned(configured: Mapping[str, str | None], parameter: str) -> str:
    """The value in kvm.conf, "" for none; a bare name means 1 (param_set_bool)."""
    if parameter not in configured:
        return ""
    value = configured[parameter]
    return "1" if value is None else value
