# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks the log settings that a client requests, and warns about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nestd.core.errors import InvalidFilter, InvalidOutput
from nestd.core.logs.settings.state import LogConfig
from nestd.formats.libvirt import log_filters, log_outputs, log_warnings
from nestd.formats.libvirt.log_filters import Filter
from nestd.formats.libvirt.log_outputs import Output
from nestd.formats.libvirt.log_presets import PRESETS, preset
from nestd.host.libvirt import log_targets
from nestd.host.root import Root


@dataclass(frozen=True)
class LogSettings:
    """The settings to apply; outputs None: unchanged, (): libvirt's default."""

    filters: tuple[Filter, ...]
    outputs: tuple[Output, ...] | None = None


def requested(
    root: Root,
    config: LogConfig,
    filters: str,
    outputs: str | None = None,
    *,
    sees_all: bool = True,
) -> LogSettings:
    """Parse the settings from a client. FILTERS may be the name of a preset.

    Unless SEES_ALL, errors reveal nothing that ordinary users cannot see themselves.

    Raises InvalidFilter, and InvalidOutput, also for a file that clients may not choose. A file
    already named in CONFIG is the administrator's choice and allowed.
    """
    try:
        wanted = log_filters.parse_strict(_named(filters))
    except log_filters.InvalidFilter as error:
        known = ", ".join(each.name for each in PRESETS)
        hint = "" if ":" in filters else f"; by name there are {known}"
        raise InvalidFilter(_sentence(f"{error}{hint}")) from error
    if outputs is None:
        return LogSettings(wanted)
    return LogSettings(wanted, _outputs(root, config, outputs, sees_all))


def check_directories(root: Root, outputs: Sequence[Output], *, sees_all: bool = True) -> None:
    """Refuse outputs in missing directories, with which a daemon would not start."""
    for path in log_outputs.file_paths(outputs):
        missing = log_targets.missing_directory(root, path, sees_all=sees_all)
        if missing:
            raise InvalidOutput(f"{path} cannot be logged to: there is no directory {missing}.")


def warnings(
    root: Root, config: LogConfig, settings: LogSettings, *, sees_all: bool = True
) -> tuple[str, ...]:
    """The warnings about SETTINGS combined with CONFIG."""
    outputs = config.outputs if settings.outputs is None else settings.outputs
    found = [*log_warnings.warnings(settings.filters, outputs, config.level)]
    found += _directories(root, outputs, sees_all)
    return tuple(dict.fromkeys(map(_sentence, found)))


def _named(filters: str) -> str:
    if filters in {each.name for each in PRESETS}:
        return preset(filters).filters
    return filters


def _outputs(root: Root, config: LogConfig, text: str, sees_all: bool) -> tuple[Output, ...]:
    try:
        outputs = log_outputs.parse_strict(text)
    except log_outputs.InvalidOutput as error:
        raise InvalidOutput(_sentence(str(error))) from error
    configured = log_outputs.file_paths(config.outputs)
    for number, output in enumerate(outputs, 1):
        if output.name in configured or not log_outputs.file_paths([output]):
            continue
        rule = log_targets.objection(root, output.name, sees_all=sees_all)
        if rule:
            raise InvalidOutput(_sentence(f"output {number}, '{output}': {rule}"))
    return outputs


def _directories(root: Root, outputs: Sequence[Output], sees_all: bool) -> Iterator[str]:
    for path in log_outputs.file_paths(outputs):
        missing = log_targets.missing_directory(root, path, sees_all=sees_all)
        if missing:
            yield f"{path} cannot be logged to: there is no directory {missing}"


def _sentence(text: str) -> str:
    """A TEXT from formats, which has no full stop, as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."
