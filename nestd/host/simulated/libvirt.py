# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons on a simulated host: they start, log and answer like real ones.

The daemons are those whose programs are below the root. The settings of a running daemon are kept
in the root's /simulated/libvirt, so that the host outlives one nestd; its process and files are
where a real daemon has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from nestd.formats import environment_file
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.conf import ConfError, parse
from nestd.formats.libvirt.log_filters import Filter
from nestd.formats.libvirt.log_items import InvalidItem, Level
from nestd.formats.libvirt.log_outputs import DEFAULT, Output
from nestd.formats.simulation import Simulation
from nestd.host.files import read_regular
from nestd.host.libvirt.daemons import config_file, installed, program_file
from nestd.host.libvirt.interface import LogAdmin, UnitError, UnitFacts
from nestd.host.libvirt.virt_admin import Refused, VirtAdminError
from nestd.host.root import Root
from nestd.host.simulated import libvirt_files

IDLE_SECONDS = 120  # --timeout in the stock units
WRITE_SECONDS = 0.3  # between two bursts of log messages
_STATE = "/simulated/libvirt"
_FIRST_PID = 1021
_ENABLED_FOR_BOOT = ("libvirtd", "virtqemud")
_MESSAGES = (
    ("qemu.qemu_monitor", "qemuMonitorIOProcess:300", "QEMU_MONITOR_IO_PROCESS: mon=0x7f3c100"),
    ("util.event", "virEventGLibHandleDispatch:115", "Dispatch handler data=0x7f3c20 watch=12"),
    ("rpc.rpc", "virNetServerClientDispatchRead:1252", "RPC_SERVER_CLIENT_MSG_RX: len=28"),
)


@dataclass(frozen=True)
class _Settings:
    """A running daemon's settings, in the form in which it reports them."""

    filters: str
    outputs: str
    level: int
    timeout: int


class SimulatedLibvirt:
    """Implements nestd.host.libvirt.interface.Units, and provides the daemons' LogAdmins.

    Missing files are installed, and daemons are started as at boot.
    """

    def __init__(self, root: Root, simulation: Simulation) -> None:
        self._root = root
        self._writing: asyncio.TimerHandle | None = None
        if not root.at(_STATE).is_dir():
            libvirt_files.install(root, simulation.kind)
            root.at(_STATE).mkdir(parents=True)
            if "socket-activated" not in simulation:
                self._boot()
        libvirt_files.spoil(root, simulation)

    def _boot(self) -> None:
        for daemon in installed(self._root):
            if daemon in _ENABLED_FOR_BOOT:
                with contextlib.suppress(UnitError):  # only its socket stays active
                    self._start(daemon)

    def admin(self, daemon: str) -> LogAdmin:
        """The admin server of DAEMON."""
        return _Admin(self, daemon)

    def close(self) -> None:
        """Stop logging."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    # Units

    async def read(self, daemon: str) -> UnitFacts:
        """See Units."""
        if daemon not in installed(self._root):
            return UnitFacts()
        variable = f"{daemon.upper()}_ARGS"
        return UnitFacts(
            known=True,
            active=True,
            listening=True,
            enabled=True,
            environment={variable: f"--timeout {IDLE_SECONDS}"},
            environment_files=(f"/etc/sysconfig/{daemon}",),
            program=program_file(self._root, daemon),
            arguments=(f"${variable}",),
        )

    async def try_restart(self, daemon: str) -> None:
        """See Units."""
        if self.runs(daemon):
            self._stop(daemon)
            self._start(daemon)

    async def start(self, daemon: str) -> None:
        """See Units."""
        if not self.runs(daemon):
            self._start(daemon)

    def listen(self, callback: Callable[[], None]) -> None:
        """See Units; every change shows in files as well, so this does nothing."""
        self.write_soon()

    # The processes

    def runs(self, daemon: str) -> bool:
        """Whether the daemon's process exists."""
        return self._root.at(f"/run/{daemon}.pid").exists()

    def _start(self, daemon: str) -> None:
        environment = self._environment(daemon)
        try:
            settings = self._configured(daemon, environment)
            self.open_outputs(log_outputs.parse_readback(settings.outputs))
        except (ConfError, InvalidItem, OSError) as error:
            raise UnitError(
                f"{daemon}.service could not be started: systemd says failed ({error})."
            ) from error
        self.use(daemon, settings)
        pid = _FIRST_PID + installed(self._root).index(daemon)
        process = self._root.at(f"/proc/{pid}")
        process.mkdir(parents=True, exist_ok=True)
        ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        (process / "comm").write_text(daemon[:15] + "\n")
        (process / "stat").write_text(f"{pid} ({daemon[:15]}) S 1 {'0 ' * 17}{ticks} 0 0\n")
        words = [program_file(self._root, daemon), "--timeout", str(IDLE_SECONDS)]
        (process / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
        lines = [f"{name}={value}".encode() + b"\0" for name, value in environment.items()]
        (process / "environ").write_bytes(b"".join(lines))
        run = self._root.at("/run")
        run.mkdir(parents=True, exist_ok=True)
        (run / f"{daemon}.pid").write_text(str(pid))
        self.write_soon()

    def _stop(self, daemon: str) -> None:
        self._root.at(f"/run/{daemon}.pid").unlink(missing_ok=True)
        self._root.at(f"{_STATE}/{daemon}").unlink(missing_ok=True)

    def _environment(self, daemon: str) -> Mapping[str, str]:
        try:
            data = read_regular(self._root.at(f"/etc/sysconfig/{daemon}")) or b""
        except OSError:
            return {}
        return environment_file.parse(data)

    def _configured(self, daemon: str, environment: Mapping[str, str]) -> _Settings:
        """The settings at start: the environment overrides the file."""
        path = self._root.follow(config_file(daemon))
        conf = parse(read_regular(path) or b"" if path.exists() else b"")
        filters = environment.get("LIBVIRT_LOG_FILTERS", conf.get_string("log_filters") or "")
        outputs = environment.get("LIBVIRT_LOG_OUTPUTS", conf.get_string("log_outputs") or "")
        level = conf.get_unsigned("log_level") or Level.WARNING
        known = log_outputs.parse_readback(outputs) or DEFAULT
        return _Settings(
            filters=as_reported(log_filters.parse_readback(filters)),
            outputs=log_outputs.canonical(known),
            level=int(level),
            timeout=IDLE_SECONDS,
        )

    # The settings in use

    def used(self, daemon: str) -> _Settings:
        """A running daemon's settings. Raises VirtAdminError if it does not run."""
        try:
            if self.runs(daemon):
                return _Settings(**json.loads(self._root.at(f"{_STATE}/{daemon}").read_bytes()))
        except (OSError, ValueError, TypeError):
            pass
        raise VirtAdminError("Failed to connect to the admin server: No such file or directory")

    def use(self, daemon: str, settings: _Settings) -> None:
        """Make the daemon use SETTINGS from now on."""
        path = self._root.at(f"{_STATE}/{daemon}")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{daemon}.new")
        temporary.write_text(json.dumps(asdict(settings)) + "\n")
        temporary.rename(path)
        self.write_soon()

    def open_outputs(self, outputs: Sequence[Output]) -> None:
        """Open the files as libvirt does, at once, creating missing ones. Raises OSError."""
        for path in log_outputs.file_paths(outputs):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            os.close(os.open(self._root.follow(path), flags, 0o600))

    # The logs

    def write_soon(self) -> None:
        """Let the daemons write log messages while any logs more than warnings."""
        if self._writing is None:
            with contextlib.suppress(RuntimeError):  # no event loop yet, so nobody would see it
                loop = asyncio.get_running_loop()
                self._writing = loop.call_later(WRITE_SECONDS, self._write)

    def _write(self) -> None:
        self._writing = None
        wrote = False
        for daemon in installed(self._root):
            with contextlib.suppress(VirtAdminError, InvalidItem, OSError):
                wrote = self._log(self.used(daemon)) or wrote
        if wrote:
            self.write_soon()

    def _log(self, settings: _Settings) -> bool:
        """Write a burst of messages to the files that receive them; whether there are any."""
        filters = log_filters.parse_readback(settings.filters)
        logged = [
            (function, text)
            for category, function, text in _MESSAGES
            if log_filters.effective(filters, category, settings.level) is Level.DEBUG
        ]
        files = [
            output.name
            for output in log_outputs.parse_readback(settings.outputs)
            if output.level is Level.DEBUG and log_outputs.file_paths([output])
        ]
        now = time.strftime("%Y-%m-%d %H:%M:%S.000+0000", time.gmtime())
        lines = [f"{now}: {_FIRST_PID}: debug : {function} : {text}" for function, text in logged]
        for path in files if lines else ():
            with open(self._root.follow(path), "a", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")
        return bool(lines and files)


class _Admin:
    """Implements nestd.host.libvirt.interface.LogAdmin."""

    def __init__(self, libvirt: SimulatedLibvirt, daemon: str) -> None:
        self._libvirt = libvirt
        self._daemon = daemon

    async def filters(self) -> str:
        """See LogAdmin."""
        return self._used.filters

    async def outputs(self) -> str:
        """See LogAdmin."""
        return self._used.outputs

    async def set_filters(self, text: str) -> None:
        """See LogAdmin."""
        used = self._used
        try:
            filters = log_filters.parse_readback(text)
        except InvalidItem as error:
            raise Refused(f"invalid argument: {error}") from error
        self._use(used, filters=as_reported(filters))

    async def set_outputs(self, text: str) -> None:
        """See LogAdmin."""
        used = self._used
        try:
            outputs = log_outputs.parse_readback(text) if text else DEFAULT
            self._libvirt.open_outputs(outputs)
        except InvalidItem as error:
            raise Refused(f"invalid argument: {error}") from error
        except OSError as error:
            raise Refused(f"failed to open {error.filename}: {error.strerror}") from error
        self._use(used, outputs=log_outputs.canonical(outputs))

    async def set_timeout(self, seconds: int) -> None:
        """See LogAdmin."""
        self._use(self._used, timeout=seconds)

    @property
    def _used(self) -> _Settings:
        return self._libvirt.used(self._daemon)

    def _use(self, used: _Settings, **changes: object) -> None:
        self._libvirt.use(self._daemon, _Settings(**{**asdict(used), **changes}))


def as_reported(filters: Sequence[Filter]) -> str:
    """The filters as libvirt prints them: stars around each pattern, a blank after each filter."""
    return "".join(f"{each.level:d}:*{each.pattern}* " for each in filters)
