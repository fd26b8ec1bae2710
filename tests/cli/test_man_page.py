# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl(1) against the command line that it describes."""

from __future__ import annotations

import os
import re
import subprocess
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator

import pytest
from run_nestctl import CHECKOUT

from nestd.cli import arguments
from nestd.cli.service.errors import Exit

PAGE = CHECKOUT / "packaging" / "man" / "nestctl.1"


def _rendered() -> str:
    done = subprocess.run(
        ["man", "--warnings", "--local-file", str(PAGE)],
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MAN_KEEP_FORMATTING": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout).replace("\u2010", "-")


def _names(parser: ArgumentParser, name: str = "") -> Iterator[str]:
    inner = arguments.subcommands(parser)
    if name and not inner:
        yield name
    for action in parser._actions:
        if action.help != SUPPRESS:
            yield from action.option_strings
    for word, each in inner.items():
        yield from _names(each, f"{name} {word}".strip())


@pytest.mark.needs("man")
def test_the_page_renders_without_warnings_and_has_every_command_and_option() -> None:
    text = _rendered()
    names = set(_names(arguments.make_parser()))
    assert {name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)} == set()


@pytest.mark.needs("man")
def test_the_page_has_every_exit_code() -> None:
    status = _rendered().split("EXIT STATUS")[1].split("ENVIRONMENT")[0]
    assert re.findall(r"^ +(\d) ", status, re.MULTILINE) == [str(int(each)) for each in Exit]
