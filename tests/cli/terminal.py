# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real terminal: a program in tmux, with its keys and its screen."""

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
# They describe the terminal that runs the tests; readline, which pytest loads, sets them.
_NOT_OURS = ("--unset=LINES", "--unset=COLUMNS")


@dataclass(frozen=True)
class Terminal:
    socket: Path

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def screen(self, *, escapes: bool = False) -> str:
        """The text on the screen, without trailing blanks."""
        return self._tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def joined(self) -> str:
        """The same, with lines that the terminal wrapped joined again."""
        return self._tmux("capture-pane", "-p", "-J")

    def press(self, *keys: str) -> None:
        """Press keys, such as "C-c" or "Enter"."""
        self._tmux("send-keys", *keys)

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        """The screen as soon as it meets the condition."""
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
    """Run COMMAND in a terminal; the screen stays after it ends, with its exit code."""
    found = Terminal(directory / "tmux")
    # Ctrl-C must reach the command, not the shell around it.
    script = f"trap : INT; {shlex.join(command)}; echo exit code $?; exec cat"
    environment = [f"{name}={value}" for name, value in {"LC_ALL": "C.UTF-8", **variables}.items()]
    shell = shlex.join(["env", *_NOT_OURS, *environment, "sh", "-c", script])
    size = (f"-x{columns}", f"-y{lines}", f"-c{directory}")
    found._tmux("new-session", "-d", *size, shell)
    try:
        yield found
    finally:
        found._tmux("kill-server")
