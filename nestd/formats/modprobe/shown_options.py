# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of a modprobe.d file that every user may see whatever its mode: KVM's parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from nestd.formats.modprobe import kernel_params, modprobe_d
from nestd.formats.modprobe.modprobe_d import Options


def shown_options(
    data: bytes, known: Mapping[str, Set[str]], *, kmod: int
) -> Iterator[tuple[int, int]]:
    """The spans of the file's bytes with options of the modules KNOWN, given with their parameters.

    Everybody can read these values in /sys.
    """
    for line in modprobe_d.parse(data, kmod=kmod):
        if not isinstance(line, Options) or line.source is None:
            continue
        parameters = known.get(line.module.decode("utf-8", "surrogateescape"))
        if parameters is None:
            continue
        found = [
            each
            for each in kernel_params.split(line.text)
            if each.key.decode("utf-8", "surrogateescape") in parameters
        ]
        if found:
            yield line.source.raw_start(0), line.source.raw_end(line.offset - 1)
        for each in found:
            first, last = line.offset + each.start, line.offset + each.end - 1
            yield line.source.raw_start(first), line.source.raw_end(last)
