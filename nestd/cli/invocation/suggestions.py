# SPDX-License-Identifier: LGPL-2.1-or-later
"""How nestctl was called, so that every command that it suggests can be pasted as it stands.

All texts, nestd's own among them, say "nestctl COMMAND"; "nestctl ..." is the command that runs.
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
    """The program as it was called, in a shell's quotes."""
    given = sys.argv[0]
    if given.endswith(os.path.join("nestd", "cli", "__main__.py")):
        return f"{shlex.quote(sys.executable)} -m nestd.cli"
    if os.path.basename(given) != "nestctl":
        return "nestctl"
    found = shutil.which("nestctl")
    on_path = found is not None and os.path.samefile(found, given)
    return "nestctl" if on_path else shlex.quote(given)


def options(chosen: Namespace) -> list[str]:
    """The options that lead to the same service."""
    words = ["--standalone"] if chosen.standalone else []
    words += ["--simulate", chosen.simulate] if chosen.simulate else []
    words += ["--root", str(chosen.root)] if chosen.root else []
    return words + (["--bus", chosen.bus] if chosen.bus else [])


def suggester(
    program: str, host: Sequence[str], whole: Sequence[str], commands: Collection[str]
) -> Callable[[str], str]:
    """Puts the nestctl commands of a text into words that work here.

    HOST are the options that lead to the same host, WHOLE is the whole command line.
    """
    here = " ".join([program, *map(shlex.quote, host)])
    known = "|".join(map(re.escape, sorted({*commands, *_STARTS_OWN_SERVICE})))
    pattern = re.compile(rf"\bnestctl (\.\.\.|(?:{known})(?![\w-]))")

    def replace(found: re.Match[str]) -> str:
        word = found.group(1)
        if word == "...":
            return " ".join([program, *map(shlex.quote, whole)])
        return f"{program if word in _STARTS_OWN_SERVICE else here} {word}"

    return lambda text: pattern.sub(replace, text)
