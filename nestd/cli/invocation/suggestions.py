# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adapts suggested commands to the way nestctl was called, so that they can be pasted.

All texts, including nestd's own, say "nestctl COMMAND"; "nestctl ..." is the running command.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Sequence

_STARTS_OWN_SERVICE = ("--standalone", "--simulate")


def called() -> str:
    """The program as it was called, quoted for a shell."""
    given = sys.argv[0]
    if given.endswith(os.path.join("nestd", "cli", "__main__.py")):
        return f"{shlex.quote(sys.executable)} -m nestd.cli"
    if os.path.basename(given) != "nestctl":
        return "nestctl"
    found = shutil.which("nestctl")
    on_path = found is not None and os.path.samefile(found, given)
    return "nestctl" if on_path else shlex.quote(given)


def options(chosen: Namespace) -> list[str]:
    """The options that select the same service."""
    words = ["--standalone"] if chosen.standalone else []
    words += ["--simulate", str(chosen.simulate)] if chosen.simulate else []
    words += ["--root", str(chosen.root)] if chosen.root else []
    return words + (["--bus", chosen.bus] if chosen.bus else [])


def suggester(
    program: str, host: Sequence[str], whole: Sequence[str], commands: Collection[str]
) -> Callable[[str], str]:
    """A function that rewrites the nestctl commands in a text so that they work as pasted.

    HOST is the options that select the same host, WHOLE the whole command line.
    """
    here = " ".join([program, *map(shlex.quote, host)])
    known = "|".join(map(re.escape, sorted({*commands, *_STARTS_OWN_SERVICE})))
    # Not after a path: there it is the called program, in a text that is already adapted.
    pattern = re.compile(rf"(?<![\w./-])nestctl (\.\.\.|(?:{known})(?![\w-]))")

    def replace(found: re.Match[str]) -> str:
        word = found.group(1)
        if word == "...":
            return " ".join([program, *map(shlex.quote, whole)])
        return f"{program if word in _STARTS_OWN_SERVICE else here} {word}"

    return lambda text: pattern.sub(replace, text)
