# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the guest's CPU settings from the command line of a virtual machine monitor.

QEMU: the last -cpu counts (qemu-options.hx); "+feature" is applied after "feature=on", and
"-feature" after that (x86_cpu_parse_featurestr in target/i386/cpu.c). Cloud Hypervisor: --cpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from nestd.formats.printable import printable

_NOTHING: Mapping[str, str] = MappingProxyType({})
_LONGEST_MODEL = 60
_ON, _OFF = ("on", "yes", "true", "y"), ("off", "no", "false", "n")


@dataclass(frozen=True)
class QemuArguments:
    """The arguments that decide about nesting."""

    cpus: int = 0  # the number of -cpu options
    model: str = ""  # of the last one, printable; "" if there is none
    features: Mapping[str, str] = field(default_factory=lambda: _NOTHING)  # "on", "off" or a value
    machine: Mapping[str, str] = field(default_factory=lambda: _NOTHING)  # of all -machine
    restored: bool = False  # it was started from a saved or migrated state
    set_elsewhere: frozenset[str] = frozenset()  # properties that -global sets
    configured: bool = False  # more options are in a file that nestd does not read (-readconfig)

    def decides(self, name: str) -> bool:
        """Whether -cpu and -machine alone decide the feature or capability NAME."""
        return not self.configured and name not in self.set_elsewhere

    def feature(self, name: str) -> str:
        """ "on", "off", or "" if the command line does not name the feature."""
        return _switch(self.features.get(name, ""))

    def capability(self, name: str) -> str:
        """The same for a machine property, such as cap-nested-hv."""
        return _switch(self.machine.get(name, ""))


def read_qemu(arguments: Sequence[str]) -> QemuArguments:
    """Parse QEMU's arguments, without the program's name."""
    cpus: list[str] = []
    machine: dict[str, str] = {}
    elsewhere: set[str] = set()
    restored = configured = False
    for option, value in zip(arguments, [*arguments[1:], ""]):
        name = _option(option)
        if name == "cpu":
            cpus.append(value)
        elif name in ("machine", "M"):
            machine.update(_properties(value))
        elif name in ("incoming", "loadvm"):
            restored = True
        elif name == "global":
            elsewhere.add(_global_property(value))
        elif name == "readconfig":
            configured = True
    model, features = _cpu(cpus[-1]) if cpus else ("", {})
    return QemuArguments(
        cpus=len(cpus),
        model=model,
        features=MappingProxyType(features),
        machine=MappingProxyType(machine),
        restored=restored,
        set_elsewhere=frozenset(elsewhere),
        configured=configured,
    )


def cloud_hypervisor_nested(arguments: Sequence[str]) -> str:
    """The value of "nested" in Cloud Hypervisor's --cpus: "on", "off", or "" if it is absent."""
    said = ""
    for option, value in zip(arguments, [*arguments[1:], ""]):
        name, equals, rest = option.partition("=")
        if name == "--cpus":
            said = _properties(rest if equals else value).get("nested", said)
    return _switch(said)


def _global_property(text: str) -> str:
    """The property of DRIVER.PROPERTY=VALUE, or of driver=...,property=...,value=..."""
    return _properties(text).get("property") or text.partition("=")[0].rpartition(".")[2]


def _option(word: str) -> str:
    """The option's name; QEMU accepts it with one dash or two."""
    if word.startswith("--"):
        return word[2:]
    return word[1:] if word.startswith("-") else ""


def _cpu(text: str) -> tuple[str, dict[str, str]]:
    model, *words = text.split(",")
    features = {}
    late: dict[str, list[str]] = {"+": [], "-": []}
    for word in words:
        if word[:1] in late:
            late[word[0]].append(word[1:])
            continue
        name, equals, value = word.partition("=")
        features[name.replace("_", "-")] = value if equals else "on"
    features.update(dict.fromkeys((name.replace("_", "-") for name in late["+"]), "on"))
    features.update(dict.fromkeys((name.replace("_", "-") for name in late["-"]), "off"))
    return printable(model.encode("utf-8", "surrogateescape"), _LONGEST_MODEL), features


def _properties(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split(","))
    return {name: value if equals else "on" for name, equals, value in pairs}


def _switch(value: str) -> str:
    if value in _ON:
        return "on"
    return "off" if value in _OFF else ""
