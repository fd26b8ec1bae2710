# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times, sizes and jobs in formatting."""

from __future__ import annotations

import pytest

from nestd.cli.screen import formatting
from nestd.cli.service.values import LogDaemon

DAEMON = LogDaemon("virtqemud", "/etc/libvirt/virtqemud.conf", True, "", "", 0, "", 0, "")


def test_sizes() -> None:
    assert [formatting.size(count) for count in (0, 999, 1500, 2_500_000, 3_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.5 MB",
        "3.0 GB",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (5, "5 s"),
        (65, "1 min 5 s"),
        (120, "2 min"),
        (125.4, "2 min 5 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90061, "1 d 1 h"),
    ],
)
def test_times(seconds: float, said: str) -> None:
    assert formatting.duration(seconds) == said


@pytest.mark.parametrize(
    ("filters", "level", "default"),
    [("", 0, True), ("", 3, True), ("", 1, False), ("", 4, False), ("1:qemu", 0, False)],
)
def test_what_libvirt_logs_by_itself(filters: str, level: int, default: bool) -> None:
    assert formatting.is_default(DAEMON._replace(filters=filters, level=level)) is default
