# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod's programs and the system call that unloads a module."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nestd.formats.modprobe.kernel_params import ParameterType, parameter_type
from nestd.host import program

UNLOAD_FLAGS = os.O_NONBLOCK  # what kmod passes; O_TRUNC would force the unload
MODPROBE_SECONDS = 60.0
QUERY_SECONDS = 10.0
OLDEST_SUPPORTED = 28  # in RHEL 9 and bullseye; assumed if modprobe gives no version

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Kmod:
    """kmod's major version; problem says, as the end of a sentence, why it is unknown."""

    version: int
    problem: str = ""


async def find_kmod() -> Kmod:
    """Ask modprobe(8) for its version; OLDEST_SUPPORTED if it gives none."""
    try:
        answer = await program.run("modprobe", "--version", timeout=QUERY_SECONDS)
    except (OSError, TimeoutError) as error:
        return Kmod(OLDEST_SUPPORTED, not_run(error))
    found = re.search(rb"kmod version (\d+)", answer.stdout)
    if found is None:
        said = answer.complaint if answer.status else "it does not report its version"
        return Kmod(OLDEST_SUPPORTED, said)
    return Kmod(int(found.group(1)))


def not_run(error: Exception) -> str:
    """Why a program could not be run or did not finish, as the end of a sentence."""
    if isinstance(error, FileNotFoundError):
        return "it is not installed"
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error)


async def delete_module(name: str) -> None:
    """delete_module(2), in a worker thread since it takes 70 to 140 ms. Raises OSError."""
    await asyncio.to_thread(_delete_module, name.encode("ascii"))


def _delete_module(name: bytes) -> None:
    if _libc.delete_module(name, UNLOAD_FLAGS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name.decode("ascii"))


async def show_load(name: str) -> program.Result:
    """Dry-run modprobe(8) for NAME, which checks the program, its lists and files."""
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
    """The parameters declared by the module's file, from modinfo(8)'s parmtype fields."""
    try:
        if _has_fifo(base / "lib/modules" / release):
            return {}
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
    """Whether one of depmod's lists in DIRECTORY is a FIFO, on which kmod would hang."""
    return any(path.is_fifo() for path in directory.glob("modules.*"))
