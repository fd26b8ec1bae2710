# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands in a Markdown document, run and compared with the output below them.

A fenced block whose info string begins with "console" is a session:

    ```console
    $ nestctl --simulate amd status
    Nested virtualization is on. ...

      Host  AMD, on bare metal
      ...
    ```

* A line that begins with "$ " (or "# ", for root) is a command for bash; one that ends with a
  backslash continues on the next line. All other lines are its output, both streams.
* In the output "..." stands for any text on that line, and alone on a line for any number of
  lines, including none. Runs of blanks count as one; blank lines and trailing blanks do not
  count.
* A command has to succeed, unless its output ends with "[exit code N]" on a line of its own, which
  is checked against the exit code.
* Blocks run in the document's order, in a copy of the checkout, with this nestctl on the
  PATH.
* A command with different output is run again a few times, a second apart: its effect may take
  a moment to show. (So a second run must do no harm.)

Words after "console" in the info string:

    no-run           the block is not run: it needs a real host or installs something
    simulate=KIND    the block runs in "nestctl --simulate KIND shell", so that the system bus is
                     that of a simulated host: for busctl, and for commands that build on each other
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```console([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_END = "__nestd_console_end__"
_EXIT_CODE = re.compile(r"\[exit code (\d+)\]")
_SECONDS = 600
_PAUSE = 1.0
_TRIES = 5


@dataclass(frozen=True)
class Command:
    text: str
    expected: tuple[str, ...]
    code: int


@dataclass(frozen=True)
class Block:
    words: tuple[str, ...]
    commands: tuple[Command, ...]

    @property
    def runs(self) -> bool:
        return "no-run" not in self.words

    @property
    def kind(self) -> str | None:
        """The kind of simulated host that it runs on."""
        kinds = [word[len("simulate=") :] for word in self.words if word.startswith("simulate=")]
        return kinds[0] if kinds else None


def read(document: str) -> list[Block]:
    """The console blocks of a document."""
    return [
        Block(tuple(info.split()), tuple(_commands(body)))
        for info, body in _FENCE.findall(document)
    ]


def _commands(body: str) -> list[Command]:
    joined = re.sub(r"\\\n", "", body)
    parts = re.split(r"^[$#] (.*)\n", joined, flags=re.MULTILINE)
    found = []
    for text, output in zip(parts[1::2], parts[2::2]):
        lines = [line for line in map(_squeezed, output.splitlines()) if line]
        ended = _EXIT_CODE.fullmatch(lines[-1]) if lines else None
        code = int(ended.group(1)) if ended else 0
        found.append(Command(text, tuple(lines[:-1] if ended else lines), code))
    return found


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def matches(expected: Sequence[str], output: str) -> bool:
    """Whether an output matches what is expected; "..." matches anything."""
    lines = [line for line in map(_squeezed, output.splitlines()) if line]
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += "[^\n]*".join(map(re.escape, line.split("..."))) + "\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def run(block: Block, directory: Path, environment: Mapping[str, str], nestctl: str) -> list[str]:
    """Run a block; returns a description of each output that differs."""
    shell = ["bash", "--norc", "-s"]
    if block.kind is not None:
        shell = [nestctl, "--simulate", block.kind, "shell", *shell]
    with subprocess.Popen(
        shell,
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        wrong = []
        for command in block.commands:
            for _ in range(_TRIES):
                output, code = _run_one(process, command)
                if code == command.code and matches(command.expected, output):
                    break
                time.sleep(_PAUSE)
            if code != command.code:
                wrong.append(f"$ {command.text}\n{output}[exit code {code}, not {command.code}]")
            elif not matches(command.expected, output):
                expected = "\n".join(command.expected)
                wrong.append(f"$ {command.text}\n{output}--- where the document has\n{expected}")
        assert process.stdin is not None
        process.stdin.close()
        process.wait(_SECONDS)
    return wrong


def _run_one(process: subprocess.Popen[str], command: Command) -> tuple[str, int]:
    assert process.stdin is not None
    assert process.stdout is not None
    # In its own shell, with empty input: a program that reads it would consume the next commands.
    script = f"bash -c {shlex.quote(command.text)} < /dev/null"
    process.stdin.write(f"{script}; code=$?; echo; echo {_END} $code\n")
    process.stdin.flush()
    lines = []
    for line in process.stdout:
        if line.startswith(_END):
            break
        lines.append(line)
    else:
        raise AssertionError(f"the shell ended at: {command.text}\n{''.join(lines)}")
    return "".join(lines), int(line.split()[1])
