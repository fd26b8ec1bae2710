# SPDX-License-Identifier: LGPL-2.1-or-later
"""Argument types: each parses one word of the command line or raises ArgumentTypeError."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

_LARGEST = 0xFFFFFFFF
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def assignment(text: str) -> tuple[str, str]:
    """A parameter and its value, from PARAM=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"{text!r} is not of the form PARAM=VALUE")
    return name, value


def job_number(text: str) -> int:
    """The number of a job."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LARGEST:
        raise ArgumentTypeError(f"{text!r} is not a job number")
    return int(text)


def duration(text: str) -> int:
    """A time in seconds, from "90", "10m" or "1h30m"."""
    parts = re.findall(r"(\d+)([smhd]?)", text)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < seconds <= _LARGEST:
        raise ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m or 1h30m")
    return seconds


def is_duration(text: str) -> bool:
    """Whether a word is a time with its unit, such as 20s."""
    return re.fullmatch(r"(\d+[smhd])+", text) is not None


def byte_count(text: str) -> int:
    """A size in bytes, from "500M", "2G" or "1k"."""
    found = re.fullmatch(r"(\d+)([kKMGT]?)", text)
    count = int(found.group(1)) * _BYTES[found.group(2).upper()] if found else 0
    if not 0 < count < 1 << 63:
        raise ArgumentTypeError(f"{text!r} is not a size such as 500M or 2G")
    return count
