# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where to change "nested" on a host on which kvm.conf does not decide."""

from __future__ import annotations

from nestd.core.checks.situation import Situation
from nestd.core.model import Answer, Module
from nestd.core.modules.values import NESTED
from nestd.core.modules.wording import cmdline_words, place
from nestd.formats.modprobe.boot_arguments import advice


def elsewhere(situation: Situation, module: Module, asked: Answer) -> str:
    """A sentence on how to set "nested" to ASKED if kvm.conf does not decide; else ""."""
    facts = situation.facts
    winner = facts.module(module.name).next_load.effective(NESTED)
    value = "1" if asked is Answer.YES else "0"
    if situation.builtin or (winner is not None and not winner.line):
        words = [] if winner is None else cmdline_words(facts, module.name, winner)
        return advice(facts.boot_setup, words, [f"{module.name}.{NESTED}={value}"])
    if winner is None or winner.file == facts.own.path or module.nested_next is asked:
        return ""
    return f"Write {NESTED}={value} in {place(winner)}."
