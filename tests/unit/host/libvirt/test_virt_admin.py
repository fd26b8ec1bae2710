# SPDX-License-Identifier: LGPL-2.1-or-later
"""A virt-admin that fails, hangs, or prints garbage."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from nestd.host.libvirt.virt_admin import Refused, VirtAdmin, VirtAdminError


def program(directory: Path, script: str) -> str:
    path = directory / "virt-admin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_values_are_given_to_the_letter(tmp_path: Path) -> None:
    command = program(tmp_path, "echo \"$*\" >> $0.log; printf '1:*qemu* 3:*x* \\n'")
    admin = VirtAdmin("libvirtd:///system?socket=/x", command)
    assert asyncio.run(admin.filters()) == "1:*qemu* 3:*x* "
    asyncio.run(admin.set_filters(""))
    assert (tmp_path / "virt-admin.log").read_text().splitlines() == [
        "-q -c libvirtd:///system?socket=/x daemon-log-filters",
        "-q -c libvirtd:///system?socket=/x daemon-log-filters ",
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("head -c 100 /dev/urandom; printf '\\377\\376'", "not text"),
        ("printf 'a\\nb\\n'", "not a log setting"),
        ("printf 'a\\033[31mb\\n'", "not a log setting"),
        ("kill -9 $$", "exit status -9"),
        (
            "printf 'error: Failed to connect to the admin server\\nerror: gone\\n' >&2; exit 1",
            "gone",
        ),
        ("sleep 60", "did not end within"),
    ],
)
def test_trouble(tmp_path: Path, script: str, words: str) -> None:
    started = time.monotonic()
    admin = VirtAdmin("x", program(tmp_path, script), seconds=0.5)
    with pytest.raises(VirtAdminError, match=words) as caught:
        asyncio.run(admin.filters())
    assert not isinstance(caught.value, Refused)
    assert time.monotonic() - started < 5


def test_refusal(tmp_path: Path) -> None:
    script = "printf 'error: Unable to change daemon logging settings\\nerror: bad\\n' >&2; exit 1"
    with pytest.raises(Refused, match=r"^bad$"):
        asyncio.run(VirtAdmin("x", program(tmp_path, script)).set_filters("1:x"))


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(VirtAdminError, match="not installed"):
        asyncio.run(VirtAdmin("x", str(tmp_path / "none")).filters())


def test_no_outputs_at_all(tmp_path: Path) -> None:
    script = (
        "printf 'error: Unable to get daemon logging outputs information\\n"
        "error: Library function returned error but did not set virError\\n' >&2; exit 1"
    )
    assert asyncio.run(VirtAdmin("x", program(tmp_path, script)).outputs()) == ""
