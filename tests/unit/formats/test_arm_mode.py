# SPDX-License-Identifier: LGPL-2.1-or-later
"""kvm-arm.mode= as arch/arm64/kvm/arm.c reads it."""

from __future__ import annotations

import pytest

from nestd.formats.arm_mode import arm_mode


@pytest.mark.parametrize(
    ("cmdline", "mode", "malformed"),
    [
        (b"ro quiet\n", "", ()),
        (b"ro kvm-arm.mode=nested\n", "nested", ()),
        (b"kvm_arm.mode=protected", "protected", ()),
        (b'"kvm-arm.mode=nested"', "nested", ()),
        (b"kvm-arm.mode=nested kvm-arm.mode=nvhe", "nvhe", ()),
        (b"kvm-arm.mode=nested kvm-arm.mode=NESTED", "nested", ("kvm-arm.mode=NESTED",)),
        (b"kvm-arm.mode", "", ("kvm-arm.mode=",)),
        (b"kvm-arm.mode=1", "", ("kvm-arm.mode=1",)),
        (b"quiet -- kvm-arm.mode=nested", "", ()),
        (b"kvm.mode=nested kvm-arm.nested=1 xkvm-arm.mode=nested", "", ()),
    ],
)
def test_the_last_mode_that_the_kernel_understands_counts(
    cmdline: bytes, mode: str, malformed: tuple[str, ...]
) -> None:
    found = arm_mode(cmdline)
    assert (found.mode, found.malformed) == (mode, malformed)
