# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of other users: for some moments this process is nobody."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import tiers


def nobody() -> int:
    """A user without rights; skips the test where we cannot become it."""
    if os.geteuid() != 0:
        tiers.lacking(["root, to be another user"])
    return pwd.getpwnam("nobody").pw_uid


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Connections that are made meanwhile are those of the user UID."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        with mock.patch("os.getuid", return_value=uid):
            yield
    finally:
        os.seteuid(before)
