# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lines about KVM in modprobe.d that do not do what they seem to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nestd.core.checks.elsewhere import elsewhere
from nestd.core.checks.finding import Finding, fail, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer
from nestd.core.modules.derive import misplaced_nested
from nestd.core.modules.values import NESTED, answer
from nestd.core.modules.vendors import nested_holders
from nestd.core.modules.wording import place
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.formats.modprobe.next_load import Origin

X86_VENDORS = ("kvm_intel", "kvm_amd")
MOST_NAMED = 5  # lines per finding
_ABOUT_KVM = re.compile(r"kvm|\bnested\b")


def files(situation: Situation) -> Finding:
    """Files that make kmod hang or that it cannot read, and a kvm.conf that nestd cannot edit."""
    obstacles = situation.facts.obstacles
    if obstacles:
        return fail(
            "config-files",
            "No module can be loaded or unloaded as long as modprobe would have to read this: "
            + " ".join(obstacles[:MOST_NAMED]),
            "Put a plain text file in its place, or remove it.",
        )
    own = situation.facts.own
    if own.problem:
        return warn(
            "config-files",
            f"{own.path} cannot be read or edited: {own.problem}.",
            "Put a plain text file in its place, or remove it.",
        )
    problems = situation.facts.problems
    if problems:
        return warn(
            "config-files",
            "kmod cannot read all files of modprobe.d: " + " ".join(problems[:MOST_NAMED]),
            "Repair or remove what is named there: it may hide options or stop modprobe.",
        )
    return passed("config-files", "All files of modprobe.d can be read.")


def lines(situation: Situation) -> Finding:
    """Lines about KVM that kmod ignores with only a warning in the journal."""
    bad = situation.facts.bad_lines
    found = [_shown(situation, origin) for origin in bad if _ABOUT_KVM.search(origin.text)]
    if not found:
        return passed("config-lines", "modprobe.d has no line about KVM that kmod ignores.")
    return warn(
        "config-lines",
        f"kmod ignores what it cannot understand: {some(found)}.",
        "A line that sets an option reads: options MODULE NAME=VALUE, for example options"
        f" {_holder(situation)} nested=1. Correct or remove the lines.",
    )


def comments(situation: Situation) -> Finding | None:
    """Text after options that looks like a comment; kmod has no such comments."""
    found = {
        _shown(situation, origin)
        for name in situation.facts.modules
        for origin in situation.facts.module(name).next_load.comment_in_options
    }
    if not found:
        return None
    return warn(
        "config-comments",
        "A # after options does not start a comment: all words after it are passed to the kernel,"
        f" and the last nested= among them counts: {some(sorted(found))}.",
        "Put the comment on a line of its own, with the # in the first column.",
    )


def wrong_module(situation: Situation) -> Finding | None:
    """`options kvm nested=1` on x86, a common mistake: module kvm has no such parameter."""
    found = [
        f"{place(assignment)} sets it for {name}"
        for name, assignment in misplaced_nested(situation.facts)
    ]
    if not found:
        return None
    return warn(
        "config-module",
        f"{NESTED} is set for a module that has no such parameter, which has no effect:"
        f" {some(found)}.",
        _set_for_holder(situation),
    )


def _set_for_holder(situation: Situation) -> str:
    """How to set the value for the module that has "nested" instead of the one it was given to."""
    module, [*_, (_, given)] = situation.module, misplaced_nested(situation.facts)
    asked = answer(ParameterType.BOOL, given.value)
    if module is None or asked not in (Answer.YES, Answer.NO):
        return f"Write it for {_holder(situation)}."
    how = elsewhere(situation, module, asked)
    word = "on" if asked is Answer.YES else "off"
    return f"Write it for {module.name}: {how or f'nestctl nested {word}.'}"


def _holder(situation: Situation) -> str:
    if situation.module is not None:
        return situation.module.name
    return next(iter(nested_holders(situation.facts.machine)), "kvm_intel")


def _shown(situation: Situation, origin: Origin) -> str:
    text = situation.facts.text(origin)
    return f"{place(origin)}: {text}" if text else place(origin)


def some(found: Sequence[str]) -> str:
    named: Iterable[str] = found[:MOST_NAMED]
    more = len(found) - MOST_NAMED
    return "; ".join(named) + (f"; and {more} more" if more > 0 else "")
