# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parts of nestctl's command line that several commands share."""

from __future__ import annotations

import difflib
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any, NoReturn

from nestd.cli.invocation.session import Run, RunOffline
from nestd.cli.service.errors import Exit

_LARGEST = 0xFFFFFFFF
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Formatter(RawDescriptionHelpFormatter):
    """Help in 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=22, width=80)


class Parser(ArgumentParser):
    """An argument parser that takes options only as they are spelled out."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=Formatter, **settings)
        # Python 3.9 names them otherwise than later versions.
        self._positionals.title, self._optionals.title = "arguments", "options"

    def error(self, message: str) -> NoReturn:
        unknown = re.match(
            r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message
        )
        if unknown:
            known = re.findall(r"[a-z-]+", unknown.group(2))
            near = difflib.get_close_matches(unknown.group(1), known, n=1)
            message = f"There is no command {unknown.group(1)!r}." + (
                f" Is {near[0]} meant?" if near else ""
            )
        else:
            self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def add_command(
    commands: Any,
    name: str,
    run: Run | RunOffline,
    about: str,
    *,
    json: bool = False,
    changes: bool = False,
) -> Parser:
    """Add a command to a parser's commands. ABOUT is its line in the help, without a period.

    changes: it may need a password. json: it can print JSON.
    """
    parser: Parser = commands.add_parser(name, help=about, description=f"{about}.")
    parser.set_defaults(run=run, changes=changes)
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON with stable keys")
    return parser


def add_when(parser: Parser, *, boot: bool = True) -> None:
    """Add the options for the moment of a reload."""
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--now",
        dest="when",
        action="store_const",
        const="now",
        default="now",
        help="reload at once; if anything is in the way, change nothing (default)",
    )
    when.add_argument(
        "--when-idle",
        dest="when",
        action="store_const",
        const="idle",
        help="write it now, reload as soon as nothing is in the way",
    )
    if boot:
        when.add_argument(
            "--at-boot",
            dest="when",
            action="store_const",
            const="boot",
            help="write it now, use it from the next boot",
        )


def add_wait(parser: Parser) -> None:
    """Add the option to stay until a reload is over."""
    parser.add_argument("--wait", action="store_true", help="with --when-idle: wait for the reload")


def assignment(text: str) -> tuple[str, str]:
    """PARAM=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"{text!r} is not of the form PARAM=VALUE")
    return name, value


def job_number(text: str) -> int:
    """A number of a job."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LARGEST:
        raise ArgumentTypeError(f"{text!r} is no number of a job")
    return int(text)


def duration(text: str) -> int:
    """A time in seconds, from "90", "10m" or "1h30m"."""
    parts = re.findall(r"(\d+)([smhd]?)", text)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < seconds <= _LARGEST:
        raise ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 1h30m")
    return seconds


def byte_count(text: str) -> int:
    """A size in bytes, from "500M" or "2G"."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", text)
    count = int(found.group(1)) * _BYTES[found.group(2)] if found else 0
    if not 0 < count < 1 << 63:
        raise ArgumentTypeError(f"{text!r} is no size such as 500M or 2G")
    return count
