# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd.conf(5): the administrator's settings.

A mistake in the file never stops nestd: it is reported, and the default is used.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

from nestd.core.drift.drift import OnDrift
from nestd.core.journal_events import Event, about
from nestd.formats.printable import quoted
from nestd.host.files import read_below
from nestd.host.root import Root

PATH = "/etc/nestd/nestd.conf"
LIMIT = 64 << 10  # bytes
MOST_REPORTED = 20  # mistakes, in case the file is something else altogether
_SPEC = ("on_drift = option('report', 'reapply', default='report')",)

# `key =`, `"key" =`, `section]` and `section]]`, in linear time.
_BEGINNING = re.compile(r"""(?:"([^"]*)"\s*|'([^']*)'\s*|([^]=]*))[]=]""")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """The settings in nestd.conf, with their defaults."""

    on_drift: OnDrift = OnDrift.REPORT


@dataclass(frozen=True)
class Problem:
    """A mistake in nestd.conf. line is 0 and key "" if it concerns the whole file."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{PATH}:{self.line}" if self.line else PATH
        return f"{place}: {quoted(self.key)}: {self.text}" if self.key else f"{place}: {self.text}"


def load(root: Root) -> Settings:
    """Read nestd.conf and log its mistakes."""
    settings, problems = read(root)
    for problem in problems[:MOST_REPORTED]:
        fields = about(Event.SETTINGS_WRONG, file=PATH, line=problem.line, key=problem.key)
        log.warning("%s", problem, extra=fields)
    if len(problems) > MOST_REPORTED:
        log.warning("%s: %d more are wrong", PATH, len(problems) - MOST_REPORTED)
    return settings


def read(root: Root) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings and the mistakes; a missing file is not a mistake."""
    try:
        data = read_below(root, PATH, LIMIT)
    except OSError as error:
        return Settings(), (Problem(0, "", f"cannot be read: {error.strerror}"),)
    return (Settings(), ()) if data is None else parse(data)


def parse(data: bytes) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings in the contents of nestd.conf, and the mistakes."""
    try:
        lines = [line.rstrip("\r") for line in data.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Settings(), (Problem(line, "", "is not UTF-8 text: none of it is used"),)
    values, problems = _parse_lines(lines)
    checked, more = _validate(values, lines)
    return Settings(on_drift=OnDrift(checked["on_drift"])), (*problems, *more)


def _parse_lines(lines: list[str]) -> tuple[dict[str, Any], list[Problem]]:
    """The assignments in the lines that can be parsed, and the mistakes in the others."""
    # Imported here: it takes 1 MB and 20 ms, and most hosts have no nestd.conf.
    from configobj import ConfigObj, ConfigObjError, DuplicateError

    try:
        return ConfigObj(lines, interpolation=False).dict(), []
    except ConfigObjError as error:
        problems = []
        for each in getattr(error, "errors", [error]):
            twice = isinstance(each, DuplicateError)
            text = "is there twice: the first one counts" if twice else "cannot be read"
            problems.append(Problem(each.line_number, _key_in(each.line) if twice else "", text))
        return error.config.dict(), problems


def _validate(values: dict[str, Any], lines: list[str]) -> tuple[dict[str, Any], list[Problem]]:
    """The valid values, defaults in place of invalid ones, and the mistakes."""
    from configobj import ConfigObj, flatten_errors, get_extra_values

    try:
        from configobj.validate import Validator
    except ImportError:  # before configobj 5.0.7
        from validate import Validator

    spec = ConfigObj(_SPEC, list_values=False, interpolation=False, _inspec=True)
    sections = [key for key, value in values.items() if isinstance(value, dict)]
    assigned = {key: value for key, value in values.items() if key not in sections}
    config = ConfigObj(assigned, configspec=spec, interpolation=False)
    result = config.validate(Validator(), preserve_errors=True)
    places = _places(lines)
    problems = [
        Problem(places.get(key, 0), key, f"{_short(error)} The default serves.")
        for _, key, error in flatten_errors(config, result)
    ]
    unknown = [*(key for _, key in get_extra_values(config)), *sections]
    problems += [Problem(places.get(key, 0), key, "there is no such key") for key in unknown]
    for _, key, _ in flatten_errors(config, result):
        config.restore_default(key)
    return config.dict(), problems


def _places(lines: list[str]) -> dict[str, int]:
    """The line of each key's first assignment and of each section; configobj does not keep them."""
    places: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        found = _BEGINNING.match(line.lstrip("[ \t"))
        if found is not None:
            places.setdefault("".join(filter(None, found.groups())).rstrip(), number)
    return places


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 100 else text[:100] + "..."


def _key_in(line: str) -> str:
    return line.partition("=")[0].strip(" \t[]\"'")
