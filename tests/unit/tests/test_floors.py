# SPDX-License-Identifier: LGPL-2.1-or-later
"""The project's rules that can be checked in the imports and the syntax tree.

Each rule is a function that reports what is wrong and what to do instead; each is also tested with
a violation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import nestd

PACKAGE = Path(nestd.__file__).parent
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "daemon": ("bus", "dbus", "core", "host", "formats"),
    "bus": ("dbus", "core", "formats"),
    "dbus": (),
    "core": ("host", "formats"),
    "host": ("formats",),
    "formats": (),
    "cli": ("dbus", "formats"),
}
# cli/local runs programs on the client side, and keeps its files.
LOCAL = "nestd.cli.local"
LOCAL_MAY_IMPORT = ("nestd.host.program", "nestd.host.state.state_file")
ONLY_IN: Mapping[str, tuple[str, ...]] = {
    "dbus_next": ("nestd.dbus",),
    "pyudev": ("nestd.host",),
    "subprocess": ("nestd.host", LOCAL),
}
# Top-level names that every floor may use.
SHARED = ("nestd", "nestd.__version__")
MOST_LINES, MOST_FUNCTION_LINES, MOST_FILES = 400, 40, 12
DOCSTRING_LINES = range(3, 8)
NO_NAMES = {"util", "utils", "common", "helpers", "misc"}


@dataclass(frozen=True)
class Source:
    """One source module."""

    name: str
    text: str
    is_package: bool = False

    @property
    def floor(self) -> str:
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def room(self) -> str:
        """Its package; a file directly on a floor is a room by itself."""
        parts = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        return ".".join(parts) if len(parts) > 2 else self.name

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


def sources() -> dict[str, Source]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = Source(name, path.read_text("utf-8"), is_package)
    return found


def imports(source: Source, known: Mapping[str, Source]) -> Iterator[str]:
    """The modules that it imports; of `from package import module`, the module."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                yield whole if whole in known else str(node.module)


def wrong_imports(known: Mapping[str, Source]) -> Iterator[str]:
    for source in known.values():
        for name in sorted(set(imports(source, known))):
            top = name.split(".")[0]
            allowed = ONLY_IN.get(top)
            if allowed and not source.name.startswith(allowed):
                who = " and ".join(allowed)
                yield f"{source.name} imports {top}: only {who} may; call it there"
            if top != "nestd" or name in SHARED or not source.floor:
                continue
            floor = name.split(".")[1]
            if floor == source.floor or floor in MAY_IMPORT.get(source.floor, ()):
                continue
            if source.name.startswith(LOCAL) and name.startswith(LOCAL_MAY_IMPORT):
                continue
            if source.name.endswith(".__main__"):
                continue
            lower = ", ".join(MAY_IMPORT.get(source.floor, ())) or "no other floor"
            yield (
                f"{source.name} imports {name}: {source.floor} may import {lower}. Move what it"
                f" needs down to the floor of both, or hand it in from above."
            )


def circles(known: Mapping[str, Source]) -> Iterator[str]:
    """Import cycles between the rooms of one floor."""
    reached: dict[str, set[str]] = {}
    for source in known.values():
        rooms = {known[name].room for name in imports(source, known) if name in known}
        near = {room for room in rooms if room.split(".")[1:2] == [source.floor]}
        if source.floor:
            reached.setdefault(source.room, set()).update(near - {source.room})
    for room in sorted(reached):
        seen, left = set(), set(reached[room])
        while left:
            at = left.pop()
            seen.add(at)
            left |= reached.get(at, set()) - seen
        if room in seen:
            back = ", ".join(sorted(each for each in seen if room in reached.get(each, ())))
            yield f"{room} imports itself through {back}: move what both need below them"


def large_things(known: Mapping[str, Source]) -> Iterator[str]:
    for source in known.values():
        lines = source.text.count("\n")
        if lines > MOST_LINES:
            yield f"{source.name} has {lines} lines: a concept in it wants a file of its own"
        for node in ast.walk(source.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = int(node.end_lineno or 0) - node.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    yield f"{source.name}.{node.name} has {length} lines: name its steps"


def crowded_or_nameless_rooms(known: Mapping[str, Source]) -> Iterator[str]:
    files: dict[str, int] = {}
    for source in known.values():
        if not source.is_package:
            home = source.name.rpartition(".")[0]
            files[home] = files.get(home, 0) + 1
        if source.name.rpartition(".")[2] in NO_NAMES:
            yield f"{source.name} says nothing: name it for the one thing that it holds"
    for home, count in sorted(files.items()):
        if count > MOST_FILES:
            yield f"{home} has {count} files: look for the two subjects in it"


def rooms_without_a_sign(known: Mapping[str, Source]) -> Iterator[str]:
    for source in known.values():
        if source.is_package and source.floor:
            text = ast.get_docstring(source.tree) or ""
            lines = len([line for line in text.splitlines() if line.strip()])
            if lines not in DOCSTRING_LINES or "Begin with" not in text:
                yield (
                    f"{source.name}.__init__: say in three to seven lines what lives there, what it"
                    f" imports and where to begin reading ({lines} lines now)"
                )


RULES = (wrong_imports, circles, large_things, crowded_or_nameless_rooms, rooms_without_a_sign)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept(rule) -> None:  # type: ignore[no-untyped-def]
    assert list(rule(sources())) == []


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("nestd.formats.x.a", "import nestd.host.root", "formats may import no other floor"),
        ("nestd.dbus.x.a", "from nestd.formats import printable", "dbus may import no other floor"),
        ("nestd.core.x.a", "from nestd.dbus import values", "core may import host, formats"),
        ("nestd.cli.x.a", "from nestd.host import program", "cli may import dbus, formats"),
        ("nestd.cli.local.a", "from nestd.core import model", "cli may import dbus, formats"),
        ("nestd.core.x.a", "import subprocess", "only nestd.host and nestd.cli.local may"),
        ("nestd.bus.x.a", "from dbus_next import aio", "only nestd.dbus may"),
    ],
)
def test_an_import_up_is_found(name: str, line: str, complaint: str) -> None:
    [found] = wrong_imports({name: Source(name, line)})
    assert complaint in found


def test_the_local_room_may_run_programs() -> None:
    name = "nestd.cli.local.a"
    assert not list(wrong_imports({name: Source(name, "import nestd.host.program, subprocess")}))


def test_a_circle_is_found_through_a_third_room() -> None:
    one, two, three = (f"nestd.core.{room}.it" for room in ("one", "two", "three"))
    known = {
        one: Source(one, f"import {two}"),
        two: Source(two, f"import {three}"),
        three: Source(three, f"import {one}"),
    }
    assert [found.split(":")[0] for found in circles(known)] == [
        "nestd.core.one imports itself through nestd.core.three",
        "nestd.core.three imports itself through nestd.core.two",
        "nestd.core.two imports itself through nestd.core.one",
    ]


def test_what_is_too_large_is_found() -> None:
    long = Source("nestd.core.x.a", "def f():\n" + "    pass\n" * MOST_FUNCTION_LINES)
    assert list(large_things({long.name: long})) == [
        "nestd.core.x.a.f has 41 lines: name its steps"
    ]
    high = Source("nestd.core.x.b", "\n" * (MOST_LINES + 1))
    [found] = large_things({high.name: high})
    assert "401 lines" in found


def test_a_crowd_and_a_word_that_says_nothing_are_found() -> None:
    names = [f"nestd.core.x.file{number}" for number in range(MOST_FILES)] + ["nestd.core.x.utils"]
    found = list(crowded_or_nameless_rooms({name: Source(name, "") for name in names}))
    assert [text.split(":")[0] for text in found] == [
        "nestd.core.x.utils says nothing",
        "nestd.core.x has 13 files",
    ]


def test_a_room_without_a_sign_is_found() -> None:
    bare = Source("nestd.core.x", '"""One line."""', is_package=True)
    [found] = rooms_without_a_sign({bare.name: bare})
    assert "(1 lines now)" in found
