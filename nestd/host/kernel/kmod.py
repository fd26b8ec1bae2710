# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod's programs and the system call that unloads a module."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
from collections.abc import Sequence
from pathlib import Path

from nestd.formats.modprobe.kernel_params import ParameterType, parameter_type
from nestd.host import program

UNLOAD_FLAGS = os.O_NONBLOCK  # what kmod passes; O_TRUNC would force the unload
MODPROBE_SECONDS = 60.0
QUERY_SECONDS = 10.0
OLDEST_SUPPORTED = 28  # RHEL 9's and bullseye's; assumed where no kmod answers

_libc = ctypes.CDLL(None, use_errno=True)


async def version() -> int:
    """kmod's major version; OLDEST_SUPPORTED where there is no kmod to ask."""
    try:
        answer = await program.run("modprobe", "--version", timeout=QUERY_SECONDS)
    except (OSError, TimeoutError):
        return OLDEST_SUPPORTED
    found = re.search(rb"kmod version (\d+)", answer.stdout)
    return int(found.group(1)) if found else OLDEST_SUPPORTED


async def delete_module(name: str) -> None:
    """delete_module(2), in a worker thread since it takes 70 to 140 ms. Raises OSError."""
    await asyncio.to_thread(_delete_module, name.encode("ascii"))


def _delete_module(name: bytes) -> None:
    if _libc.delete_module(name, UNLOAD_FLAGS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name.decode("ascii"))


async def show_load(name: str) -> program.Result:
    """Let modprobe(8) say what it would load for NAME: its program, lists and files are tried."""
    return await program.run("modprobe", "--show-depends", "--", name, timeout=QUERY_SECONDS)


async def modprobe(
    name: str, parameters: Sequence[tuple[str, str]], *, only_these: bool
) -> program.Result:
    """Run modprobe(8) for NAME. ONLY_THESE ignores modprobe.d files and install lines."""
    # -C /dev/null stands for an empty configuration; the kernel command line still applies.
    isolation = ["--config", "/dev/null", "--ignore-install"] if only_these else []
    assignments = [f"{parameter}={value}" for parameter, value in parameters]
    command = ["modprobe", *isolation, "--", name, *assignments]
    return await program.run(*command, timeout=MODPROBE_SECONDS)


async def parameter_types(base: Path, release: str, name: str) -> dict[str, ParameterType]:
    """The parameters that the module's file declares, from modinfo(8)'s parmtype fields."""
    if _has_fifo(base / "lib/modules" / release):
        return {}
    try:
        answer = await program.run(
            "modinfo", "-b", str(base), "-k", release, "-F", "parmtype", name, timeout=QUERY_SECONDS
        )
    except (OSError, TimeoutError):
        return {}
    types = {}
    for line in answer.stdout.decode("ascii", "replace").splitlines():
        parameter, separator, type_name = line.partition(":")
        if separator:
            types[parameter] = parameter_type(type_name, module=name, parameter=parameter)
    return types


def _has_fifo(directory: Path) -> bool:
    """Whether one of depmod's lists there is a FIFO, in which kmod would hang."""
    return any(path.is_fifo() for path in directory.glob("modules.*"))
