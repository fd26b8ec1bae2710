# SPDX-License-Identifier: LGPL-2.1-or-later
"""The code that one file's tests may run: in that file, in those it imports, in conftest.py.

Names decide: a function, class or constant of an imported file is reached if its name occurs in
reached code; a fixture, if it is a parameter there. A file that is run by its file name is reached
as a whole.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from used_programs import Module

Statement = tuple[Module, ast.stmt]


class _Mentioned(NamedTuple):
    names: frozenset[str]
    fixtures: frozenset[str]


def reached(test: Module, modules: Iterable[Module]) -> set[Statement]:
    """The reached top-level statements, each with its file; MODULES are all files."""
    files = _files(test, modules)
    whole = {test, *(named for each in files for named in each.named)}
    found: set[Statement] = set()
    names: dict[Module, set[str]] = {each: set() for each in files}
    fixtures: set[str] = set()
    grown = True
    while grown:
        grown = False
        for module in files:
            for statement in module.tree.body:
                if (module, statement) in found:
                    continue
                if module in whole or _is_reached(statement, names[module], fixtures):
                    found.add((module, statement))
                    more = _mentioned(statement)
                    for each in (module, *module.imported):
                        names[each] |= more.names
                    fixtures |= more.fixtures
                    grown = True
    return found


def _files(test: Module, modules: Iterable[Module]) -> list[Module]:
    todo = [test]
    for each in modules:
        if each.path.name == "conftest.py" and each.path.parent in test.path.parents:
            todo.append(each)
    found: list[Module] = []
    while todo:
        module = todo.pop()
        if module not in found:
            found.append(module)
            todo += [*module.imported, *module.named]
    return found


def _is_given_fixtures(function: ast.FunctionDef) -> bool:
    return function.name.startswith("test") or _is_fixture(function)


def _is_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any("pytest.fixture" in ast.unparse(each) for each in node.decorator_list)


def _is_reached(statement: ast.stmt, names: set[str], fixtures: set[str]) -> bool:
    """Whether it defines one of the names, or runs whenever its file is imported."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        always = any("autouse=True" in ast.unparse(each) for each in statement.decorator_list)
        return always or statement.name in (fixtures if _is_fixture(statement) else names)
    if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
        return False
    defined = set(_targets(statement))
    return bool(defined & names) or not defined


def _targets(statement: ast.stmt) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    for node in (node for target in targets for node in ast.walk(target)):
        if isinstance(node, ast.Name):
            yield node.id


@functools.cache
def _mentioned(statement: ast.stmt) -> _Mentioned:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return _Mentioned(frozenset(), frozenset())
    names, fixtures = set(), set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.FunctionDef) and _is_given_fixtures(node):
            fixtures |= {each.arg for each in node.args.args}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("usefixtures"):
            fixtures |= {str(getattr(each, "value", "")) for each in node.args}
    return _Mentioned(frozenset(names), frozenset(fixtures))
