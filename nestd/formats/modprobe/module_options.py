# SPDX-License-Identifier: LGPL-2.1-or-later
"""Joins all options lines of one module into the string that modprobe passes to the kernel."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from nestd.formats.modprobe.modprobe_d import Options


@dataclass(frozen=True)
class JoinedOptions:
    """A module's options, joined with single blanks (kmod_module_get_options)."""

    text: bytes
    parts: tuple[Options, ...]  # those with text, in order
    part_starts: tuple[int, ...] = field(repr=False)  # offset of each part in the text

    def locate(self, position: int) -> tuple[int, int]:
        """The index of the part that contains the byte at POSITION, and the byte's offset in it."""
        index = bisect_right(self.part_starts, position) - 1
        return index, position - self.part_starts[index]


def join(options: Sequence[Options]) -> JoinedOptions:
    """Join the options lines of one module, given in libkmod's reading order."""
    parts = tuple(part for part in options if part.text)
    starts, position = [], 0
    for part in parts:
        starts.append(position)
        position += len(part.text) + 1
    return JoinedOptions(b" ".join(part.text for part in parts), parts, tuple(starts))
