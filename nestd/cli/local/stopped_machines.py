# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record of guests that nestctl has stopped and not started again.

It survives the process and a reboot, and is written before a guest is touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nestd.cli.service.errors import CliError, Exit
from nestd.host.state.state_file import write_state_file

RECORD = Path("/var/lib/nestd/stopped-machines.json")
_LOCK = Path("/run/nestd-machines.lock")


class Stopped(NamedTuple):
    """One guest; saved says that it was saved rather than shut down by its power button."""

    uuid: str
    name: str
    saved: bool


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Lock out other runs of nestctl that stop or start guests. Raises CliError."""
    if os.geteuid():
        text = "Only root can stop and start guests."
        hint = "Try again as root:\n  sudo nestctl ..."
        raise CliError(text, hint, Exit.NOT_AUTHORIZED)
    with _LOCK.open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = "Another nestctl is stopping or starting guests now."
            raise CliError(text, code=Exit.BLOCKED) from None
        yield


def read() -> list[Stopped]:
    """The guests that have not been started again, in the order in which they were stopped."""
    try:
        found = json.loads(RECORD.read_bytes())
        return [Stopped(each["uuid"], each["name"], each["saved"]) for each in found["machines"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f"{RECORD} cannot be read: {error}. It names guests that nestctl has stopped."
        hint = f"Start them with virsh, then remove it:\n  rm {RECORD}"
        raise CliError(text, hint) from error


def write(machines: Sequence[Stopped]) -> None:
    """Replace the record by MACHINES. Raises CliError."""
    try:
        if machines:
            document = {"machines": [each._asdict() for each in machines]}
            write_state_file(RECORD, (json.dumps(document, indent=1) + "\n").encode())
        else:
            RECORD.unlink(missing_ok=True)
    except OSError as error:
        raise CliError(f"{RECORD} cannot be written: {error.strerror}.") from error
