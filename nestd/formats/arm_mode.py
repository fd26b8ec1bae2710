# SPDX-License-Identifier: LGPL-2.1-or-later
"""kvm-arm.mode= on the kernel command line, as arm64's KVM reads it.

See early_kvm_mode_cfg() in arch/arm64/kvm/arm.c: the last word that it understands counts. An
unknown word is logged as "Malformed early option" and has no other effect.
"""

from __future__ import annotations

from typing import NamedTuple

from nestd.formats.modprobe import kernel_params
from nestd.formats.modprobe.next_load import text_for_people

PARAMETER = "kvm-arm.mode"
NESTED = "nested"
NONE = "none"
MODES = (NONE, "nvhe", "protected", NESTED)
_KEY = b"kvm_arm.mode"


class ArmMode(NamedTuple):
    """mode is "" if none is given; words are all that set it, malformed the ones not understood."""

    mode: str
    words: tuple[str, ...]
    malformed: tuple[str, ...]


def arm_mode(cmdline: bytes) -> ArmMode:
    """The mode that the bytes of /proc/cmdline request."""
    mode, words, malformed = "", [], []
    for each in kernel_params.split(cmdline):
        if each.key != _KEY:
            continue
        value = text_for_people(each.value or b"")
        word = f"{PARAMETER}={value}"
        words.append(word)
        if value in MODES:
            mode = value
        else:
            malformed.append(word)
    return ArmMode(mode, tuple(words), tuple(malformed))
