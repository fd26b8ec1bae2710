# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log settings of a libvirt daemon from its configuration file and start options."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.conf import Conf, ConfError, parse
from nestd.formats.libvirt.log_filters import Filter
from nestd.formats.libvirt.log_items import InvalidItem, Level
from nestd.formats.libvirt.log_outputs import Output
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.libvirt.interface import UnitFacts

FILTERS, OUTPUTS, LEVEL = "log_filters", "log_outputs", "log_level"
_ENVIRONMENT = ("LIBVIRT_DEBUG", "LIBVIRT_LOG_FILTERS", "LIBVIRT_LOG_OUTPUTS")


class Activation(Enum):
    """Whether a daemon runs, or else whether a socket would start it."""

    RUNNING = "running"
    SOCKET = "socket"  # idle; systemd starts it on a connection
    STOPPED = "stopped"


@dataclass(frozen=True)
class LogConfig:
    """The settings in a configuration file. Values that libvirt rejects appear only in error."""

    filters: tuple[Filter, ...] = ()
    outputs: tuple[Output, ...] = ()
    level: int = 0  # 0 if not set
    error: str = ""  # "FILE:LINE: text", or "FILE: text" without a specific line


@dataclass(frozen=True)
class DebugShown:
    """A session as reported; until is in microseconds of CLOCK_REALTIME, 0 without a session."""

    until: int
    filters: str
    file: str
    written: int  # bytes since its start


NO_SESSION = DebugShown(0, "", "", 0)


@dataclass(frozen=True)
class LogState:
    """Everything that is reported about a daemon."""

    name: str
    config_file: str
    config: LogConfig = LogConfig()
    process: DaemonProcess | None = None
    overridden_by: str = ""
    activation: Activation = Activation.STOPPED
    warnings: tuple[str, ...] = ()
    debug: DebugShown = NO_SESSION

    @property
    def active(self) -> bool:
        """Whether the daemon runs."""
        return self.process is not None


def read_config(data: bytes | None, path: str) -> LogConfig:
    """The settings in the file PATH with bytes DATA; None means no file, which libvirt accepts.

    Values that no libvirt accepts are errors too: since 9.0 no daemon starts with them.
    """
    try:
        conf = parse(data or b"")
    except ConfError as error:
        return LogConfig(error=located(path, error))
    found = LogConfig()
    problems: list[tuple[int, str]] = []

    def take(name: str, read: Callable[[Conf, str], LogConfig]) -> LogConfig:
        try:
            return read(conf, name)
        except ConfError as error:
            problems.append((error.line, error.text))
        except InvalidItem as error:
            entry = conf.first(name)
            problems.append((entry.line if entry else 0, str(error)))
        return found

    found = take(FILTERS, lambda conf, name: replace(found, filters=_filters(conf, name)))
    found = take(OUTPUTS, lambda conf, name: replace(found, outputs=_outputs(conf, name)))
    found = take(LEVEL, lambda conf, name: replace(found, level=_level(conf, name)))
    if not problems:
        return found
    line, text = min(problems)
    return replace(found, error=f"{path}:{line}: {text}")


def located(path: str, error: ConfError) -> str:
    """libvirt's ERROR, prefixed with its place."""
    return f"{path}:{error.line}: {error.text}" if error.line else f"{path}: {error.text}"


def overridden_by(
    process: DaemonProcess | None, unit: UnitFacts, files: Sequence[Mapping[str, str]]
) -> str:
    """Why the daemon starts with settings other than the file's, "" if it does not.

    FILES are the variables of the unit's environment files. A running daemon's own environment
    and command line count as well, since they may come from elsewhere.
    """
    environment = dict(unit.environment)
    for variables in files:
        environment.update(variables)
    reasons = [f"{name} in the unit" for name in _ENVIRONMENT if name in environment]
    reasons += [f"{one} in the unit" for one in _options(_expanded(unit.arguments, environment))]
    if process is not None:
        own = [f"{name} in its environment" for name in _ENVIRONMENT if name in process.environment]
        own += [f"{one} on its command line" for one in _options(process.arguments)]
        seen = {reason.partition(" in ")[0] for reason in reasons}
        reasons += [one for one in own if one.partition(" in ")[0].partition(" on ")[0] not in seen]
    return ", ".join(reasons)


def timeout_of(process: DaemonProcess) -> int | None:
    """The idle seconds after which the daemon exits, None for never."""
    for option, value in _options_with_values(process.arguments):
        if option == "--timeout" and value.isdigit():
            return int(value) or None
    return None


def _filters(conf: Conf, name: str) -> tuple[Filter, ...]:
    return log_filters.parse_readback(conf.get_string(name) or "")


def _outputs(conf: Conf, name: str) -> tuple[Output, ...]:
    return log_outputs.parse_readback(conf.get_string(name) or "")


def _level(conf: Conf, name: str) -> int:
    level = conf.get_unsigned(name) or 0
    if level > Level.ERROR:
        entry = conf.first(name)
        raise ConfError(entry.line if entry else 0, f"{name} is {level}, but goes from 0 to 4")
    return level


def _options(arguments: Sequence[str]) -> Iterator[str]:
    """The options that override the file, in the form to report."""
    for option, value in _options_with_values(arguments):
        if option == "--config":
            yield f"--config {value}"
        elif option == "--verbose":
            yield option


def _options_with_values(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options on a daemon's command line in long form (remote_daemon.c, main)."""
    takes_value = {"-f": "--config", "-t": "--timeout", "-p": "--pid-file"}
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in (*takes_value, *takes_value.values()):
            yield takes_value.get(option, option), value if equals else next(rest, "")
        elif argument[:2] in takes_value:
            yield takes_value[argument[:2]], argument[2:]
        elif option.startswith("--"):
            yield option, value
        elif argument.startswith("-") and "v" in argument:
            yield "--verbose", ""


def _expanded(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The arguments with "$VARIABLE" expanded to its words, as systemd does."""
    words: list[str] = []
    for argument in arguments:
        name = argument[1:].strip("{}")
        if not argument.startswith("$"):
            words.append(argument)
            continue
        try:
            words += shlex.split(environment.get(name, ""))
        except ValueError:
            words += environment.get(name, "").split()
    return words
