# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real terminal: a program in tmux, its keys and its screen."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 60
_PAUSE = 0.1
# Of the terminal that the tests run on: readline, which pytest loads, puts them there.
_NOT_OURS = ("--unset=LINES", "--unset=COLUMNS")


@dataclass(frozen=True)
class Terminal:
    socket: Path

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def screen(self, *, escapes: bool = False) -> str:
        """What is on the screen, without blanks at the ends of lines."""
        return self._tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def joined(self) -> str:
        """The same, with the lines that the terminal itself has wrapped as one line each."""
        return self._tmux("capture-pane", "-p", "-J")

    def press(self, *keys: str) -> None:
        """Press keys, such as "C-c" or "Enter"."""
        self._tmux("send-keys", *keys)

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        """The screen as soon as it fulfils the condition."""
        deadline = time.monotonic() + _SECONDS
        while True:
            screen = self.screen()
            if condition(screen):
                return screen
            assert time.monotonic() < deadline, f"never came:\n{screen}"
            time.sleep(_PAUSE)

    def wait_for_text(self, *texts: str) -> str:
        return self.wait_for(lambda screen: all(text in screen for text in texts))


@contextmanager
def terminal(
    directory: Path,
    command: Sequence[str],
    variables: Mapping[str, str],
    lines: int = 24,
    columns: int = 80,
) -> Iterator[Terminal]:
    """Run COMMAND in a terminal; the screen stays when it has ended, with its exit code."""
    found = Terminal(directory / "tmux")
    # Ctrl-C is for the command, not for the shell around it.
    script = f"trap : INT; {shlex.join(command)}; echo exit code $?; exec cat"
    environment = [f"{name}={value}" for name, value in {"LC_ALL": "C.UTF-8", **variables}.items()]
    shell = shlex.join(["env", *_NOT_OURS, *environment, "sh", "-c", script])
    found._tmux(
        *("new-session", "-d", "-x", str(columns), "-y", str(lines), "-c", str(directory), shell)
    )
    try:
        yield found
    finally:
        found._tmux("kill-server")
