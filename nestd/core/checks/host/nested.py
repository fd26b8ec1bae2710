# SPDX-License-Identifier: LGPL-2.1-or-later
"""The "nested" parameter: its running value, that of the next load, and what decides it."""

from __future__ import annotations

from collections.abc import Mapping

from nestd.core.checks.elsewhere import elsewhere
from nestd.core.checks.finding import Finding, fail, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer, Module, Vendor
from nestd.core.modules.values import NESTED
from nestd.core.modules.wording import cmdline_words, inner_place, place, refusal
from nestd.formats.modprobe.boot_arguments import advice
from nestd.formats.modprobe.load_obstacle import ObstacleKind
from nestd.formats.modprobe.next_load import Assignment

_WORDS = {Answer.YES: "on", Answer.NO: "off"}


def nested(situation: Situation) -> Finding | None:
    """Guide, 3: the running value."""
    module = situation.module
    if module is None or not module.loaded:
        return None
    value = module.parameters.get(NESTED, "")
    if module.nested is Answer.YES:
        return passed("nested", f"Nested virtualization is on ({module.name}.nested={value}).")
    if module.nested is Answer.NO:
        return fail(
            "nested",
            f"Nested virtualization is off ({module.name}.nested={value}): guests of this host"
            " cannot run guests of their own.",
            _switch_on(situation, module),
        )
    return fail(
        "nested",
        f"{module.name} shows no parameter {NESTED}: this kernel cannot nest, or does not say.",
        "Boot a newer kernel.",
    )


def next_load(situation: Situation) -> Finding | None:
    """Guide, 1, 2, 4 and 5: whether the next load keeps the running value."""
    module = situation.module
    if module is None or situation.builtin:
        return None
    bad = situation.facts.module(module.name).refused
    if bad is not None:
        return _refused(situation, module, bad)
    if module.nested_next is Answer.INVALID or _is_prevented(module):
        return None  # no next load, which config-files, huge-pages or autoload reports
    if module.nested_next is Answer.DEFAULT:
        following, source = situation.default, "nothing sets it, and that is its default"
    else:
        winner = next(each for each in reversed(module.assignments) if each.parameter == NESTED)
        following, source = module.nested_next, f"{inner_place(winner)} says so"
    if following is Answer.UNKNOWN:
        return note(
            "next-load",
            f"Nothing sets {NESTED} for {module.name}: its default in this kernel decides.",
            f"To be sure, set it explicitly: nestctl nested {_word(module.nested)} --at-boot",
        )
    if module.nested in _WORDS and module.nested is not following:
        return _drift(situation, module, following, source)
    return passed(
        "next-load",
        f"From the next load of {module.name} on, nested virtualization will be"
        f" {_word(following)}: {source}.",
    )


def _refused(situation: Situation, module: Module, bad: Assignment) -> Finding:
    correct = f"write {NESTED}=1 or {NESTED}=0" if bad.parameter == NESTED else "or remove it"
    hint = f"Correct that line: {correct}."
    if not bad.line:
        words = cmdline_words(situation.facts, module.name, bad)
        hint = advice(situation.facts.boot_setup, words)
    return fail("next-load", refusal(module.name, bad), hint)


def _is_prevented(module: Module) -> bool:
    """Whether something prevents the module from being loaded at all."""
    harmless = (ObstacleKind.BLACKLIST.value, ObstacleKind.UNKNOWN_PARAMETER.value)
    return any(each.kind not in harmless for each in module.load_obstacles)


def _drift(situation: Situation, module: Module, following: Answer, source: str) -> Finding:
    keep = elsewhere(situation, module, module.nested)
    keep = keep or f"nestctl nested {_word(module.nested)} --at-boot."
    return warn(
        "next-load",
        f"Nested virtualization is {_word(module.nested)} now, but only until the next reboot or"
        f" reload of {module.name}: then it will be {_word(following)} ({source}).",
        f"To keep the current setting: {keep} To apply the next one now: nestctl reload.",
    )


def overridden(situation: Situation) -> Finding | None:
    """What overrides kvm.conf."""
    module = situation.module
    if module is None or situation.builtin:
        return None
    path = situation.facts.own.path
    lost = situation.facts.module(module.name).overridden
    if not lost:
        return passed("overridden", f"Nothing overrides what {path} says about {module.name}.")
    winners = "; ".join(
        f"{place(winner)} sets {parameter}={winner.value or ''}"
        for parameter, winner in lost.items()
    )
    return warn(
        "overridden",
        f"{path} does not decide for {module.name}, because what comes later wins: {winners}.",
        _one_place(situation, module, lost),
    )


def _one_place(situation: Situation, module: Module, lost: Mapping[str, Assignment]) -> str:
    found = (each for each in lost.values() if not each.line)
    words = [word for each in found for word in cmdline_words(situation.facts, module.name, each)]
    hint = "Change or remove that, so that one place decides."
    return f"{hint} {advice(situation.facts.boot_setup, words)}" if words else hint


def _word(nested: Answer) -> str:
    return _WORDS.get(nested, "on")


def _switch_on(situation: Situation, module: Module) -> str:
    one = situation.facts.module(module.name)
    needs_load = situation.vendor is not Vendor.POWER  # on POWER it is writable at run time
    if needs_load and _is_prevented(module):
        return f"Remove what keeps {module.name} from being loaded; then run: nestctl nested on"
    how, winner = elsewhere(situation, module, Answer.YES), one.next_load.effective(NESTED)
    if how:
        return f"{how} Then run: nestctl reload" if winner is not None and winner.line else how
    boot = " --at-boot" if needs_load and situation.facts.modules_disabled else ""
    return f"Switch it on with: nestctl nested on{boot}"
