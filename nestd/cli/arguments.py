# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl's command line; see nestctl(1). Imports only the module of the given command."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence

from nestd.cli.invocation.parser import Parser, add_command, add_global_options
from nestd.cli.screen.output import Screen
from nestd.cli.service.errors import Exit
from nestd.formats.simulate_option import ListingRequested

COMMANDS: Mapping[str, str] = {
    "status": "host.status",
    "watch": "host.watch",
    "guests": "host.guests",
    "vms": "host.guests",
    "jobs": "changes.jobs",
    "history": "host.history",
    "validate": "host.checks",
    "check-guest": "host.checks",
    "posture": "host.checks",
    "describe": "host.describe",
    "metrics": "host.metrics",
    "nested": "changes.change",
    "set": "changes.change",
    "reload": "changes.change",
    "load": "changes.change",
    "unload": "changes.change",
    "plan": "changes.change",
    "undo": "undo",
    "machines": "machines.resume",
    "wait": "changes.wait",
    "cancel": "changes.jobs",
    "inhibit": "changes.inhibit",
    "log": "logs.show",
    "shell": "shell",
}
"""The module of each command, below nestd.cli.commands."""
_CHANGE = (
    *("nested", "set", "reload", "load", "unload", "plan", "undo", "wait", "cancel", "inhibit"),
    *("guests deny", "guests allow", "machines resume"),
)
SECTIONS = (
    ("look", ("status", "watch", "guests", "vms", "jobs", "history")),
    ("check", ("validate", "check-guest", "posture", "describe", "metrics")),
    ("change", _CHANGE),
    ("libvirt's logs", ("log show", "log set", "log debug", "log collect", "log presets")),
    ("other", ("shell", "help")),
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
_TAKE_A_VALUE = ("--simulate", "--root", "--bus")
_STATUS = "status"


class _MainParser(Parser):
    """The parser of nestctl itself; its help lists the commands by purpose."""

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
    """The subparsers of a parser by name."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return action.choices
    return {}


def command(parser: ArgumentParser, name: str) -> ArgumentParser:
    """The parser of a command such as "status" or "log show"."""
    for word in name.split():
        parser = subcommands(parser)[word]
    return parser


def make_parser(names: Iterable[str] = COMMANDS) -> Parser:
    """The parser with the commands NAMES, and all others in the same modules."""
    parser = _MainParser(
        prog="nestctl",
        usage="nestctl [OPTION...] [COMMAND]",
        description="Nested virtualization and libvirt debug logs on this KVM host.",
    )
    parser.set_defaults(changes=False, offline=False)
    add_global_options(parser)
    commands = parser.add_subparsers(prog="nestctl", metavar="COMMAND", parser_class=Parser)
    for module in dict.fromkeys(COMMANDS[name] for name in names):
        importlib.import_module(f"nestd.cli.commands.{module}").add_to(commands)
    about = "Show the help of nestctl, or of a command"
    helper = add_command(commands, "help", _show_help, about)
    helper.add_argument("words", nargs="*", metavar="COMMAND")
    helper.set_defaults(offline=True)
    return parser


async def _show_help(screen: Screen, chosen: Namespace) -> Exit:
    parser: ArgumentParser = make_parser()
    for word in chosen.words:
        if word not in subcommands(parser):
            parser.error(f"There is no command {' '.join(chosen.words)!r}.")
        parser = subcommands(parser)[word]
    screen.write(parser.format_help())
    return Exit.DONE


def _meant(arguments: Sequence[str]) -> Iterable[str]:
    """The given command, so that only its module is imported; all commands if it is unclear."""
    words = iter(arguments)
    for word in words:
        if word in _TAKE_A_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return [word] if word in COMMANDS else COMMANDS
        elif word in ("-h", "--help"):
            return COMMANDS
    return [_STATUS]


def parse(arguments: Sequence[str]) -> Namespace:
    """Parse the command line. For a wrong one exits with status 2 and a sentence on stderr."""
    parser = make_parser(_meant(arguments))
    try:
        chosen = parser.parse_args(arguments)
        if not hasattr(chosen, "run"):
            chosen = parser.parse_args([*arguments, _STATUS])
    except ListingRequested as listing:
        print(listing, end="")
        parser.exit()
    private = chosen.standalone or chosen.simulate
    if chosen.root is not None and not private:
        parser.error("--root goes with --standalone or --simulate")
    if chosen.root is not None and not chosen.simulate and not chosen.root.is_dir():
        parser.error(f"--root: {chosen.root} is not a directory")
    if chosen.run.__module__.endswith(".shell") and not private:
        parser.error("shell goes with --standalone or --simulate, such as --simulate amd")
    if chosen.bus is not None and private:
        parser.error("--bus does not go with --standalone or --simulate, which have their own bus")
    return chosen
