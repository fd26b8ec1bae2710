#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes org.nestd1.5, the manual page of the D-Bus interface, from the interfaces' XML.

    packaging/man/generate.py

The synopses use the notation of systemd's own pages. The comment before a member describes it; the
comment at the head of the Manager's file describes the rules for all members. The file errors next
to this one lists the errors of each method; nestd/core/errors.py explains them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.dom import minidom

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
INTERFACES = CHECKOUT / "nestd" / "formats" / "api"
PAGE = HERE / "org.nestd1.5"
SHOWN = ("Manager", "Module", "Job", "LogDaemon")
EXAMPLES = (
    (
        "What runs, what is configured and what the next load will use:",
        "busctl introspect org.nestd1 /org/nestd1/module/kvm_intel",
    ),
    (
        "Switch nested virtualization on, and reload the module if nothing uses it:",
        "busctl call org.nestd1 /org/nestd1/module/kvm_intel org.nestd1.Module "
        "SetNested 'bsa{sv}' true now 0",
    ),
    ("Follow all changes:", "gdbus monitor --system --dest org.nestd1"),
)
# The errors of any method; STANDARD has the D-Bus names of classes in nestd/core/errors.py.
ANY = (
    ("org.freedesktop.DBus.Error.InvalidArgs", "Arguments of another type, or an unknown option."),
    (
        "org.freedesktop.DBus.Error.LimitsExceeded",
        "The caller, or all callers together, have too many calls in progress.",
    ),
    (
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        "polkit requires a password, and the message does not allow a prompt.",
    ),
    (
        "org.freedesktop.DBus.Error.AccessDenied",
        "polkit denies the action, or the password was not given.",
    ),
)
STANDARD = {
    "InvalidArgument": "org.freedesktop.DBus.Error.InvalidArgs",
    "LimitsExceeded": "org.freedesktop.DBus.Error.LimitsExceeded",
    "WriteFailed": "org.freedesktop.DBus.Error.IOError",
}
LEARNS = (
    (
        "KVM's parameters, with file and line",
        "Everybody, even if a file's mode keeps others from reading it: all users can read the "
        "running values in /sys. The same goes for the log filters, outputs and level of libvirt's "
        "daemons.",
    ),
    (
        "Other text of files that others cannot read",
        "In Module.Plan, Validate and Describe: uid 0 and users whom polkit allows "
        "org.nestd1.configure-modules without authentication; in LogDaemon.Plan "
        "org.nestd1.configure-logs. For all others a diff has a note instead of such text, "
        "with the same line numbers, and a finding names only the place.",
    ),
    (
        "What exists below a directory that others cannot enter",
        "Authorized callers: before authorization, SetFilters and StartDebug do not refuse an "
        "output for it, and CheckFilters and LogDaemon.Plan do not warn.",
    ),
    (
        "Names, units and PIDs of other users' machines",
        "Everybody, unless /proc is mounted with hidepid (proc(5)): then uid 0 and users whom "
        "polkit allows org.nestd1.reload-modules without authentication. All others get an "
        "entry with empty texts and PID 0 for each, and so does everybody in a job's Blockers "
        "and Error.",
    ),
    (
        "Who requested what, and with which error",
        "In ListHistory: the user who requested it, and users whom polkit allows "
        "org.nestd1.manage without authentication.",
    ),
)
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


@dataclass(frozen=True)
class Member:
    """A method, signal or property: its line in a synopsis and its description."""

    name: str
    kind: str
    synopsis: str
    about: str


def page() -> str:
    """The whole page."""
    documents = [minidom.parse(str(INTERFACES / f"org.nestd1.{name}.xml")) for name in SHOWN]
    lines = _head(_comment_of(documents[0]))
    for document in documents:
        lines += _interface(document)
    lines += [
        *_errors(),
        ".SH WHO LEARNS WHAT",
        *_entries(LEARNS),
        ".SH EXAMPLES",
        *_examples(),
        ".SH SEE ALSO",
        ".BR nestd (8),",
        ".BR nestd.conf (5),",
        ".BR busctl (1),",
        ".BR org.freedesktop.LogControl1 (5)",
    ]
    return "\n".join(lines) + "\n"


def _head(conventions: str) -> list[str]:
    place, _, rules = conventions.partition("\n\n")
    return [
        '.\\" SPDX-License-Identifier: LGPL-2.1-or-later',
        '.\\" Made by packaging/man/generate.py from nestd/formats/api: change those.',
        ".TH ORG.NESTD1 5 2026-11-27 nestd org.nestd1",
        ".SH NAME",
        "org.nestd1 \\- nested virtualization and libvirt debug logs over D\\-Bus",
        ".SH DESCRIPTION",
        *_text(" ".join(place.split())),
        *_rules(rules),
    ]


def _rules(text: str) -> Iterator[str]:
    """The rules: a heading, then items that begin with "*", some with "NAME   meaning" lists."""
    heading, *items = re.split(r"\n *\* ", text)
    yield f".SS {_escaped(heading.strip())}"
    for item in items:
        yield ".IP \\(bu 2"
        words = []
        for line in item.splitlines():
            entry = re.fullmatch(r" +(\S.*?) {2,}(\S.*)", line)
            if not entry:
                words.append(line.strip())
                continue
            yield from _text(" ".join(words))
            words = []
            yield ".br"
            yield f"\\fI{_escaped(entry[1])}\\fR: {_escaped(entry[2])}"
        yield from _text(" ".join(words))


def _interface(document: minidom.Document) -> Iterator[str]:
    [interface] = document.getElementsByTagName("interface")
    members = list(_members(interface))
    name = interface.getAttribute("name")
    yield f".SH {_escaped(name.upper())}"
    objects = _comment_of(document)
    if objects.startswith("Objects"):
        yield from _text(" ".join(objects.split()))
        yield ".PP"
    yield ".nf"
    yield f"interface {_escaped(name)} {{"
    for kind, title in (("method", "methods"), ("signal", "signals"), ("property", "properties")):
        if any(member.kind == kind for member in members):
            yield f"  {title}:"
        for member in members:
            if member.kind == kind:
                yield from (f"    {_escaped(line)}" for line in member.synopsis.splitlines())
    yield "};"
    yield ".fi"
    for kind, title in (("method", "Methods"), ("signal", "Signals"), ("property", "Properties")):
        described = [
            member
            for member in members
            if member.kind == kind and (member.about or _errors_of(name, member))
        ]
        if described:
            yield f".SS {title}"
        for member in described:
            yield ".TP"
            yield f".B {_escaped(member.name)}"
            yield from _text(member.about)
            if _errors_of(name, member):
                yield from [".br"] if member.about else []
                # \% prevents hyphenation.
                names = ", ".join(f"\\%{each}" for each in _errors_of(name, member))
                yield f"Errors: {names}."


def errors_of_methods() -> dict[str, list[str]]:
    """The last words of each method's error names, by "Interface.Method"."""
    lines = (HERE / "errors").read_text().splitlines()
    rows = [line.partition(":") for line in lines if not line.startswith("#")]
    return {method: names.split() for method, _, names in rows}


def _errors_of(interface: str, member: Member) -> list[str]:
    if member.kind != "method":
        return []
    method = f"{interface.rpartition('.')[2]}.{member.name}"
    found = errors_of_methods().get(method)
    if found is None:
        raise SystemExit(f"generate.py: packaging/man/errors has no line for {method}.")
    return found


def _errors() -> Iterator[str]:
    """The meaning of each error: the first sentence of its class's docstring."""
    yield ".SH ERRORS"
    yield from _text("Any method may answer with these:")
    yield from _entries(ANY)
    yield ".PP"
    yield from _text(
        "The others are told with the methods, by the last word of the name. Each comes with one"
        " sentence that says what is the case and what to do."
    )
    tree = ast.parse((CHECKOUT / "nestd" / "core" / "errors.py").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    own = [(node.name, ast.get_docstring(node) or "") for node in classes[1:]]
    yield from _entries(
        (STANDARD.get(name, f"org.nestd1.Error.{name}"), " ".join(about.split()))
        for name, about in own
        if STANDARD.get(name) not in dict(ANY)
    )


def _entries(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, about in entries:
        yield ".TP"
        yield f".B {_escaped(name)}"
        yield from _text(about)


def _examples() -> Iterator[str]:
    for number, (sentence, command) in enumerate(EXAMPLES):
        yield from [".PP"] if number else []
        yield from _text(sentence)
        yield from (".PP", ".RS 4", ".nf", _escaped(command), ".fi", ".RE")


def _members(interface: minidom.Element) -> Iterator[Member]:
    about = ""
    for node in interface.childNodes:
        if node.nodeType == node.COMMENT_NODE:
            about = " ".join(node.data.split())
        elif node.nodeType == node.ELEMENT_NODE:
            name = node.getAttribute("name")
            yield Member(name, node.tagName, _synopsis(node), about)
            about = ""


def _synopsis(member: minidom.Element) -> str:
    name = member.getAttribute("name")
    if member.tagName == "property":
        emits = [
            f'@{EMITS}("{annotation.getAttribute("value")}")\n'
            for annotation in member.getElementsByTagName("annotation")
            if annotation.getAttribute("name") == EMITS
        ]
        access = {"read": "readonly", "readwrite": "readwrite"}[member.getAttribute("access")]
        return f"{''.join(emits)}{access} {member.getAttribute('type')} {name};"
    arguments = []
    for argument in member.getElementsByTagName("arg"):
        words = [argument.getAttribute(key) for key in ("direction", "type", "name")]
        arguments.append(" ".join(word for word in words if word))
    return f"{name}({', '.join(arguments)});"


def _comment_of(document: minidom.Document) -> str:
    """The comment before the root element."""
    comments = [node.data for node in document.childNodes if node.nodeType == node.COMMENT_NODE]
    return str(comments[0]).strip("\n").rstrip() if comments else ""


def _text(text: str) -> list[str]:
    return [_escaped(text.strip())] if text.strip() else []


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


if __name__ == "__main__":
    PAGE.write_text(page())
