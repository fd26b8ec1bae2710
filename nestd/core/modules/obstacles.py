# SPDX-License-Identifier: LGPL-2.1-or-later
"""What prevents a module's next load, or its load at boot.

Observed with libkmod 30 (kmod_module_probe_insert_module): modprobe first loads the modules that
NAME needs, each with its own options and `install` line, ignoring their `alias` and `blacklist`
lines. It ignores an `install` line of a module with an existing soft dependency; whether the soft
dependencies themselves load does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestd.core.modules.facts import EXCLUSIVE, KvmModule
from nestd.formats.modprobe.load_obstacle import (
    LoadObstacle,
    ObstacleKind,
    loads_nothing,
    sentence,
)
from nestd.formats.modprobe.next_load import Assignment, Origin
from nestd.host.kernel.sysfs import Availability

# Parameters that every module has (kernel/module/main.c, unknown_module_param_cb).
_OF_EVERY_MODULE = ("async_probe", "dyndbg")
# These also count for needed modules.
_OF_NEEDED = (ObstacleKind.INSTALL.value, ObstacleKind.DENIED.value, ObstacleKind.VALUE.value)
# Not an `install` line: its command may load the module in its own way, which only trying shows.
_PREVENTING = (
    *(ObstacleKind.FILE.value, ObstacleKind.DENIED.value, ObstacleKind.ALIAS.value),
    ObstacleKind.VALUE.value,
)
# `modprobe NAME` loads the module nevertheless.
_HARMLESS = (ObstacleKind.BLACKLIST.value, ObstacleKind.UNKNOWN_PARAMETER.value)


def load_obstacles(module: KvmModule) -> tuple[LoadObstacle, ...]:
    """All obstacles, those that prevent the load first; none for a built-in module."""
    if module.running.availability is Availability.BUILTIN:
        return ()
    own = (*_files(module), *_of(module))
    needed = (
        _dependency(other, obstacle)
        for other in module.needed
        if other.running.availability is not Availability.BUILTIN
        for obstacle in _of(other)
        if obstacle.kind in _OF_NEEDED
    )
    return tuple(sorted((*own, *needed), key=lambda each: each.kind in _HARMLESS))


def preventing(module: KvmModule) -> LoadObstacle | None:
    """The first obstacle that certainly prevents `modprobe MODULE` now."""
    for obstacle in load_obstacles(module):
        kind = obstacle.kind
        if kind == ObstacleKind.DEPENDENCY.value:
            name, kind = obstacle.text.partition(":")[0].split(" ")
            if module.host.is_loaded(name):
                continue
        if kind in _PREVENTING:
            return obstacle
    return None


def load_hint(module: KvmModule) -> str:
    """One sentence on why a load of MODULE had no effect; "" if unknown."""
    found = (each for each in load_obstacles(module) if each.kind not in _HARMLESS)
    return next((sentence(module.name, each) for each in found), "")


def may_load(module: KvmModule, obstacle: LoadObstacle) -> bool:
    """Whether the command of an `install` line might load the module."""
    for each in (module, *module.needed):
        origin = each.next_load.install_by
        if origin is not None and (origin.file, origin.line) == (obstacle.file, obstacle.line):
            return not loads_nothing(" ".join(origin.text.split()[2:]))  # install MODULE COMMAND
    return True


def _files(module: KvmModule) -> Iterator[LoadObstacle]:
    for file in module.host.stopping:
        yield LoadObstacle(ObstacleKind.FILE.value, file.what, file.path, 0)


def _of(module: KvmModule) -> Iterator[LoadObstacle]:
    """The module's own obstacles, without those of needed modules."""
    load = module.next_load
    ignores_install = any(name in module.host.installed for name in load.softdeps)
    origins = (
        (ObstacleKind.DENIED, load.denied_by),
        (ObstacleKind.ALIAS, load.alias_by),
        (ObstacleKind.INSTALL, None if ignores_install else load.install_by),
    )
    for kind, origin in origins:
        if origin is not None:
            yield _at(module, kind, origin)
    refused = list(module.all_refused)
    if module.conflicts:
        refused.append([each for each in load.assignments if each.parameter in EXCLUSIVE][-1])
    for assignment in refused:
        yield _assigned(module, ObstacleKind.VALUE, assignment)
    if load.blacklisted_by is not None:
        yield _at(module, ObstacleKind.BLACKLIST, load.blacklisted_by)
    lines: dict[tuple[str, int], list[str]] = {}
    for assignment in unknown_parameters(module):
        words = lines.setdefault((assignment.file, assignment.line), [])
        words.append(_word(assignment))
    for (file, line), words in lines.items():
        yield _at(module, ObstacleKind.UNKNOWN_PARAMETER, Origin(file, line, " ".join(words)))


def unknown_parameters(module: KvmModule) -> tuple[Assignment, ...]:
    """The next load's assignments of parameters that the module does not have."""
    if not module.host.types.get(module.name) and not module.running.parameters:
        return ()  # unknown: neither the module nor its file exists
    known = module.parameters | {*_OF_EVERY_MODULE}
    return tuple(each for each in module.next_load.assignments if each.parameter not in known)


def _at(module: KvmModule, kind: ObstacleKind, origin: Origin) -> LoadObstacle:
    return LoadObstacle(kind.value, module.host.text(origin), origin.file, origin.line)


def _assigned(module: KvmModule, kind: ObstacleKind, at: Assignment) -> LoadObstacle:
    return _at(module, kind, Origin(at.file, at.line, _word(at)))


def _word(at: Assignment) -> str:
    return at.parameter if at.value is None else f"{at.parameter}={at.value}"


def _dependency(module: KvmModule, obstacle: LoadObstacle) -> LoadObstacle:
    text = f"{module.name} {obstacle.kind}" + (f": {obstacle.text}" if obstacle.text else "")
    return LoadObstacle(ObstacleKind.DEPENDENCY.value, text, obstacle.file, obstacle.line)
