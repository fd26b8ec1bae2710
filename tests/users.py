# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of other users: this process temporarily becomes "nobody"."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import tiers


def nobody() -> int:
    """An unprivileged user; skips the test if this process cannot become it."""
    if os.geteuid() != 0:
        tiers.lacking(["root, to be another user"])
    return pwd.getpwnam("nobody").pw_uid


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Connections made meanwhile belong to the user UID."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        with mock.patch("os.getuid", return_value=uid):
            yield
    finally:
        os.seteuid(before)
