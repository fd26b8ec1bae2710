# SPDX-License-Identifier: LGPL-2.1-or-later
"""Warnings about log settings that are valid but probably not intended, one sentence each.

A filter is shadowed if earlier filters decide all of its categories. That is certain if one of them
matches every category that it matches; for the known categories it is enough that each one that it
matches is matched by some earlier filter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nestd.formats.libvirt import log_outputs
from nestd.formats.libvirt.log_categories import CATEGORIES
from nestd.formats.libvirt.log_filters import Filter
from nestd.formats.libvirt.log_items import Level
from nestd.formats.libvirt.log_outputs import Destination, Output
from nestd.formats.libvirt.log_patterns import covers, matches


def warnings(
    filters: Sequence[Filter], outputs: Sequence[Output], log_level: int = 0
) -> tuple[str, ...]:
    """The warnings about all or some of a daemon's settings.

    No outputs means libvirt's default; LOG_LEVEL is 0 (not set) to 4. The caller checks the
    directories of the outputs: log_outputs.file_paths().
    """
    return (
        *_pointless(filters),
        *_unseen(filters, outputs, log_level),
        *_unbounded(filters, log_level),
    )


def _pointless(filters: Sequence[Filter]) -> Iterator[str]:
    open_categories = set(CATEGORIES)
    for index, one in enumerate(filters):
        matched = {category for category in CATEGORIES if matches(one.pattern, category)}
        if not matched:
            yield f"{one} matches no known category of libvirt"
        if not matched & open_categories:
            earlier = (other for other in filters[:index] if covers(other.pattern, one.pattern))
            coverer = next(earlier, None)
            if coverer:
                yield f"{one} never takes effect: {coverer} before it matches all that it matches"
            elif matched:
                yield (
                    f"{one} never takes effect: the filters before it match every known category"
                    " that it matches"
                )
        open_categories -= matched


def _unseen(filters: Sequence[Filter], outputs: Sequence[Output], log_level: int) -> Iterator[str]:
    shown = list(outputs) or [_default(log_level)]
    lowest = min(one.level for one in shown)
    for level in (Level.DEBUG, Level.INFO):
        asking = [str(one) for one in filters if one.level is level]
        if asking and level < lowest:
            places = " ".join(map(str, shown))
            yield (
                f"no output shows the {level.name.lower()} messages of {_few(asking)}: {places}"
                f" starts at level {lowest:d}"
            )


def _default(log_level: int) -> Output:
    """The journal at LOG_LEVEL, but never at debug level (virLogSetDefaultOutputToJournald)."""
    level = Level(log_level) if log_level else log_outputs.DEFAULT[0].level
    return Output(max(level, Level.INFO), Destination.JOURNALD)


def _unbounded(filters: Sequence[Filter], log_level: int) -> Iterator[str]:
    if log_level == Level.DEBUG and not filters:
        yield (
            "log_level = 1 without filters logs the debug messages of all parts of libvirt, which"
            " fills disks; set log_filters instead"
        )


def _few(items: Sequence[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
