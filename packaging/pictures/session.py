#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws README's picture of a terminal from a real run on a simulated Intel host.

    packaging/pictures/session.py           writes packaging/pictures/session.svg
    packaging/pictures/session.py --text    prints what the commands show now

It needs nestctl on the PATH, and rich. The commands run in their own terminal; their output is
drawn unchanged, with its colours.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

COLUMNS = 80
HERE = Path(__file__).resolve().parent
PICTURE = HERE / "session.svg"
# Without external fonts, which pages with embedded pictures do not load.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>A change is refused while a machine runs, waits for its end, and is done</title>
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- Made by packaging/pictures/session.py from a real run: run it again. -->
<style>
text {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#0c1021"/>
<g transform="translate(16, 12)">{backgrounds}<g>{matrix}</g></g>
</svg>
"""


def inside() -> None:
    """Run the session in the shell of a simulated host and print it as a terminal shows it."""
    machine = Path(os.environ["NESTD_ROOT"]) / "simulated/machines/web1"
    machine.touch()
    _say("# the machine web1 runs")
    _run("nestctl nested off")
    print()
    waits = _run("nestctl nested off --when-idle")
    [job] = re.findall(r"^Job (\d+):", re.sub(r"\x1b\[[0-9;]*m", "", waits), re.MULTILINE)
    machine.unlink()
    _say("\n# web1 has ended")
    _run(f"nestctl wait {job}")
    print()
    _run("nestctl")


def _say(words: str) -> None:
    print(f"\x1b[2m{words}\x1b[0m", flush=True)


def _run(command: str) -> str:
    """Run COMMAND in a terminal and show it after a prompt; returns its output."""
    print(f"\x1b[1m$ {command}\x1b[0m", flush=True)
    output = []

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        output.append(data)
        return data

    pty.spawn(["env", f"COLUMNS={COLUMNS}", *shlex.split(command)], read)
    return b"".join(output).decode().replace("\r\n", "\n")


def session() -> str:
    """The whole output of the session, with escape sequences."""
    settings = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "COLORTERM": ""}
    command = ["nestctl", "--simulate", "intel", "shell", sys.executable, __file__, "--inside"]
    done = subprocess.run(
        command, env={**os.environ, **settings}, stdout=subprocess.PIPE, check=True, timeout=300
    )
    return _as_it_stays(done.stdout.decode().replace("\r\n", "\n"))


def _as_it_stays(text: str) -> str:
    """The output without erased parts, which show progress."""
    text = re.sub(r"\x1b\[\?25[lh]", "", text)
    text = re.sub(r"[^\n]*\n?(?:\r|\x1b\[1A|\x1b\[2K)+", "", text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def drawn(text: str) -> str:
    """The picture of the session as SVG."""
    from rich.console import Console
    from rich.text import Text

    with open(os.devnull, "w") as nowhere:
        console = Console(
            record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        console.print(Text.from_ansi(text.rstrip("\n")))
        svg = console.export_svg(title="", code_format=SVG, unique_id="session", clear=False)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main() -> None:
    if sys.argv[1:] == ["--inside"]:
        inside()
    elif sys.argv[1:] == ["--text"]:
        print(plain(session()), end="")
    else:
        PICTURE.write_text(drawn(session()))


if __name__ == "__main__":
    main()
