# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl's command line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from run_nestctl import Result, environment, nestctl

from nestd import __version__
from nestd.cli import arguments
from nestd.cli.invocation.parser import Parser, add_command, add_global_options

NOWHERE = "unix:path=/nonexistent/bus"


def run(*given: str) -> Result:
    return nestctl(NOWHERE, *given)


def test_version_and_help_need_no_service() -> None:
    assert run("--version").out == f"nestctl {__version__}\n"
    result = run("--help")
    assert result.code == 0
    assert all(len(line) <= 80 for line in result.out.splitlines())


def test_the_help_names_every_command() -> None:
    listed = {name for _, names in arguments.SECTIONS for name in names}
    parser = arguments.make_parser()
    found = set()
    for name, each in arguments.subcommands(parser).items():
        inner = arguments.subcommands(each)
        found |= {f"{name} {word}" for word in inner} if inner else {name}
    assert listed == found | {"guests"}  # it lists them, and has two commands


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nsted"], "nestctl: There is no command 'nsted'. Did you mean 'nested'?"),
        (["frobnicate"], "nestctl: There is no command 'frobnicate'."),
        (["log", "shw"], "nestctl log: There is no command 'shw'. Did you mean 'show'?"),
        (["set"], "nestctl set: the following arguments are required: MODULE, PARAM=VALUE"),
        (["nested", "on", "--now", "--at-boot"], "not allowed with argument --now"),
        (["set", "kvm", "=1"], "'=1' is not of the form PARAM=VALUE"),
        (["cancel", "x"], "'x' is not a job number"),
        (["cancel", str(1 << 32)], "is not a job number"),
        (["log", "debug", "--for", "soon"], "'soon' is not a time such as 90s, 10m or 1h30m"),
        (["--root", "/", "status"], "nestctl: --root goes with --standalone or --simulate"),
        (["--standalone", "--root", "/no", "status"], "--root: /no is not a directory"),
        (["--simulate", "amd", "--stand", "status"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_told_with_the_way_to_help(given: list[str], said: str) -> None:
    result = run(*given)
    assert result.code == 2
    assert said in result.err
    assert result.err.splitlines()[-1].startswith("See: nestctl ")
    assert result.out == ""


def test_version_and_help_in_each_spelling() -> None:
    for given in (["-V"], ["--version"], ["status", "-V"], ["log", "show", "--version"]):
        assert run(*given).out == f"nestctl {__version__}\n", given
    whole = run("help")
    assert (whole.code, whole.out) == (0, run("--help").out)
    one = run("help", "log", "debug")
    assert (one.code, one.out) == (0, run("log", "debug", "--help").out)
    unknown = run("help", "log", "frob")
    assert unknown.code == 2
    assert "There is no command 'log frob'." in unknown.err


@pytest.mark.parametrize(
    "given",
    [
        ["--json", "--simulate", "amd", "--root", "/x", "--no-ask-password", "status"],
        ["status", "--json", "--simulate", "amd", "--root", "/x", "--no-ask-password"],
        ["--simulate", "amd", "status", "--root", "/x", "--no-ask-password", "--json"],
    ],
)
def test_global_options_stand_before_the_command_or_after_it(given: list[str]) -> None:
    chosen = arguments.parse(given)
    assert (chosen.json, chosen.simulate.kind, str(chosen.root)) == (True, "amd", "/x")
    assert not chosen.ask_password


def test_what_is_not_given_has_its_default_after_every_command() -> None:
    for name in ("status", "nested", "log", "cancel"):
        chosen = arguments.parse([name, *(["7"] if name == "cancel" else [])])
        assert (chosen.json, chosen.simulate, chosen.root, chosen.bus) == (False, None, None, None)
        assert chosen.ask_password
    # inhibit passes its arguments to the program, even those that look like nestctl's.
    assert arguments.parse(["inhibit", "cat", "--json"]).argument == ["cat", "--json"]


def test_an_option_of_the_command_wins_over_the_global_one() -> None:
    parser = Parser(prog="x")
    add_global_options(parser)
    commands = parser.add_subparsers(parser_class=Parser)
    command = add_command(commands, "show", lambda *_: None, "Show")  # type: ignore[arg-type]
    command.add_argument("--root", action="store_const", const="the command's")
    assert parser.parse_args(["--root", "/x", "show"]).root is None
    assert parser.parse_args(["show", "--root"]).root == "the command's"


def test_only_the_module_of_the_command_is_loaded() -> None:
    code = (
        "import sys; from nestd.cli import arguments; arguments.parse(sys.argv[1:]);"
        "print(*sorted(each for each in sys.modules if 'cli.commands.' in each or each == 'rich'))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code, "--simulate", "amd", "jobs"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert loaded == ["nestd.cli.commands.changes", "nestd.cli.commands.changes.jobs"]
