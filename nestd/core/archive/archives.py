# SPDX-License-Identifier: LGPL-2.1-or-later
"""Collects what a support request needs into a .tar.gz that a client reads from a pipe.

The client gets its end of the pipe at once, and the archive is written as it reads. A client that
disconnects or does not read only occupies a thread and a pipe for a while; its archive is then
truncated, which gunzip detects.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

from nestd import __version__
from nestd.core.archive.writer import ArchiveWriter
from nestd.core.errors import InvalidArgument, LimitsExceeded
from nestd.core.journal_events import NOTICE, Event, about
from nestd.core.modules.next_loads import next_loads
from nestd.core.modules.view import HostView
from nestd.host.collect import log_files, sources
from nestd.host.collect.log_files import Place
from nestd.host.collect.spool import spool
from nestd.host.collect.timed_pipe import Cancelled, TimedPipe, WriteTimeout
from nestd.host.machine import versions
from nestd.host.machine.host_name import host_name

MOST_AT_ONCE = 3
DEFAULT_LOG_BYTES = 100 << 20
MOST_LOG_BYTES = 16 << 30
CONFIG_BYTES = 1 << 20  # of each file
OUTPUT_BYTES = 16 << 20  # of each program
OUTPUT_SECONDS = 60.0
CLIENT_TIMEOUT = 30.0  # for a client to read the next part, at most some 100 KiB
MOST_SECONDS = 3600.0  # for a whole archive, however slow its client is

log = logging.getLogger(__name__)
_T = TypeVar("_T")


class SupportArchives:
    """The archives being collected. DESCRIBE returns the whole state as JSON."""

    def __init__(
        self,
        view: HostView,
        describe: Callable[[], Awaitable[str]],
        client_timeout: float = CLIENT_TIMEOUT,
    ) -> None:
        self._view = view
        self._describe = describe
        self._client_timeout = client_timeout
        # Not asyncio's own threads: clients that do not read would block everyone else's work.
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="collect")
        self._at_work: set[asyncio.Task[None]] = set()

    @staticmethod
    def log_bytes(asked: int | None) -> int:
        """The number of bytes of logs to collect; ASKED None means the default.

        Raises InvalidArgument above the maximum.
        """
        if asked is None:
            return DEFAULT_LOG_BYTES
        if asked > MOST_LOG_BYTES:
            raise InvalidArgument(f'"max_bytes" is at most {MOST_LOG_BYTES}.')
        return asked

    def collect(self, max_bytes: int, uid: int) -> int:
        """Start an archive with at most MAX_BYTES of logs for the user UID.

        Returns the descriptor to read it from, which the caller owns. Raises InvalidArgument,
        LimitsExceeded.
        """
        max_bytes = self.log_bytes(max_bytes)
        if len(self._at_work) >= MOST_AT_ONCE:
            raise LimitsExceeded(f"{MOST_AT_ONCE} archives are being collected: try again later.")
        pipe = TimedPipe(self._client_timeout)
        task = asyncio.get_running_loop().create_task(self._run(pipe, max_bytes, uid))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        return pipe.take_read_end()

    async def _run(self, pipe: TimedPipe, max_bytes: int, uid: int) -> None:
        deadline = asyncio.get_running_loop().call_later(MOST_SECONDS, pipe.cancel)
        started = time.monotonic()
        fields = about(Event.LOGS_COLLECTED, caller_uid=uid)
        log.log(NOTICE, "Logs are being collected for the user %d", uid, extra=fields)
        try:
            await self._collect(pipe, max_bytes)
            log.info("Logs were collected in %.1f s", time.monotonic() - started)
        except BrokenPipeError:
            log.info("Collecting logs was abandoned: the client has disconnected")
        except (WriteTimeout, Cancelled):
            log.warning("Collecting logs was abandoned: the client does not read")
        except Exception:
            log.exception("Collecting logs failed")
        finally:
            deadline.cancel()
            pipe.close()

    async def _collect(self, pipe: TimedPipe, max_bytes: int) -> None:
        root, when = self._view.root, time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        writer = ArchiveWriter(root, pipe, f"nestd-{host_name(root)}-{when}", max_bytes)
        for name, source, text in await self._texts():
            await self._thread(pipe, writer.text, "nestd", name, source, text)
        if root.is_this_machine:
            for output in sources.OUTPUTS:
                await self._output(pipe, writer, output)
        else:
            what = "the journal, versions of programs"
            writer.index.leave_out(what, "these are another machine's files")
        await self._thread(pipe, self._files, writer, sources.configuration(self._view.kmod), None)
        await self._thread(pipe, self._files, writer, sources.LOGS, max_bytes)
        await self._thread(pipe, writer.end)

    async def _texts(self) -> list[tuple[str, str, bytes]]:
        """Name, source and bytes of the members generated by nestd itself."""
        facts = self._view.facts()
        programs = ""
        if self._view.root.is_this_machine:
            programs = await versions.installed(facts.machine)
        about = f"nestd: {__version__}\nkernel: {facts.release} {facts.machine}\n"
        return [
            ("describe.json", "Describe", (await self._describe()).encode()),
            ("next-loads.conf", "modprobe.d as kmod reads it", next_loads(facts).encode()),
            ("kernel-command-line", "the kernel", facts.cmdline),
            ("versions", "the programs", f"{about}{programs}".encode()),
        ]

    async def _output(self, pipe: TimedPipe, writer: ArchiveWriter, output: sources.Output) -> None:
        command = " ".join(output.command)
        with tempfile.TemporaryFile() as file:
            try:
                missing = await spool(
                    *output.command,
                    into=file,
                    limit=OUTPUT_BYTES,
                    timeout=OUTPUT_SECONDS,
                    only=output.only,
                )
            except OSError as error:
                writer.index.leave_out(command, f"cannot be run: {error.strerror}")
                return
            await self._thread(pipe, writer.output, "journal", output.name, command, file, missing)

    def _files(self, writer: ArchiveWriter, places: Sequence[Place], max_bytes: int | None) -> None:
        """Add the files of PLACES, newest first, at most MAX_BYTES in total. In a worker thread."""
        found, left_out = log_files.find(self._view.root, places)
        for each in left_out:
            writer.leave_out(each.path, each.why)
        left = max_bytes
        for file in found:
            if left is None:
                writer.file(file, CONFIG_BYTES)
            elif left > 0:
                left -= writer.file(file, left)
            else:
                writer.leave_out(file.path, f"older than the {max_bytes} bytes that were asked for")
        if max_bytes is not None and not found:
            writer.leave_out(places[0].directory, "there are no logs of libvirt")

    async def _thread(self, pipe: TimedPipe, function: Callable[..., _T], *arguments: object) -> _T:
        """Run FUNCTION in a worker thread; never returns before the thread has finished."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        finally:
            if not future.done():
                pipe.cancel()
                await asyncio.wait({future})
