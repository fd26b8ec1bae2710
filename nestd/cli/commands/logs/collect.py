# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl log collect: an archive for a support request, checked for completeness."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import sys
import time
import zlib
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

from nestd.cli.invocation.argument_types import byte_count
from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.local.new_file import new_file
from nestd.cli.screen import formatting
from nestd.cli.screen.elements import GOOD
from nestd.cli.screen.output import OutputError, discard_output
from nestd.cli.service.client import Options
from nestd.cli.service.errors import CliError, Exit
from nestd.dbus.values import Variant

_CHUNK = 256 << 10
_GZIP = 31  # zlib's code for a gzip header


def add_to(logs: Any) -> None:
    """Add the command."""
    about = "Collect what a support request needs, without secrets"
    parser = add_command(logs, "collect", run, about, changes=True)
    help_ = "the .tar.gz to write, - for standard output (default: nestd-HOST-TIME.tar.gz here)"
    parser.add_argument("-o", "--output", metavar="FILE", help=help_)
    help_ = "of logs, for example 500M (default: nestd's, 100M)"
    parser.add_argument("--max-size", type=byte_count, metavar="SIZE", help=help_)
    parser.add_argument("--dry-run", action="store_true", help="ask nestd, but collect nothing")


async def run(session: Session, chosen: Namespace) -> Exit:
    """Collect the logs and write the archive."""
    if chosen.output == "-" and sys.stdout.isatty():
        text = "An archive is not written to a terminal."
        raise CliError(text, "Name a file:\n  nestctl log collect -o FILE", Exit.USAGE)
    if chosen.dry_run:
        return await _dry_run(session, chosen)
    options = {} if chosen.max_size is None else {"max_bytes": Variant("t", chosen.max_size)}
    if chosen.output == "-":
        return await _to_standard_output(session, options)
    path = Path(chosen.output or _usual_name())
    with new_file(path) as file:
        size = await _copy(session, options, file)
    if session.screen.is_json:
        session.screen.json({"archive": str(path.absolute()), "bytes": size})
        return Exit.DONE
    session.screen.say((f"{path} is written: {formatting.size(size)}.", GOOD))
    session.screen.say("It is readable by you only. See what is in it before you send it:")
    session.screen.commands(f"tar -tzf {shlex.quote(str(path))}")
    return Exit.DONE


async def _dry_run(session: Session, chosen: Namespace) -> Exit:
    host = await session.client.host()
    path = chosen.output or _usual_name()
    if session.screen.is_json:
        session.screen.json({"archive": str(Path(path).absolute()), "bytes": None})
    else:
        session.screen.say(f"{path} would be written, with nestd {host.version}.")
    return Exit.DONE


async def _to_standard_output(session: Session, options: Options) -> Exit:
    try:
        await _copy(session, options, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise OutputError(error) from error
    return Exit.DONE


def _usual_name() -> str:
    return f"nestd-{os.uname().nodename}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz"


async def _copy(session: Session, options: Options, file: IO[bytes]) -> int:
    """Copy the archive to FILE; returns its bytes. Raises CliError if it is incomplete."""
    source = await session.client.collect_logs(options)
    unpacker = zlib.decompressobj(_GZIP)
    size = 0
    with session.screen.transfer("Collecting") as show:
        async for chunk in _chunks(source):
            file.write(chunk)
            size += len(chunk)
            _unpack(unpacker, chunk)
            show(size)
    if not unpacker.eof:
        raise CliError("The archive ended early and was not kept.", "See: journalctl -u nestd")
    return size


def _unpack(unpacker: Any, chunk: bytes) -> None:
    """Check a received chunk without keeping the result."""
    try:
        while chunk and not unpacker.eof:
            unpacker.decompress(chunk, _CHUNK)
            chunk = unpacker.unconsumed_tail
    except zlib.error as error:
        raise CliError(f"What nestd sent is no archive: {error}.") from error


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    """The data of a pipe or file up to its end; closes it."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        with open(descriptor, "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
                await asyncio.sleep(0)
        return
    reader = asyncio.StreamReader()
    with open(descriptor, "rb", buffering=0) as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while chunk := await reader.read(_CHUNK):
                yield chunk
        finally:
            transport.close()
