# SPDX-License-Identifier: LGPL-2.1-or-later
"""Warnings about a daemon's configured log settings, one sentence each."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from nestd.core.logs.settings import request
from nestd.core.logs.settings.file import read_bytes
from nestd.core.logs.settings.request import LogSettings
from nestd.core.logs.settings.state import FILTERS, LEVEL, OUTPUTS, LogConfig
from nestd.core.logs.settings.units import Mode
from nestd.formats.libvirt.conf import ConfError, parse
from nestd.formats.libvirt.log_outputs import file_paths
from nestd.host.libvirt import log_targets
from nestd.host.libvirt.daemons import MONOLITHIC, NAMES, config_file
from nestd.host.root import Root

CLIENT = "/etc/libvirt/libvirt.conf"


def standing_warnings(root: Root, name: str, config: LogConfig) -> tuple[str, ...]:
    """CheckFilters' warnings about the configured settings, and what prevents a start."""
    if config.error:
        return (f"{name} cannot start: {config.error}.",)
    # For a property, which all users may read.
    settings = LogSettings(config.filters, config.outputs)
    found = request.warnings(root, config, settings, sees_all=False)
    missing = {
        path: directory
        for path in file_paths(config.outputs)
        if (directory := log_targets.missing_directory(root, path, sees_all=False))
    }
    prefixes = tuple(f"{path} cannot be logged to: " for path in missing)
    others = [each for each in found if not each.startswith(prefixes)]
    why = "cannot start: the directory of a log file is missing"
    return (*others, *(f"{name} {why}: {each}." for each in dict.fromkeys(missing.values())))


def unread_files(root: Root, mode: Mode, used: Collection[str]) -> tuple[str, ...]:
    """Sentences about files with log settings that no daemon of this host reads.

    USED are the daemons that this host uses. Blocks.
    """
    return tuple(_unread(root, mode, used))


def _unread(root: Root, mode: Mode, used: Collection[str]) -> Iterator[str]:
    for name in NAMES:
        path = config_file(name)
        if name in used or not _sets_logging(root, path):
            continue
        if name == MONOLITHIC:
            why = "this host uses libvirt's modular daemons, which have files of their own"
        elif mode is Mode.MONOLITHIC or MONOLITHIC in used:
            why = f"this host uses {MONOLITHIC}, which reads {config_file(MONOLITHIC)}"
        else:
            why = f"{name} is not installed"
        yield f"{path} sets what is logged, but no daemon reads it: {why}."
    if _sets_logging(root, CLIENT):
        yield f"{CLIENT} sets what is logged, but no daemon reads it: it is for libvirt's clients."


def _sets_logging(root: Root, path: str) -> bool:
    try:
        conf = parse(read_bytes(root, path) or b"")
    except (OSError, ConfError):
        return False
    return any(conf.first(name) is not None for name in (FILTERS, OUTPUTS, LEVEL))
