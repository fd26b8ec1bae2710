# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl's command line; see nestctl(1)."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from nestd import __version__
from nestd.cli.commands import shell
from nestd.cli.commands.changes import change, inhibit, jobs, wait
from nestd.cli.commands.host import checks, guests, status, watch
from nestd.cli.commands.logs import show as logs
from nestd.cli.invocation.parser import Parser

KINDS = ("intel", "amd", "power", "s390")

SECTIONS = (
    ("look", ("status", "watch", "vms", "jobs", "validate", "check-guest", "describe")),
    ("change", ("nested", "set", "reload", "plan", "wait", "cancel", "inhibit")),
    ("libvirt's logs", ("log show", "log set", "log debug", "log collect", "log presets")),
    ("build frontends", ("shell",)),
)
_EXAMPLES = """\
examples:
  nestctl                                 is it on, also after a reboot?
  nestctl nested on                       switch it on, now and for good
  nestctl check-guest web1                can this virtual machine run others?
  nestctl log debug virtqemud --for 10m   libvirt's debug logs for ten minutes
  nestctl log collect -o logs.tar.gz      what a support request needs
"""
_END = """\
exit codes: 0 done, 1 failed, 2 usage, 3 blocked, 4 not authorized,
            5 nestd not reachable
"""


class _MainParser(Parser):
    """Its help lists the commands by what they are for."""

    def format_help(self) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, (), ())
        formatter.add_text(self.description)
        parts = [formatter.format_help()]
        for title, names in SECTIONS:
            lines = [f"  {name:20}{command(self, name).description}" for name in names]
            parts.append("\n".join([f"{title}:", *(line.rstrip(".") for line in lines)]) + "\n")
        formatter = self._get_formatter()
        formatter.start_section("options")
        formatter.add_arguments(self._optionals._group_actions)
        formatter.end_section()
        return "\n".join([*parts, formatter.format_help(), _EXAMPLES, _END])


def subcommands(parser: ArgumentParser) -> Mapping[str, ArgumentParser]:
    """The commands that a parser has."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return action.choices
    return {}


def command(parser: ArgumentParser, name: str) -> ArgumentParser:
    """The parser of a command such as "status" or "log show"."""
    for word in name.split():
        parser = subcommands(parser)[word]
    return parser


def make_parser() -> Parser:
    """The whole command line."""
    parser = _MainParser(
        prog="nestctl",
        usage="nestctl [OPTION...] [COMMAND]",
        description="Nested virtualization and libvirt debug logs on this KVM host.",
    )
    parser.set_defaults(run=status.run, json=False, changes=False, offline=False)
    _add_options(parser)
    commands = parser.add_subparsers(prog="nestctl", metavar="COMMAND", parser_class=Parser)
    for group in (status, change, guests, jobs, watch, checks, logs, inhibit, wait, shell):
        group.add_to(commands)
    return parser


def _add_options(parser: Parser) -> None:
    parser.add_argument("--version", action="version", version=f"nestctl {__version__}")
    parser.add_argument(
        "--standalone",
        action="store_true",
        help="run nestd for this command only: no installation, no systemd",
    )
    parser.add_argument(
        "--simulate",
        choices=KINDS,
        metavar="KIND",
        help=f"the same over a simulated host: {', '.join(KINDS)}",
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        help="with these two: take the host's files below DIR",
    )
    parser.add_argument(
        "--no-ask-password",
        dest="ask_password",
        action="store_false",
        help="never ask for a password",
    )
    parser.add_argument("--bus", metavar="ADDRESS", help=SUPPRESS)
    parser.add_argument("--traceback", action="store_true", help=SUPPRESS)


def parse(arguments: Sequence[str]) -> Namespace:
    """Read the command line. Exits with status 2 and a sentence on stderr for a wrong one."""
    parser = make_parser()
    chosen = parser.parse_args(arguments)
    private = chosen.standalone or chosen.simulate
    if chosen.root is not None and not private:
        parser.error("--root goes with --standalone or --simulate")
    if chosen.root is not None and not chosen.simulate and not chosen.root.is_dir():
        parser.error(f"--root: {chosen.root} is no directory")
    if chosen.run is shell.run and not private:
        parser.error("shell goes with --standalone or --simulate, such as --simulate amd")
    if chosen.bus is not None and private:
        parser.error("--bus does not go with --standalone or --simulate, which have their own bus")
    return chosen
