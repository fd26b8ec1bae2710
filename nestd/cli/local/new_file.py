# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that a command writes for the user; they appear only when they are complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nestd.cli.service.errors import CliError

PRIVATE = 0o600
READABLE = 0o644


@contextlib.contextmanager
def new_file(path: Path, mode: int = PRIVATE) -> Iterator[IO[bytes]]:
    """A file that appears at PATH once it is complete. Raises CliError."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
        os.replace(name, path)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
