#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes nestctl's completion for bash, zsh and fish from its own command line.

    packaging/completion/generate.py

A value is completed by its name in the help: see VALUES.
"""

from __future__ import annotations

import shlex
import sys
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from nestd.cli import arguments  # noqa: E402

# Shell commands that list values on this host; each runs in sh and prints one word per line. The
# KVM modules are those loaded or installed for this kernel, or just kvm if none is visible.
_MODULES = (
    'ls /sys/module /lib/modules/"$(uname -r)"/kernel/arch/*/kvm 2>/dev/null'
    " | sed -n 's/^\\(kvm[a-z_-]*\\).*/\\1/p' | tr - _ | sort -u | grep . || echo kvm"
)
_DAEMONS = (
    "for name in libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd"
    " virtinterfaced virtnwfilterd virtproxyd virtchd virtlxcd virtvboxd virtvzd virtxend; do"
    ' PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null && echo "$name"; done'
)
# The command that lists values of each kind; the shell itself completes "file" and "directory".
VALUES: Mapping[str, str] = {
    "MODULE": f"sh -c {shlex.quote(_MODULES)}",
    "PARAM=VALUE": "ls /sys/module/kvm*/parameters 2>/dev/null | sed -n 's/^[a-z0-9_]*$/&=/p'",
    "JOB": "nestctl jobs 2>/dev/null | sed -n 's/^\\([0-9][0-9]*\\) .*/\\1/p'",
    "DAEMON": f"sh -c {shlex.quote(_DAEMONS)}",
    "NAME|FILE": "virsh --readonly list --all --name 2>/dev/null | sed '/^$/d'",
    "FILE": "file",
    "DIR": "directory",
}
_HEAD = (
    "# SPDX-License-Identifier: LGPL-2.1-or-later",
    "# Completion of nestctl(1). Written by packaging/completion/generate.py.",
)


@dataclass(frozen=True)
class Value:
    """One option or argument: its names (none for an argument) and the kind of its value."""

    names: tuple[str, ...]
    help: str
    takes: str | None  # the kind of value, "" for one that cannot be listed
    choices: tuple[str, ...]
    repeats: bool

    @classmethod
    def of(cls, action: Action) -> Value:
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        return cls(
            names=tuple(action.option_strings),
            help=str(action.help or ""),
            takes=None if action.nargs == 0 else metavar,
            choices=tuple(action.choices or getattr(action, "offers", ())),
            repeats=action.nargs in ("*", "+", "..."),
        )

    def lists(self) -> str | None:
        """The shell command that lists its values; None for files and unlistable values."""
        if self.choices:
            return f"printf '%s\\n' {' '.join(self.choices)}"
        found = VALUES.get(self.takes or "")
        return None if found in ("file", "directory") else found

    def is_file(self) -> bool:
        return VALUES.get(self.takes or "") in ("file", "directory") or self.takes == "NAME|FILE"


@dataclass(frozen=True)
class Command:
    """A command such as "log show"; "" is nestctl itself."""

    name: str
    about: str
    values: tuple[Value, ...]
    inner: tuple[str, ...]

    @property
    def options(self) -> tuple[Value, ...]:
        return tuple(each for each in self.values if each.names)

    @property
    def arguments(self) -> tuple[Value, ...]:
        return tuple(each for each in self.values if not each.names)


def commands(parser: ArgumentParser, name: str = "") -> Iterator[Command]:
    """All commands of a parser, outer ones first."""
    inner = arguments.subcommands(parser)
    values = [
        Value.of(action)
        for action in parser._actions
        if action.help != SUPPRESS and not isinstance(action.choices, dict)
    ]
    about = (parser.description or "").rstrip(".")
    yield Command(name, about, tuple(values), tuple(inner))
    for word, each in inner.items():
        yield from commands(each, f"{name} {word}".strip())


def _bash_start(found: list[Command]) -> list[str]:
    """The beginning of the function, which finds the command and the word before the cursor."""
    taking = [each for one in found for each in one.options if each.takes is not None]
    names = sorted({name for each in taking for name in each.names})
    return [
        *_HEAD,
        "",
        "_nestctl() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
        "    local command= index word words= files=",
        "    for ((index = 1; index < COMP_CWORD; index++)); do",
        "        word=${COMP_WORDS[index]}",
        "        case $word in",
        f"            {'|'.join(names)}) ((index++)) ;;",
        "            -*) ;;",
        "            *)",
        "                command=${command:+$command }$word",
        "                [[ $command == log ]] || break",
        "                ;;",
        "        esac",
        "    done",
        '    case "$command $previous" in',
    ]


def bash(found: list[Command]) -> str:
    lines = _bash_start(found)
    for one in found:
        for each in one.options:
            if each.takes is not None:
                lines += _bash_case(" | ".join(f'"{one.name} {name}"' for name in each.names), each)
    lines += ["        *)", '            case "$command" in']
    for one in found:
        words = [*one.inner, *(name for each in one.options for name in each.names[-1:])]
        lines.append(f'                "{one.name}")')
        lines.append(f'                    words="{" ".join(words)}"')
        for each in one.arguments:
            if each.lists():
                lines.append(f'                    words+=" $({each.lists()})"')
            if each.is_file():
                lines.append("                    files=-f")
        lines.append("                    ;;")
    lines += [
        "            esac",
        "            ;;",
        "    esac",
        '    COMPREPLY=($(compgen $files -W "$words" -- "$current"))',
        "    [[ ${#COMPREPLY[@]} != 1 || $COMPREPLY != *= ]] || compopt -o nospace 2>/dev/null",
        "}",
        "complete -F _nestctl nestctl",
    ]
    return "\n".join(lines) + "\n"


def _bash_case(pattern: str, value: Value) -> list[str]:
    lines = [f"        {pattern})"]
    if value.lists():
        lines.append(f'            words="$({value.lists()})"')
    if value.is_file():
        lines.append("            files=-f")
    return [*lines, "            ;;"]


def zsh(found: list[Command]) -> str:
    lines = ["#compdef nestctl", *_HEAD, ""]
    for one in found:
        lines.append(f"{_zsh_name(one.name)}() {{")
        specs = [_zsh_option(each) for each in one.options]
        specs += [_zsh_argument(each) for each in one.arguments]
        if one.inner:
            specs += ["'1:command:->command'", "'*::argument:->argument'"]
            lines.append("    local curcontext=$curcontext state line")
            lines.append("    typeset -A opt_args")
        lines.append(f"    _arguments {'-C ' if one.inner else ''}-s \\")
        lines += [f"        {spec} \\" for spec in specs[:-1]]
        lines.append(f"        {specs[-1]}")
        if one.inner:
            lines += _zsh_inner(one, found)
        lines += ["}", ""]
    return "\n".join([*lines, '_nestctl "$@"', ""])


def _zsh_name(name: str) -> str:
    return "_".join(["_nestctl", *name.split()]).replace("-", "_")


def _zsh_inner(one: Command, found: list[Command]) -> list[str]:
    about = {each.name: each.about for each in found}
    lines = ["    case $state in", "        command)", "            local -a commands=("]
    for word in one.inner:
        full = f"{one.name} {word}".strip()
        lines.append(f"                '{word}:{_quoted(about[full])}'")
    lines += ["            )", "            _describe command commands", "            ;;"]
    lines += ["        argument)", "            case $line[1] in"]
    for word in one.inner:
        lines.append(f"                {word}) {_zsh_name(f'{one.name} {word}')} ;;")
    return [*lines, "            esac", "            ;;", "    esac"]


def _zsh_action(value: Value) -> str:
    if value.choices:
        return f"({' '.join(value.choices)})"
    if value.takes == "DIR":
        return "_files -/"
    if value.lists() and value.is_file():
        return f'{{ compadd -- ${{(f)"$({_quoted(value.lists())})"}}; _files }}'
    if value.lists():
        return f'{{ compadd -- ${{(f)"$({_quoted(value.lists())})"}} }}'
    return "_files" if value.is_file() else " "


def _quoted(text: str | None) -> str:
    """Text for use inside single quotes; a plain colon would end a part of the specification."""
    return str(text).replace("'", "'\\''").replace(":", "\\:")


def _zsh_option(value: Value) -> str:
    action = "" if value.takes is None else f":{value.takes or 'value'}:{_zsh_action(value)}"
    about = _quoted(value.help.replace("[", "(").replace("]", ")"))
    if len(value.names) == 1:
        return f"'{value.names[0]}[{about}]{action}'"
    names = ",".join(value.names)
    return f"'({' '.join(value.names)})'{{{names}}}'[{about}]{action}'"


def _zsh_argument(value: Value) -> str:
    name = (value.takes or "value").replace(":", "")
    return f"'{'*' if value.repeats else ''}:{name}:{_zsh_action(value)}'"


def fish(found: list[Command]) -> str:
    taking = [each for one in found for each in one.options if each.takes is not None]
    names = sorted({name for each in taking for name in each.names})
    lines = [
        *_HEAD,
        "",
        "function __nestctl_command",
        "    set -l words (commandline -opc)[2..-1]",
        "    set -l command",
        "    set -l skip no",
        "    for word in $words",
        "        if test $skip = yes",
        "            set skip no",
        f"        else if contains -- $word {' '.join(names)}",
        "            set skip yes",
        "        else if not string match -q -- '-*' $word",
        "            set command $command $word",
        '            test "$command" = log; or break',
        "        end",
        "    end",
        '    echo "$command"',
        "end",
        "",
        "complete -c nestctl -f",
    ]
    about = {each.name: each.about for each in found}
    for one in found:
        here = f"complete -c nestctl -n 'test (__nestctl_command) = \"{one.name}\"'"
        for word in one.inner:
            full = f"{one.name} {word}".strip()
            lines.append(f"{here} -a {word} -d {_fish_quoted(about[full])}")
        for each in one.options:
            flags = " ".join(_fish_flag(name) for name in each.names)
            lines.append(f"{here} {flags}{_fish_value(each)} -d {_fish_quoted(each.help)}")
        for each in one.arguments:
            if each.lists() or each.is_file():
                lines.append(f"{here}{_fish_value(each).replace(' -x', '').replace(' -r', '')}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _fish_flag(name: str) -> str:
    return f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"


def _fish_value(value: Value) -> str:
    if value.takes is None:
        return ""
    if value.lists():
        return f" -x{' -F' if value.is_file() else ''} -a {_fish_quoted(f'({value.lists()})')}"
    return " -r -F" if value.is_file() else " -x"


def generate() -> dict[str, str]:
    """The files by name."""
    found = list(commands(arguments.make_parser()))
    return {"nestctl.bash": bash(found), "_nestctl": zsh(found), "nestctl.fish": fish(found)}


if __name__ == "__main__":
    for name, text in generate().items():
        (HERE / name).write_text(text)
