# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether guests get nested virtualization after the next boot, and what decides it."""

from __future__ import annotations

from collections.abc import Set

from nestd.core.model import Answer
from nestd.core.modules.backend import COMMAND_LINE, KERNEL_DEFAULT
from nestd.core.modules.facts import KvmModule
from nestd.core.modules.obstacles import load_obstacles, may_load
from nestd.core.modules.values import NESTED, answer
from nestd.core.modules.vendors import cpu_flag
from nestd.formats.modprobe.load_obstacle import LoadObstacle, ObstacleKind
from nestd.formats.modprobe.next_load import Assignment
from nestd.host.kernel.sysfs import Availability

_HARMLESS = (ObstacleKind.UNKNOWN_PARAMETER.value,)
# On the kernel command line: modules to load, by dracut before udev or by systemd-modules-load.
_LOADED_BY_NAME = (b"rd.driver.pre=", b"rd.driver.post=")


def nested_at_boot(module: KvmModule, flags: Set[str]) -> Answer:
    """YES, NO or UNKNOWN. FLAGS are the processor's; without them udev's loads are unknown."""
    if not module.holds_nested:
        return Answer.UNKNOWN
    if module.running.availability is Availability.MISSING:
        return Answer.UNKNOWN if module.running.error or not module.host.installed else Answer.NO
    loads = _loads(module, flags)
    if loads is not Answer.YES:
        return loads
    winner = _effective(module)
    if winner is None:
        return module.default_nested
    found = answer(module.type_of(NESTED), winner.value, module.kernel)
    return found if found in (Answer.YES, Answer.NO) else module.default_nested


def decided_by(module: KvmModule) -> str:
    """What decides that: "FILE:LINE", COMMAND_LINE, KERNEL_DEFAULT, or "" if unknown."""
    if not module.holds_nested or module.running.availability is Availability.MISSING:
        return ""
    for obstacle in load_obstacles(module):
        if obstacle.kind not in _HARMLESS:
            return _place(obstacle.file, obstacle.line)
    winner = _effective(module)
    return KERNEL_DEFAULT if winner is None else _place(winner.file, winner.line)


def _loads(module: KvmModule, flags: Set[str]) -> Answer:
    """Whether anything loads the module at boot."""
    if module.running.availability is Availability.BUILTIN:
        return Answer.YES
    for obstacle in load_obstacles(module):
        if obstacle.kind not in _HARMLESS:
            return _loads_despite(module, obstacle)
    flag = cpu_flag(module.name)
    if not flag or module.running.loaded or flag in flags:
        return Answer.YES
    return Answer.NO if flags else Answer.UNKNOWN


def _loads_despite(module: KvmModule, obstacle: LoadObstacle) -> Answer:
    """Whether it is loaded at boot despite OBSTACLE: NO or UNKNOWN."""
    kind = obstacle.kind
    if kind == ObstacleKind.DEPENDENCY.value:
        kind = obstacle.text.partition(":")[0].rpartition(" ")[2]
    if kind == ObstacleKind.BLACKLIST.value:
        return Answer.UNKNOWN if _is_loaded_by_name(module) else Answer.NO
    if kind == ObstacleKind.INSTALL.value:
        return Answer.UNKNOWN if may_load(module, obstacle) else Answer.NO
    if kind == ObstacleKind.ALIAS.value:
        return Answer.UNKNOWN  # udev requests the module by its hardware alias, not by name
    if kind == ObstacleKind.FILE.value:
        hangs = any(file.hangs for file in module.host.stopping if file.path == obstacle.file)
        return Answer.NO if hangs else Answer.UNKNOWN
    return Answer.NO


def _is_loaded_by_name(module: KvmModule) -> bool:
    """Whether something that may ignore `blacklist` lines loads it at boot."""
    loads = module.host.boot_loads
    if module.name in loads.named and module.name not in loads.heeds_blacklist:
        return True
    name = module.name.encode()
    return any(
        name in word[len(start) :].replace(b"-", b"_").split(b",")
        for word in module.host.cmdline.split()
        for start in _LOADED_BY_NAME
        if word.startswith(start)
    )


def _effective(module: KvmModule) -> Assignment | None:
    return module.next_load.effective(NESTED)


def _place(file: str, line: int) -> str:
    if not line and file.startswith("/proc/"):
        return COMMAND_LINE
    return f"{file}:{line}" if line else file
