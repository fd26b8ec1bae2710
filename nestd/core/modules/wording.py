# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sentences about modules and their configuration, shared by several packages."""

from __future__ import annotations

from collections.abc import Sequence

from nestd.core.modules.facts import HostFacts
from nestd.core.modules.vendors import ARM
from nestd.formats.modprobe.next_load import Assignment, Origin
from nestd.formats.printable import quoted

_LISTS = ("module_blacklist", "modprobe.blacklist")
NESTED_WITH_HUGE_PAGES = (
    "nested and hpage exclude each other on this kernel: a KVM host that supports nesting cannot"
    " back its KVM guests with huge pages."
)


def place(at: Assignment | Origin) -> str:
    """A place in the configuration, at the beginning of a sentence."""
    return f"{at.file}:{at.line}" if at.line else f"The kernel command line ({at.file})"


def inner_place(at: Assignment | Origin) -> str:
    """A place in the configuration, within a sentence."""
    return place(at) if at.line else f"the kernel command line ({at.file})"


def precedence(module: str, own: str, winner: Assignment) -> str:
    """What overrides kvm.conf, whose path is OWN, at the beginning of a sentence."""
    words = assigned(winner.parameter, winner.value)
    return f"{place(winner)} sets {words} for {module} and overrides {own}"


def refusal(module: str, bad: Assignment) -> str:
    """A sentence about an assignment that the module rejects."""
    words = assigned(bad.parameter, bad.value)
    return f"{place(bad)} sets {words}, which {module} refuses: the module would not load."


def cmdline_words(facts: HostFacts, module: str, at: Assignment) -> list[str]:
    """The literal words of the kernel command line that assign AT's parameter."""
    parameter = f"{module}.{at.parameter}"
    found = [
        word
        for word in facts.cmdline.decode("utf-8", "backslashreplace").replace('"', "").split()
        if word.partition("=")[0].replace("-", "_") == parameter
    ]
    return list(dict.fromkeys(found)) or [assigned(parameter, at.value)]


def assigned(parameter: str, value: str | None) -> str:
    """The syntax that assigns VALUE to PARAMETER."""
    return parameter if value is None else f"{parameter}={value}"


def list_change(facts: HostFacts, module: str) -> tuple[list[str], list[str]]:
    """The lists on the kernel command line that block MODULE, and their replacements."""
    names = {module, *facts.needs.get(module, ())}
    remove, add = [], []
    for word in facts.cmdline.decode("utf-8", "backslashreplace").split():
        key, separator, value = word.partition("=")
        listed = value.split(",") if separator and key in _LISTS else []
        if not names.isdisjoint(listed):
            remove.append(word)
            kept = [name for name in listed if name not in names]
            add += [f"{key}={','.join(kept)}"] if kept else []
    return remove, add


def no_module(name: str, known: Sequence[str], machine: str) -> str:
    """A sentence saying that NAME is not among the modules KNOWN for the architecture MACHINE."""
    if machine == ARM:
        return (
            f"No module {quoted(name)} here: on arm64 KVM is part of the kernel, and kvm-arm.mode="
            " on the kernel command line decides whether it nests."
        )
    names = ", ".join(known) or "none"
    return f"No module {quoted(name)} here; KVM's modules are: {names}."


def no_kvm(provider: str) -> str:
    """One sentence on why there is no KVM module to change; PROVIDER is Snapshot.backend."""
    if not provider:
        return "This host has no KVM: its processor has none, or its firmware has switched it off."
    through = "is built into this kernel" if provider == "builtin" else f"runs through {provider}"
    return f"KVM {through}, which nestd does not know and cannot change."
