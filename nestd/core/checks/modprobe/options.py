# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options lines without an effect, or with another effect than expected, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nestd.core.checks.finding import Finding, note, warn
from nestd.core.checks.modprobe.configuration import some
from nestd.core.checks.situation import Situation
from nestd.core.model import Vendor
from nestd.core.modules.facts import KvmModule
from nestd.core.modules.obstacles import unknown_parameters
from nestd.core.modules.values import NESTED
from nestd.core.modules.vendors import nested_holders
from nestd.core.modules.wording import place
from nestd.formats.modprobe import modprobe_d
from nestd.formats.modprobe.modprobe_d import Options
from nestd.formats.modprobe.next_load import ConfigFile, Origin, path_for_people
from nestd.formats.modprobe.option_faults import faults, meant_module

_MAY_NAME_KVM = re.compile(rb"kvm", re.IGNORECASE).search


def parameters(situation: Situation) -> Finding | None:
    """Parameters that a module does not have; the kernel ignores them with a warning."""
    found, modules = [], []
    for module in _concerned(situation):
        named = list(dict.fromkeys(_unknown(situation, module)))
        found += named
        modules += [module.name] if named else []
    if not found:
        return None
    names = " or ".join(modules)
    listed = " and ".join(f"modinfo -p {name}" for name in modules)
    return warn(
        "config-parameters",
        f"{names} has no such parameter, and the kernel ignores it: {some(found)}.",
        f"Correct the line, or remove the word. The parameters are listed by: {listed}.",
    )


def values(situation: Situation) -> Finding | None:
    """Values that the module accepts with another meaning than intended."""
    found = [
        _located(situation, line, fault)
        for module in _concerned(situation)
        for line in module.next_load.option_lines
        for fault in faults(line.text, module.parameters)
    ]
    if not found:
        return None
    return warn(
        "config-values",
        f"An options line does not mean what it seems to: {some(list(dict.fromkeys(found)))}.",
        "Write options MODULE NAME=VALUE NAME=VALUE, with blanks between these words and nowhere"
        " else.",
    )


def almost_modules(situation: Situation) -> Finding | None:
    """Options for names that resemble those of KVM's modules but belong to no module."""
    facts, found = situation.facts, []
    names = {*facts.modules, *nested_holders(facts.machine)}
    for file, line in _options_lines(facts.files, facts.kmod):
        name = line.module.decode("utf-8", "backslashreplace")
        meant = "" if name in names else meant_module(line.module, names)
        if meant:
            origin = Origin(path_for_people(file.path), line.line, "")
            found.append(_located(situation, origin, f"{name} is no module, {meant} is"))
    if not found:
        return None
    return warn(
        "config-module-names",
        "kmod takes an options line for the module of exactly that name, in small letters, with -"
        f" or _: {some(found)}.",
        "Correct the module's name.",
    )


def _options_lines(files: Iterable[ConfigFile], kmod: int) -> Iterator[tuple[ConfigFile, Options]]:
    """The options lines of files that contain "kvm" in upper or lower case."""
    for file in files:
        if _MAY_NAME_KVM(file.data):
            for line in modprobe_d.parse(file.data, kmod=kmod):
                if isinstance(line, Options):
                    yield file, line


def other_vendor(situation: Situation) -> Finding | None:
    """Options for the KVM module of another processor vendor."""
    if situation.vendor is Vendor.NONE or situation.module is None:
        return None
    found = [
        f"{place(line)} sets {_text(situation, line)} for {name}"
        for name in nested_holders(situation.facts.machine)
        if name != situation.module.name
        for line in situation.facts.module(name).next_load.option_lines
    ]
    if not found:
        return None
    return note(
        "config-vendor",
        f"This host's module is {situation.module.name}; options for another vendor's have no"
        f" effect here: {some(found)}.",
        f"If they are meant for this host, write them for {situation.module.name}.",
    )


def ignored_files(situation: Situation) -> Finding | None:
    """Files with options for KVM that libkmod ignores because of their names."""
    facts = situation.facts
    names = {name.encode() for name in facts.modules}
    found = []
    for file in facts.ignored:
        path = path_for_people(file.path)
        for line in modprobe_d.parse(file.data, kmod=facts.kmod):
            if isinstance(line, Options) and line.module in names:
                found.append(place(Origin(path, line.line, "")))
    if not found:
        return None
    return warn(
        "config-names",
        f"kmod reads only files of modprobe.d whose name ends in .conf, not {some(found)}.",
        "Rename the file, or move the lines to a file of modprobe.d whose name ends in .conf.",
    )


def _text(situation: Situation, line: Origin) -> str:
    """The text of an options line if everybody may read it, else only "options"."""
    return situation.facts.text(line).strip() or "options"


def _concerned(situation: Situation) -> list[KvmModule]:
    """The module with "nested" and the modules that it needs."""
    if situation.module is None:
        return []
    module = situation.facts.module(situation.module.name)
    return [module, *module.needed]


def _located(situation: Situation, at: Origin, what: str) -> str:
    """The place of a line and WHAT, which may quote it; only the place in a private file."""
    return place(at) if at.file in situation.facts.private else f"{place(at)}: {what}"


def _unknown(situation: Situation, module: KvmModule) -> Iterator[str]:
    """The places of unknown parameters, except in lines that values() reports.

    wrong_module() reports `options kvm nested=`.
    """
    lines = {(each.file, each.line): each.text for each in module.next_load.option_lines}
    for each in unknown_parameters(module):
        explained = faults(lines.get((each.file, each.line), ""), module.parameters)
        if not explained and (module.holds_nested or each.parameter != NESTED):
            private = each.file in situation.facts.private
            yield place(each) if private else f"{place(each)} sets {each.parameter}"
