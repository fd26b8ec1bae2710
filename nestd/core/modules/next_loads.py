# SPDX-License-Identifier: LGPL-2.1-or-later
"""The effective options of KVM's modules as modprobe.d lines, for people to read."""

from __future__ import annotations

from nestd.core.modules.facts import HostFacts


def next_loads(facts: HostFacts) -> str:
    """What each module's next load passes, with comments on what decides it."""
    lines = []
    for name in facts.modules:
        load = facts.module(name).next_load
        options = load.options.decode("utf-8", "backslashreplace")
        lines.append(f"options {name} {options}".rstrip())
        for each in load.assignments:
            value = "" if each.value is None else f"={each.value}"
            lines.append(f"# {each.parameter}{value}: {each.file}:{each.line}")
        for origin in (load.denied_by, load.blacklisted_by, load.install_by, load.alias_by):
            if origin is not None:
                lines.append(f"# {origin.text}: {origin.file}:{origin.line}")
    return "".join(f"{line}\n" for line in lines)
