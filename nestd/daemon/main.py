# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start-up, wiring and shutdown of nestd."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nestd import __version__
from nestd.bus.peers.logind import ShutdownDelay
from nestd.bus.peers.systemd_units import SystemdUnits
from nestd.bus.service import Service
from nestd.core.drift.watch import DriftWatch
from nestd.core.history.foreign import ForeignWatch
from nestd.core.history.history import History
from nestd.core.history.logs import LogsWatch
from nestd.core.logs.daemons import LogDaemons
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.recovery import recover
from nestd.core.services import Services
from nestd.core.shared_work import SharedLook
from nestd.daemon import settings
from nestd.daemon.logs import Logs
from nestd.daemon.notify import notify, start_watchdog
from nestd.daemon.options import Options
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import BusError
from nestd.formats.api.names import BUS_NAME
from nestd.host.kernel.interface import Kernel
from nestd.host.kernel.kmod import Kmod, find_kmod
from nestd.host.kernel.real import FilesOnly, RealKernel
from nestd.host.libvirt.interface import NoUnits
from nestd.host.machine.detect_virt import host_virtualization
from nestd.host.machine.machine_id import machine_id
from nestd.host.root import Root
from nestd.host.state.records import Records

# The modules for --simulate are imported on use: on a real host nestd does not need them.

EXIT_OK, EXIT_FAILURE = 0, 1

log = logging.getLogger("nestd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run nestd until a signal stops it; returns the exit status."""
    chosen = _options(sys.argv[1:] if arguments is None else arguments)
    logs = Logs(chosen.log_level)
    with _root(chosen) as root:
        try:
            return asyncio.run(_serve(chosen, root, logs))
        except (BusError, OSError) as error:
            log.error("nestd cannot run: %s", error)
            return EXIT_FAILURE


def _options(arguments: Sequence[str]) -> Options:
    if not arguments:
        return Options()  # as started by systemd: loading argparse takes a tenth of the start
    from nestd.daemon.command_line import parse

    return parse(arguments)


@contextlib.contextmanager
def _root(chosen: Options) -> Iterator[Root]:
    """The host's files: those of --root, this machine's, or a temporary directory."""
    if chosen.root is not None:
        yield Root(chosen.root.resolve())
    elif chosen.simulate is None:
        yield Root()
    else:
        with tempfile.TemporaryDirectory(prefix="nestd-simulated-") as directory:
            yield Root(Path(directory))


async def _serve(chosen: Options, root: Root, logs: Logs) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until there are settings to reread
    async with contextlib.AsyncExitStack() as at_end:
        connection = await Connection.connect(chosen.bus)
        at_end.callback(connection.close)
        services = await _start(chosen, root, connection, at_end)
        drift = DriftWatch(services.changes, settings.load(root).on_drift)
        at_end.push_async_callback(drift.close)
        service = Service(connection, services, logs, machine_id(root))
        if not await service.own_name():
            log.error("nestd cannot run: %s is taken by another process", BUS_NAME)
            return EXIT_FAILURE
        reread = _Reread(root, drift)
        loop.add_signal_handler(signal.SIGHUP, reread.begin)
        notify("READY=1", f"STATUS=Serving {BUS_NAME}")
        start_watchdog()
        services.view.machine_count.count_soon()
        drift.start()
        _spare_collector()
        log.info("nestd %s serves %s (kmod %d)", __version__, BUS_NAME, services.view.kmod)
        return await _run(stop, connection)


async def _start(
    chosen: Options, root: Root, connection: Connection, at_end: contextlib.AsyncExitStack
) -> Services:
    """Create and start everything except the bus service; AT_END closes it in reverse order."""
    kernel = _kernel(chosen, root)
    kmod, virtualization = await _surroundings(chosen, root)
    view = HostView(root, kernel, kmod.version, virtualization, kmod.problem)
    at_end.callback(view.close)
    await view.start()
    reloads = Reloads(view, Records(root), ShutdownDelay(chosen.bus).held)
    at_end.push_async_callback(reloads.close)
    history = History(root)
    history.load()
    at_end.push_async_callback(history.close)
    history.watch(reloads.jobs)
    await recover(reloads)
    history.serve()
    daemons = _log_daemons(chosen, root, connection, reloads, at_end)
    at_end.push_async_callback(daemons.close)
    logs = LogsWatch(daemons, history)
    at_end.callback(logs.close)
    await daemons.start()
    logs.start()
    services = Services(view, reloads, daemons, history)
    foreign = ForeignWatch(services.changes, history)
    at_end.callback(foreign.close)
    foreign.start()
    return services


async def _surroundings(chosen: Options, root: Root) -> tuple[Kmod, str]:
    """kmod's version, and the virtualization that the host runs under."""
    if not chosen.simulate:
        kmod, virtualization = await asyncio.gather(find_kmod(), host_virtualization(root))
        if kmod.problem:
            log.warning("modprobe --version: %s; kmod %d is assumed", kmod.problem, kmod.version)
        return kmod, virtualization
    from nestd.host.simulated import kernel, situations

    asked = situations.virtualization(root)
    return Kmod(kernel.KMOD), asked or await host_virtualization(root)


def _log_daemons(
    chosen: Options,
    root: Root,
    connection: Connection,
    reloads: Reloads,
    at_end: contextlib.AsyncExitStack,
) -> LogDaemons:
    if chosen.simulate is not None:
        from nestd.host.simulated.libvirt import SimulatedLibvirt

        libvirt = SimulatedLibvirt(root, chosen.simulate)
        at_end.callback(libvirt.close)
        return LogDaemons(root, libvirt, libvirt.admin, is_ours=reloads.is_ours)
    units = SystemdUnits(connection) if root.is_this_machine else NoUnits()
    return LogDaemons(root, units, is_ours=reloads.is_ours)


async def _run(stop: asyncio.Event, connection: Connection) -> int:
    """Wait for a signal or the end of the connection; returns the exit status."""
    stopping = asyncio.ensure_future(stop.wait())
    ended = asyncio.ensure_future(connection.closed())
    await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
    notify("STOPPING=1")
    if not ended.done():
        ended.cancel()
        return EXIT_OK
    log.error("nestd cannot go on: %s", ended.exception())
    return EXIT_FAILURE


def _spare_collector() -> None:
    """Exclude the objects created so far from garbage collection, which then blocks the loop for
    1 ms instead of 20.
    """
    gc.collect()
    gc.freeze()


class _Reread:
    """Rereads the settings in a worker thread on each SIGHUP."""

    def __init__(self, root: Root, drift: DriftWatch) -> None:
        self._load = SharedLook(lambda: settings.load(root))
        self._drift = drift
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Start to reread; called by the signal handler."""
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        task = asyncio.create_task(self._read())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self) -> None:
        found = await self._load()
        self._drift.set_policy(found.on_drift)
        log.info("%s was read again", settings.PATH)
        notify("READY=1")


def _kernel(chosen: Options, root: Root) -> Kernel:
    if chosen.simulate is not None:
        from nestd.host.simulated.host import KINDS
        from nestd.host.simulated.kernel import SimulatedKernel

        return SimulatedKernel(root, KINDS[chosen.simulate.kind], chosen.simulate)
    return RealKernel(root) if root.is_this_machine else FilesOnly(root)
