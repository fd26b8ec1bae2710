# SPDX-License-Identifier: LGPL-2.1-or-later
"""The XML of a guest: from a file, from standard input, or from libvirt by the guest's name."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from nestd.cli.service.errors import CliError, Exit

_LONGEST = 16 << 20  # bytes of XML; the service has a much lower limit and reports it
_VIRSH_SECONDS = 30.0
_SAVE = "Save its XML first, then:\n  nestctl check-guest FILE.xml"


async def domain_xml(guest: str) -> str:
    """The XML of a guest, given by name or file; "-" is standard input. Raises CliError."""
    if guest == "-":
        return _content(sys.stdin.buffer.read(_LONGEST), "Standard input")
    path = Path(guest)
    if path.exists():
        return _read(path)
    if "/" in guest or path.suffix == ".xml":
        raise CliError(f"There is no file {guest}.", code=Exit.USAGE)
    return await _virsh("dumpxml", "--inactive", "--domain", guest)


def _read(path: Path) -> str:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise CliError(f"{path} is a directory, not a file with XML.", code=Exit.USAGE)
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise CliError(f"{path} is a device, not a file with XML.", code=Exit.USAGE)
    try:
        with path.open("rb") as file:
            return _content(file.read(_LONGEST), str(path))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from error


def _content(data: bytes, name: str) -> str:
    """The XML as text, as D-Bus requires; bytes that are not UTF-8 become U+FFFD."""
    if not data.strip():
        raise CliError(f"{name} is empty.", code=Exit.USAGE)
    return data.decode("utf-8", "replace")


async def _virsh(*arguments: str) -> str:
    """The answer of libvirt over a read-only connection, which needs no rights."""
    uri = os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")
    command: Sequence[str] = ["virsh", "--readonly", "--connect", uri, *arguments]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        text = "A guest's name is looked up with virsh, which is not installed."
        raise CliError(text, _SAVE) from error
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _VIRSH_SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        raise CliError("libvirt does not answer.", _SAVE) from None
    if process.returncode:
        reason = errors.decode(errors="replace").strip().splitlines() or ["virsh failed"]
        hint = "See which guests there are:\n  virsh --readonly list --all"
        raise CliError(f"libvirt says: {reason[-1]}", hint)
    return output.decode("utf-8", "replace")
