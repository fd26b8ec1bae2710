# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests run and open on this machine, according to their syntax trees.

A program counts as used if its name is in the code: in the call that starts it (subprocess,
asyncio, os), in a list passed to the call through variables, parameters and functions of the tests,
after `env` or `unshare`, or in a script for sh. The same holds for a library that ctypes opens, an
argument of shutil.which(), and a Path("/usr/share/..."). A program with a computed name, such as
the Python that runs the tests or a file that a test has made, is ignored.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

# The argument with the command: a list, or the first of its words (asyncio, exec).
_LISTS = {
    **{f"subprocess.{name}": 0 for name in ("run", "Popen", "call", "check_call", "check_output")},
    **{f"os.{name}": 1 for name in ("execv", "execve", "execvp", "execvpe", "posix_spawn")},
    "os.posix_spawnp": 1,
    "pty.spawn": 0,
}
_WORDS = {"asyncio.create_subprocess_exec": 0, "os.execl": 1, "os.execlp": 1, "shutil.which": 0}
_SCRIPTS = {"os.system", "os.popen", "asyncio.create_subprocess_shell"}
_LIBRARIES = {"ctypes.CDLL", "ctypes.PyDLL", "ctypes.cdll.LoadLibrary", "ctypes.util.find_library"}
# They run the first argument that is neither an option nor an assignment.
_WRAPPERS = ("env", "unshare")
_SHELLS = ("sh", "bash")
_SHELL_WORDS = """
    ! [ [[ { } ( ) : break case cd continue do done echo elif else esac eval exec exit export
    false fi
    for function if in local printf read return set shift source test then trap true umask unset
    until wait while
"""
_DEPTH = 12


@dataclass(frozen=True)
class Parameter:
    """A placeholder for the values that callers pass to a function."""

    name: str


Word = Union[str, Parameter, None]  # None: computed
Words = tuple[Word, ...]
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(eq=False)
class Module:
    """One test file."""

    path: Path
    tree: ast.Module
    external: dict[str, str] = field(default_factory=dict)  # local name to dotted name
    modules: dict[str, Module] = field(default_factory=dict)  # local name to a test file
    members: dict[str, tuple[Module, str]] = field(default_factory=dict)
    named: list[Module] = field(default_factory=list)  # run by its file name

    @property
    def imported(self) -> set[Module]:
        """The test files that this one imports."""
        return {*self.modules.values(), *(each for each, _ in self.members.values())}


@dataclass(frozen=True)
class _Scope:
    module: Module
    functions: tuple[Function, ...] = ()  # the innermost last


@dataclass(frozen=True)
class _Runner:
    """A test function that runs the value passed as that parameter."""

    function: Function
    parameter: str
    library: bool


class UsedPrograms:
    """The uses in some test files, which may import and call one another."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.modules = [Module(path, ast.parse(path.read_text())) for path in paths]
        for module in self.modules:
            self._link(module)
        # By class (or "") and name.
        self._functions = {module: dict(_functions(module.tree)) for module in self.modules}
        self._home = {
            f: module for module, found in self._functions.items() for f in found.values()
        }
        self._methods: dict[str, list[Function]] = {}
        for functions in self._functions.values():
            for (owner, name), function in functions.items():
                if owner and name != "__init__":
                    self._methods.setdefault(name, []).append(function)
        self._runners: set[_Runner] = set()
        # By file and top-level statement.
        self.uses: dict[tuple[Module, ast.stmt], set[str]] = {}
        for module in self.modules:
            for statement in module.tree.body:
                self.uses[module, statement] = set(self._constants(module, statement))
        known = -1
        while known != len(self._runners):  # a runner's argument may be a parameter again
            known = len(self._runners)
            for module, statement in self.uses:
                self.uses[module, statement] |= set(self._uses(module, statement))

    # Names

    def _link(self, module: Module) -> None:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    other = self._file(each.name, module)
                    name = each.asname or each.name.split(".")[0]
                    if other is not None:
                        module.modules[name] = other
                    else:
                        module.external[name] = each.name if each.asname else name
            elif isinstance(node, ast.ImportFrom) and node.module:
                other = self._file(node.module, module)
                for each in node.names:
                    name = each.asname or each.name
                    if other is not None:
                        module.members[name] = (other, each.name)
                    else:
                        module.external[name] = f"{node.module}.{each.name}"
            elif isinstance(node, ast.Constant) and str(node.value).endswith(".py"):
                other = self._file(Path(str(node.value)).stem, module)
                module.named += [other] if other is not None else []

    def _file(self, name: str, asking: Module) -> Module | None:
        """The file that `import name` finds: as in Python, first in the importer's directory."""
        found = [each for each in self.modules if each.path.stem == name and each is not asking]
        beside = [each for each in found if each.path.parent == asking.path.parent]
        above = [each for each in found if each.path.parent in asking.path.parents]
        return next(iter((*beside, *above, *found)), None) if name != "conftest" else None

    def _dotted(self, node: ast.expr, module: Module) -> str:
        """The full name of an object from Python or a library, such as "subprocess.run"."""
        if isinstance(node, ast.Name):
            return module.external.get(node.id, "")
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value, module)
            return f"{base}.{node.attr}" if base else ""
        return ""

    # Calls

    def _uses(self, module: Module, statement: ast.stmt) -> Iterator[str]:
        for scope, call in _calls(_Scope(module), ast.Module([statement], [])):
            for library, words in self._commands(call, scope):
                first = words[0] if words else None
                if isinstance(first, Parameter):
                    owner = next(f for f in reversed(scope.functions) if first.name in _names(f))
                    self._runners.add(_Runner(owner, first.name, library))
                elif library:
                    yield from [first] if isinstance(first, str) else []
                else:
                    yield from _programs(words)

    def _constants(self, module: Module, statement: ast.stmt) -> Iterator[str]:
        for node in ast.walk(statement):
            # In a test itself such a list is often data: a command line to be checked.
            data = module.path.name.startswith("test_")
            if not data and isinstance(node, (ast.List, ast.Tuple)) and _looks_like_a_command(node):
                yield from _programs(self._each(node.elts, _Scope(module))[0])
            elif isinstance(node, ast.Call) and self._dotted(node.func, module) == "pathlib.Path":
                path = str(getattr(node.args[0], "value", "")) if len(node.args) == 1 else ""
                yield from [path] if path.startswith(("/usr/lib/", "/usr/share/")) else []

    def _commands(self, call: ast.Call, scope: _Scope) -> Iterator[tuple[bool, Words]]:
        """Each command that the call may run, or library that it may open (True)."""
        name = self._dotted(call.func, scope.module)
        if name in _LIBRARIES:
            yield from ((True, words) for words in self._each(call.args[:1], scope))
        elif name in _SCRIPTS or any(
            each.arg == "shell" and getattr(each.value, "value", True) for each in call.keywords
        ):
            for words in self._each(call.args[:1], scope):
                yield False, ("sh", "-c", *words)
        elif name in _WORDS:
            yield from ((False, words) for words in self._each(call.args[_WORDS[name] :], scope))
        elif name in _LISTS:
            given = call.args[_LISTS[name] :][:1]
            given += [each.value for each in call.keywords if each.arg in ("args", "argv")]
            yield from ((False, words) for words in self._each(given, scope))
        else:
            for runner in self._called_runners(call, scope.module):
                given = self._given(runner, call)
                yield from ((runner.library, words) for words in self._each(given, scope))

    def _called_runners(self, call: ast.Call, module: Module) -> list[_Runner]:
        targets = self._targets(call.func, module)
        return [each for each in self._runners if each.function in targets]

    def _targets(self, func: ast.expr, module: Module) -> list[Function]:
        """The test functions that a call may refer to; a method is identified only by its name."""
        if isinstance(func, ast.Name):
            return self._named(*module.members.get(func.id, (module, func.id)))
        if not isinstance(func, ast.Attribute) or self._dotted(func, module):
            return []
        if isinstance(func.value, ast.Name) and func.value.id in module.modules:
            return self._named(module.modules[func.value.id], func.attr)
        return self._methods.get(func.attr, [])

    def _named(self, module: Module, name: str) -> list[Function]:
        functions = self._functions[module]
        return [functions[key] for key in (("", name), (name, "__init__")) if key in functions]

    def _given(self, runner: _Runner, call: ast.Call) -> list[ast.expr]:
        function = runner.function
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        if function.args.vararg and function.args.vararg.arg == runner.parameter:
            return call.args[len(names) :]
        named = [each.value for each in call.keywords if each.arg == runner.parameter]
        if runner.parameter in names:
            index = names.index(runner.parameter)
            named += call.args[index : index + 1]
        return named

    # Values

    def _each(self, given: Sequence[ast.expr], scope: _Scope, depth: int = 0) -> list[Words]:
        """The possible values of consecutive expressions, as words."""
        found: list[Words] = [()]
        for each in given:
            node = each.value if isinstance(each, ast.Starred) else each
            values = self._words(node, scope, depth)
            found = [(*before, *value) for before in found for value in values][:64]
        return found

    def _words(self, node: ast.expr, scope: _Scope, depth: int) -> list[Words]:
        if depth > _DEPTH:
            return [(None,)]
        if isinstance(node, ast.Constant):
            return [(node.value if isinstance(node.value, str) else None,)]
        if isinstance(node, (ast.List, ast.Tuple)):
            return self._each(node.elts, scope, depth + 1)
        if isinstance(node, ast.IfExp):
            both = (node.body, node.orelse)
            return [words for each in both for words in self._words(each, scope, depth + 1)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._each([node.left, node.right], scope, depth + 1)
        if isinstance(node, ast.JoinedStr):
            parts = [self._text(each, scope, depth + 1) for each in node.values]
            return [("".join(parts),)]
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._value(node, scope, depth + 1)
        return self._result(node, scope, depth + 1) if isinstance(node, ast.Call) else [(None,)]

    def _text(self, node: ast.expr, scope: _Scope, depth: int) -> str:
        node = node.value if isinstance(node, ast.FormattedValue) else node
        found = self._words(node, scope, depth)
        return str(found[0][0]) if len(found) == 1 and isinstance(found[0][0], str) else "$COMPUTED"

    def _value(self, node: ast.Name | ast.Attribute, scope: _Scope, depth: int) -> list[Words]:
        """The value of a variable, a parameter, or a constant of a test file."""
        module = scope.module
        if isinstance(node, ast.Attribute):
            other = module.modules.get(getattr(node.value, "id", ""))
            return (
                self._assigned(other.tree, node.attr, _Scope(other), depth) if other else [(None,)]
            )
        for index in range(len(scope.functions) - 1, -1, -1):
            function = scope.functions[index]
            inner = _Scope(module, scope.functions[: index + 1])
            found = self._assigned(function, node.id, inner, depth)
            if node.id in _names(function):
                return [(Parameter(node.id),), *(each for each in found if each != (None,))]
            if found != [(None,)]:
                return found
        if node.id in module.members:
            other, name = module.members[node.id]
            return self._assigned(other.tree, name, _Scope(other), depth)
        return self._assigned(module.tree, node.id, _Scope(module), depth)

    def _assigned(self, tree: ast.AST, name: str, scope: _Scope, depth: int) -> list[Words]:
        found: list[Words] = []
        for node in _nodes(tree):
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, (ast.AnnAssign, ast.For)):
                targets = [node.target]
            else:
                continue
            if not any(isinstance(each, ast.Name) and each.id == name for each in targets):
                continue
            if not isinstance(node, ast.For):
                found += self._words(node.value, scope, depth) if node.value else []
            elif isinstance(node.iter, (ast.List, ast.Tuple)):
                for each in node.iter.elts:
                    found += self._words(each, scope, depth)
        return found or [(None,)]

    def _result(self, call: ast.Call, scope: _Scope, depth: int) -> list[Words]:
        """The value of a call of a test function, or of str(), list(), "a b".split()."""
        func = call.func
        if isinstance(func, ast.Name) and func.id in ("str", "list", "tuple") and call.args:
            return self._words(call.args[0], scope, depth)
        if isinstance(func, ast.Attribute) and func.attr == "split":
            text = self._text(func.value, scope, depth)
            return [tuple(text.split())] if "$COMPUTED" not in text else [(None,)]
        found: list[Words] = []
        for function in self._targets(func, scope.module):
            inner = _Scope(self._home[function], (function,))
            for node in _nodes(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    words = self._words(node.value, inner, depth)
                    found += [each for each in words if not isinstance((*each, None)[0], Parameter)]
        return found or [(None,)]


def _functions(tree: ast.AST, owner: str = "") -> Iterator[tuple[tuple[str, str], Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _FUNCTIONS):
            yield (owner, node.name), node
        yield from _functions(node, node.name if isinstance(node, ast.ClassDef) else owner)


def _calls(scope: _Scope, tree: ast.AST) -> Iterator[tuple[_Scope, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        inner = scope
        if isinstance(node, _FUNCTIONS):
            inner = _Scope(scope.module, (*scope.functions, node))
        if isinstance(node, ast.Call):
            yield scope, node
        yield from _calls(inner, node)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or module, without those of the functions in it."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, _FUNCTIONS):
            yield node
            yield from _nodes(node)


def _looks_like_a_command(node: ast.List | ast.Tuple) -> bool:
    """Whether it is a constant program with an option, however it is used."""
    words = [getattr(each, "value", None) for each in node.elts[:2]]
    program, option = [each if isinstance(each, str) else "" for each in (*words, "", "")[:2]]
    return bool(re.fullmatch("[a-z][a-z0-9_.-]+", program) and re.match("--?[A-Za-z]", option))


def _names(function: Function) -> set[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg]
    return {each.arg for each in every if each is not None}


def _programs(words: Words) -> Iterator[str]:
    """What a command runs: its first word, and the program that this one starts."""
    first, *rest = words or (None,)
    if not isinstance(first, str):
        return
    if first == "/usr/bin/python3":
        if rest[:1] == ["-m"] and isinstance(rest[1], str):
            yield f"python3 -m {rest[1]}"
        return
    yield first
    if first in _WRAPPERS:
        while rest and isinstance(rest[0], str) and re.match(r"-|\w+=|\$", rest[0]):
            del rest[0]
        yield from _programs(tuple(rest))
    elif first in _SHELLS and rest and re.fullmatch("-[a-z]*c", str(rest[0])):
        yield from _in_script(str(rest[1])) if len(rest) > 1 else ()


def _in_script(text: str) -> Iterator[str]:
    """The programs that a shell script runs: mainly the first word of each command."""
    for line in re.split(r"\n|;|&&|\|\|?|\$\(|`|\(|\bdo\b|\bthen\b|\belse\b|\{", text):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            words = line.split()
        while words and (words[0] in ("exec", "if", "while", "!") or re.match(r"\w+=", words[0])):
            del words[0]
        if (
            words
            and re.fullmatch(r"[a-z][\w.+-]*", words[0])
            and words[0] not in _SHELL_WORDS.split()
        ):
            yield from _programs(tuple(words))
