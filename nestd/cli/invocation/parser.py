# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parsers of nestctl's command line, and options shared by several commands."""

from __future__ import annotations

import difflib
import re
import sys
from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any, NoReturn

from nestd import __version__
from nestd.cli.invocation.session import Run, RunOffline
from nestd.cli.service.errors import Exit
from nestd.formats.simulate_option import SimulateOption
from nestd.formats.simulation import KINDS


class Formatter(RawDescriptionHelpFormatter):
    """Formats help for 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=22, width=80)


class Parser(ArgumentParser):
    """An argument parser that does not accept abbreviated options.

    If an option is added twice, the later one counts.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            allow_abbrev=False, conflict_handler="resolve", formatter_class=Formatter, **settings
        )
        # Python 3.9 uses another title than later versions.
        self._positionals.title, self._optionals.title = "arguments", "options"

    def error(self, message: str) -> NoReturn:
        unknown = re.match(
            r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message
        )
        if unknown:
            known = re.findall(r"[a-z-]+", unknown.group(2))
            near = difflib.get_close_matches(unknown.group(1), known, n=1)
            message = f"There is no command {unknown.group(1)!r}." + (
                f" Did you mean {near[0]!r}?" if near else ""
            )
        else:
            self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def add_global_options(parser: Parser, *, hidden: bool = False) -> None:
    """Add the options that may precede the command, or follow it, then HIDDEN in its help."""
    kept: dict[str, Any] = {"default": SUPPRESS} if hidden else {}
    shown = (lambda text: SUPPRESS) if hidden else str
    version = f"nestctl {__version__}"
    help_ = shown("print the version")
    parser.add_argument("-V", "--version", action="version", version=version, help=help_)
    help_ = "print JSON with stable keys"
    parser.add_argument("--json", action="store_true", help=help_, **kept)
    help_ = shown("run nestd for this command only: no installation, no systemd")
    parser.add_argument("--standalone", action="store_true", help=help_, **kept)
    help_ = shown(
        f"the same over a simulated host: {', '.join(KINDS)}; 'help' lists situations too"
    )
    parser.add_argument("--simulate", action=SimulateOption, metavar="KIND", help=help_, **kept)
    help_ = shown("with these two: take the host's files below DIR")
    parser.add_argument("--root", metavar="DIR", type=Path, help=help_, **kept)
    stores = {"dest": "ask_password", "action": "store_false", **kept}
    parser.add_argument("--no-ask-password", help=shown("never ask for a password"), **stores)
    parser.add_argument("--bus", metavar="ADDRESS", help=SUPPRESS, **kept)
    parser.add_argument("--traceback", action="store_true", help=SUPPRESS, **kept)


def add_command(
    commands: Any, name: str, run: Run | RunOffline, about: str, *, changes: bool = False
) -> Parser:
    """Add a command to a parser's commands. ABOUT is its line in the help, without a period.

    CHANGES says that it may need a password.
    """
    parser: Parser = commands.add_parser(name, help=about, description=f"{about}.")
    add_global_options(parser, hidden=True)
    parser.set_defaults(run=run, changes=changes)
    return parser


def add_when(parser: Parser, *, boot: bool = True) -> None:
    """Add the options that say when to reload."""
    when = parser.add_mutually_exclusive_group()
    options = [
        ("--now", "now", "reload at once; if anything is in the way, change nothing (default)"),
        ("--when-idle", "idle", "write it now, reload as soon as nothing is in the way"),
    ]
    options += [("--at-boot", "boot", "write it now, use it from the next boot")] if boot else []
    for option, word, help_ in options:
        when.add_argument(
            option, dest="when", action="store_const", const=word, default="now", help=help_
        )


def add_wait(parser: Parser) -> None:
    """Add the option to wait for the end of a reload."""
    parser.add_argument("--wait", action="store_true", help="with --when-idle: wait for the reload")
