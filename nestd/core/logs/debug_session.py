# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record of a debug session: the request, and the state to restore."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from nestd.core.errors import InvalidArgument
from nestd.core.logs.settings.request import LogSettings
from nestd.core.logs.settings.runtime import Running
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.log_items import InvalidItem, Level
from nestd.formats.libvirt.log_outputs import Destination, Output
from nestd.host.libvirt import log_targets
from nestd.host.libvirt.daemons import DaemonProcess

MAX_SECONDS = 7 * 24 * 3600
DEFAULT_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Target:
    """The process to which the session was applied, and its previous settings."""

    pid: int
    start: int
    filters: str
    outputs: str
    timeout: int | None  # idle seconds after which it exits, None for never

    def is_process(self, process: DaemonProcess | None) -> bool:
        """Whether PROCESS is this process."""
        return process is not None and (process.pid, process.start) == (self.pid, self.start)

    @property
    def before(self) -> Running:
        """The settings that it reported before."""
        return Running(self.filters, self.outputs)


_CLOCK_MICROSECONDS = 1_000_000  # tolerance of the shown end


@dataclass(frozen=True)
class DebugSession:
    """One session of a daemon. target is None until it has been applied to a process."""

    filters: str
    outputs: str | None  # None: the default file, in addition to the present outputs
    until: int  # microseconds of CLOCK_REALTIME, for display
    deadline: float  # seconds of CLOCK_BOOTTIME, which continues during sleep; decides
    max_bytes: int
    sizes: Mapping[str, int]  # of the log files at the beginning, in bytes
    target: Target | None = None
    over: bool = False  # only the previous settings remain to be restored

    @classmethod
    def begin(cls, request: DebugRequest, target: Target) -> DebugSession:
        """The session of REQUEST for TARGET; the caller adds the sizes."""
        outputs = request.settings.outputs
        return cls(
            filters=log_filters.canonical(request.settings.filters),
            outputs=None if outputs is None else log_outputs.canonical(outputs),
            until=0,
            deadline=0,
            max_bytes=request.max_bytes,
            sizes={},
            target=target,
        ).lasting(request.seconds)

    def lasting(self, seconds: int) -> DebugSession:
        """The same session, lasting SECONDS from now."""
        until = time.time_ns() // 1000 + seconds * 1_000_000
        return replace(self, until=until, deadline=boot_time() + seconds)

    def settings(self, name: str, before: Running) -> LogSettings:
        """The settings for the daemon NAME, which had BEFORE. Raises InvalidItem."""
        filters = log_filters.parse_strict(self.filters)
        if self.outputs is not None:
            return LogSettings(filters, log_outputs.parse_strict(self.outputs))
        file = Output(Level.DEBUG, Destination.FILE, log_targets.debug_log(name))
        return LogSettings(filters, log_outputs.add(before.parsed_outputs(), file))

    def file(self, name: str) -> str:
        """The file to which the daemon NAME writes debug messages, "" for none."""
        if self.outputs is None:
            return log_targets.debug_log(name)
        files = [
            (output.level, output.name)
            for output in log_outputs.parse_strict(self.outputs)
            if output.destination is Destination.FILE
        ]
        return min(files)[1] if files else ""

    @property
    def remaining(self) -> float:
        """Seconds until its end."""
        return self.deadline - boot_time()

    def by_the_clock(self) -> DebugSession:
        """The same session, its end converted to CLOCK_REALTIME again, since that may be reset."""
        until = time.time_ns() // 1000 + round(self.remaining * 1_000_000)
        is_right = abs(until - self.until) < _CLOCK_MICROSECONDS
        return self if is_right else replace(self, until=until)

    def grown(self, sizes: Mapping[str, int]) -> int:
        """The growth of the log files in bytes; a truncated file counts from zero."""
        before = {path: self.sizes.get(path, 0) for path in sizes}
        return sum(
            now - before[path] if now >= before[path] else now for path, now in sizes.items()
        )

    def to_json(self) -> bytes:
        """Encode it for the record."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, record: bytes) -> DebugSession:
        """Decode a record. Raises ValueError if it is damaged."""
        try:
            facts = json.loads(record)
            target = facts.pop("target")
            session = cls(**facts, target=None if target is None else Target(**target))
            session.settings("libvirtd", Running("", ""))
        except (InvalidItem, TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error
        return session

    def ended(self) -> DebugSession:
        """The same session, marked as over."""
        return replace(self, over=True)


def boot_time() -> float:
    """Seconds of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class DebugRequest:
    """A checked request for a session."""

    settings: LogSettings
    seconds: int
    max_bytes: int


def check_limits(seconds: int, max_bytes: int) -> None:
    """Refuse a session that would last too long. Raises InvalidArgument."""
    if not 1 <= seconds <= MAX_SECONDS:
        raise InvalidArgument(
            f"A debug session lasts from 1 to {MAX_SECONDS} seconds (a week), not {seconds}."
        )
    if max_bytes < 1:
        raise InvalidArgument("max_bytes has to be at least 1.")
