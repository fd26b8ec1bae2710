# SPDX-License-Identifier: LGPL-2.1-or-later
"""Derives what the next load of a module passes to the kernel, and which file and line decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nestd.formats.modprobe import kernel_cmdline, kernel_params, modprobe_d, shell_pattern
from nestd.formats.modprobe.modprobe_d import (
    Alias,
    BadLine,
    Blacklist,
    Directive,
    Install,
    Options,
    Softdep,
)
from nestd.formats.modprobe.module_options import JoinedOptions, join

_LONGEST_TEXT = 200


@dataclass(frozen=True)
class ConfigFile:
    """A file that libkmod reads."""

    path: str  # as seen from inside the root; bytes that are not UTF-8 as surrogates
    data: bytes


@dataclass(frozen=True)
class Origin:
    """A place in the configuration. The kernel command line is /proc/cmdline, line 0."""

    file: str
    line: int
    text: str  # for display: bytes that are not UTF-8 are escaped, a long line is cut


@dataclass(frozen=True)
class Assignment:
    """One parameter that a load passes."""

    parameter: str  # with '_' in place of '-'
    value: str | None  # None for a bare name
    file: str
    line: int


@dataclass(frozen=True)
class NextLoad:
    """The effect of `modprobe MODULE` with the current configuration."""

    options: bytes  # the string passed to finit_module(2)
    assignments: tuple[Assignment, ...]  # as the kernel splits that string; the last one wins
    blacklisted_by: Origin | None  # a plain `modprobe MODULE` still loads it
    denied_by: Origin | None  # module_blacklist= on the kernel command line: no load at all
    install_by: Origin | None  # a command that runs instead of loading: see softdeps
    alias_by: Origin | None  # an alias by which modprobe resolves the name to another module
    comment_in_options: tuple[Origin, ...]  # options lines of this module with a '#' in them
    bad_lines: tuple[Origin, ...]  # lines of any file that libkmod ignores with a warning
    option_lines: tuple[Origin, ...]  # the options lines of this module, text without the names
    # Modules to load before or after. libkmod ignores install_by if one of them exists.
    softdeps: tuple[str, ...]
    mistyped_blacklist: Origin | None  # on the kernel command line, with "-": matches nothing

    def effective(self, parameter: str) -> Assignment | None:
        """The assignment of PARAMETER that wins, or None."""
        name = parameter.replace("-", "_")
        found = [item for item in self.assignments if item.parameter == name]
        return found[-1] if found else None


def next_load(files: Sequence[ConfigFile], cmdline: bytes, module: str, *, kmod: int) -> NextLoad:
    """Derive the next load from all files in libkmod's order and the bytes of /proc/cmdline.

    KMOD is the major version of the installed kmod.
    """
    name = module.replace("-", "_").encode()
    parsed = [(file, modprobe_d.parse(file.data, kmod=kmod, about=name)) for file in files]
    directives = [
        (path_for_people(file.path), directive) for file, found in parsed for directive in found
    ]
    directives += [
        (kernel_cmdline.PATH, directive) for directive in kernel_cmdline.parse(cmdline, kmod=kmod)
    ]
    joined, paths = _options(directives, name)
    return NextLoad(
        options=joined.text,
        assignments=_assignments(joined, paths),
        blacklisted_by=_first_blacklist(directives, name),
        denied_by=_denied(cmdline, name),
        install_by=_first_install(directives, name),
        option_lines=_option_lines(joined, paths),
        softdeps=_softdeps(directives, name),
        alias_by=_first_alias(directives, name),
        mistyped_blacklist=_mistyped_blacklist(cmdline, name, kmod),
        comment_in_options=_comments(joined, paths),
        bad_lines=(
            *(
                bad
                for file, found in parsed
                if any(isinstance(each, BadLine) for each in found)
                for bad in _bad_lines_of(file, kmod)
            ),
            *_bad_lines(kernel_cmdline.PATH, kernel_cmdline.parse(cmdline, kmod=kmod)),
        ),
    )


def text_for_people(data: bytes) -> str:
    """Decode a file's bytes; bytes that are not UTF-8 become escapes like \\xff."""
    return data.decode("utf-8", "backslashreplace")


def path_for_people(path: str) -> str:
    """Decode a file name the same way; it need not be UTF-8."""
    return text_for_people(path.encode("utf-8", "surrogateescape"))


def _text(data: bytes) -> str:
    text = text_for_people(data[: _LONGEST_TEXT + 1])
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


@lru_cache(maxsize=8)  # the same for every module; costly only if there are many
def _bad_lines_of(file: ConfigFile, kmod: int) -> tuple[Origin, ...]:
    # No module has this name, so only bad lines and a few patterns remain.
    directives = modprobe_d.parse(file.data, kmod=kmod, about=b"/")
    return tuple(_bad_lines(path_for_people(file.path), directives))


def _bad_lines(path: str, directives: Iterable[Directive]) -> Iterator[Origin]:
    for bad in directives:
        if isinstance(bad, BadLine):
            yield Origin(path, bad.line, _text(bad.text))


def _options(
    directives: Sequence[tuple[str, Directive]], name: bytes
) -> tuple[JoinedOptions, tuple[str, ...]]:
    """The module's options, and the file of each part."""
    found = [
        (path, directive)
        for path, directive in directives
        if isinstance(directive, Options) and directive.module == name and directive.text
    ]
    return join([options for _, options in found]), tuple(path for path, _ in found)


def _assignments(joined: JoinedOptions, paths: Sequence[str]) -> tuple[Assignment, ...]:
    assignments = []
    for parameter in kernel_params.split(joined.text):
        index, offset = joined.locate(parameter.start)
        value = None if parameter.value is None else text_for_people(parameter.value)
        line = joined.parts[index].line_at(offset)
        name = text_for_people(parameter.key)
        assignments.append(Assignment(name, value, paths[index], line))
    return tuple(assignments)


def _option_lines(joined: JoinedOptions, paths: Sequence[str]) -> tuple[Origin, ...]:
    return tuple(
        Origin(path, part.line, _text(part.text)) for part, path in zip(joined.parts, paths)
    )


def _comments(joined: JoinedOptions, paths: Sequence[str]) -> tuple[Origin, ...]:
    """Options lines with a '#' outside quotes, where it starts no comment for libkmod."""
    found: dict[int, Origin] = {}
    for token in kernel_params.tokens(joined.text):
        raw = joined.text[token.start : token.end]
        if b"#" in raw and b'"' not in raw:
            index, offset = joined.locate(token.start)
            part = joined.parts[index]
            origin = Origin(paths[index], part.line_at(offset), _text(part.text))
            found.setdefault(index, origin)
    return tuple(found.values())


def _first_blacklist(directives: Sequence[tuple[str, Directive]], name: bytes) -> Origin | None:
    for path, directive in directives:
        if isinstance(directive, Blacklist) and directive.module == name:
            return Origin(path, directive.line, _text(b"blacklist " + directive.module))
    return None


def _first_install(directives: Sequence[tuple[str, Directive]], name: bytes) -> Origin | None:
    for path, directive in directives:
        if isinstance(directive, Install) and shell_pattern.matches(directive.module, name):
            text = b"install " + directive.module + b" " + directive.command
            return Origin(path, directive.line, _text(text))
    return None


def _softdeps(directives: Sequence[tuple[str, Directive]], name: bytes) -> tuple[str, ...]:
    """The modules after "pre:" or "post:" in the first softdep line of the module."""
    for _, directive in directives:
        if isinstance(directive, Softdep) and shell_pattern.matches(directive.module, name):
            words = directive.text.replace(b"\t", b" ").split(b" ")
            marks = (b"pre:", b"post:")
            first = next((index for index, word in enumerate(words) if word in marks), len(words))
            names = (word for word in words[first:] if word and word not in marks)
            return tuple(text_for_people(modprobe_d.normalize(each) or b"") for each in names)
    return ()


def _mistyped_blacklist(cmdline: bytes, name: bytes, kmod: int) -> Origin | None:
    """NAME with "-" in modprobe.blacklist= or module_blacklist=, where "-" is not normalized."""
    dashed = name.replace(b"_", b"-")
    if dashed == name:
        return None
    for directive in kernel_cmdline.parse(cmdline, kmod=kmod):
        if not isinstance(directive, Blacklist) or directive.module == name:
            continue
        if directive.module.replace(b"_", b"-") == dashed:
            text = b"modprobe.blacklist=" + directive.module
            return Origin(kernel_cmdline.PATH, 0, _text(text))
    return _denied(cmdline, dashed)


def _first_alias(directives: Sequence[tuple[str, Directive]], name: bytes) -> Origin | None:
    """The first alias of NAME, such as `alias kvm_intel off`: libkmod prefers it to the module."""
    for path, directive in directives:
        if not isinstance(directive, Alias) or directive.module == name:
            continue
        if shell_pattern.matches(directive.alias, name):
            text = b"alias " + directive.alias + b" " + directive.module
            return Origin(path, directive.line, _text(text))
    return None


def _denied(cmdline: bytes, name: bytes) -> Origin | None:
    """NAME in module_blacklist=; the last assignment counts (kernel/module/main.c, blacklisted)."""
    lists = [word for word in kernel_params.split(cmdline) if word.key == b"module_blacklist"]
    if lists and lists[-1].value is not None and name in lists[-1].value.split(b","):
        return Origin(kernel_cmdline.PATH, 0, _text(b"module_blacklist=" + lists[-1].value))
    return None
