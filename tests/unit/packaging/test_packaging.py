# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packaging files against the files that they package."""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiers

import nestd
from nestd.formats.api.names import log_daemon_path
from nestd.host.state import json_file
from nestd.host.state import undo_records as log_records

CHECKOUT = Path(__file__).parents[3]
TESTS = CHECKOUT / "tests"
CONTROL = CHECKOUT / "packaging" / "debian" / "control"
COPYRIGHT = CHECKOUT / "packaging" / "debian" / "copyright"
PRERM = CHECKOUT / "packaging" / "debian" / "nestd.prerm"
POSTRM = CHECKOUT / "packaging" / "debian" / "nestd.postrm"
RULES = CHECKOUT / "packaging" / "debian" / "rules"
SPEC = CHECKOUT / "packaging" / "nestd.spec"

# Modules with a package not named python3-MODULE; Debian and Fedora use the same name.
PACKAGES = {"validate": "python3-configobj"}


@pytest.mark.parametrize("family", ["debian", "fedora"])
def test_what_the_tests_use_is_asked_for_to_build(family: str) -> None:
    asked = _asked_to_build(family)
    modules = {name for name in _imported_from_elsewhere() if not _is_of_python(name)}
    assert {"hypothesis", "pytest", "dbus_next"} <= modules
    packages = {PACKAGES.get(name, f"python3-{name.replace('_', '-')}") for name in modules}
    programs = {str(getattr(need, family)) for need in tiers.TIERS["unit"].needs}
    assert packages | programs <= asked


def test_both_builds_leave_out_the_same_tests() -> None:
    assert _left_out(RULES) == _left_out(SPEC)
    assert all((CHECKOUT / path).exists() for path in _left_out(SPEC))


def test_what_nestd_remembers_goes_with_the_packages() -> None:
    unit = (CHECKOUT / "systemd" / "nestd.service").read_text()
    [name] = re.findall(r"^StateDirectory=(.*)$", unit, re.MULTILINE)
    ghosts = re.findall(r"^%ghost .*%{_localstatedir}(\S+)$", SPEC.read_text(), re.MULTILINE)
    kept = {json_file.HISTORY, json_file.KNOWN_KVM_CONF, json_file.TOTALS}
    assert {f"/var{path}" for path in ghosts} == {f"/var/lib/{name}", *kept}
    assert f"rm -rf /var/lib/{name}\n" in POSTRM.read_text()


def test_both_kinds_end_debug_sessions_before_nestd_stops() -> None:
    [preun] = re.findall(r"^%preun\n((?:.+\n)+)", SPEC.read_text(), re.MULTILINE)
    before, loop = _around_loop(preun.replace("%%", "%"), "%systemd_preun")
    assert "[ $1 -eq 0 ] && [ -d /run/systemd/system ]" in before
    before, same = _around_loop(PRERM.read_text(), "#DEBHELPER#")
    assert '[ "$1" = remove ] && [ -d /run/systemd/system ]' in before
    assert loop == same
    assert f"{log_records._DIRECTORY}/*.debug" in loop
    assert f'call org.nestd1 "{log_daemon_path("${daemon%.debug}")}"' in loop
    assert "StopDebug || :\n" in loop


@pytest.mark.parametrize("script", ["post", "preun", "transfiletriggerin"])
def test_systemd_is_spoken_to_only_where_it_runs(script: str) -> None:
    [lines] = re.findall(
        rf"^%{script}(?! selinux| -n)\b.*\n((?:.+\n)+)", SPEC.read_text(), re.MULTILINE
    )
    assert "-d /run/systemd/system ]" in lines.split("systemctl")[0].split("busctl")[0]


def test_copyright_says_what_files_say() -> None:
    stanzas = re.findall(
        r"^Files: ((?:.+\n )*.+)\n(?:.+\n)*?License: (.+)$", COPYRIGHT.read_text(), re.MULTILINE
    )
    for path in _with_a_license():
        name = str(path.relative_to(CHECKOUT))
        [*_, stated] = [
            license
            for patterns, license in stanzas
            if any(fnmatch.fnmatch(name, pattern) for pattern in patterns.split())
        ]
        assert f"SPDX-License-Identifier: {stated}" in path.read_text()[:500], name
    assert all(any(CHECKOUT.glob(name)) for names, _ in stanzas for name in names.split())


def test_the_rpm_names_the_version_of_the_collection() -> None:
    galaxy = (CHECKOUT / "packaging" / "ansible" / "galaxy.yml").read_text()
    [version] = re.findall(r"^version: (.+)$", galaxy, re.MULTILINE)
    assert f"%global collection_version {version}\n" in SPEC.read_text()


def test_the_metrics_are_written_by_who_has_no_rights_where_that_is_asked_for() -> None:
    units = CHECKOUT / "systemd"
    [user] = re.findall(r"^User=(.+)$", (units / "nestd-metrics.service").read_text(), re.MULTILINE)
    assert f"u {user} - " in (units / "nestd-metrics.sysusers").read_text()
    assert "disable nestd-metrics.timer\n" in (units / "90-nestd.preset").read_text()


@pytest.mark.parametrize(
    ("said", "maintainer"),
    [
        ({}, "nestd developers <root@localhost>"),
        ({"DEBEMAIL": "me@here", "DEBFULLNAME": "Me"}, "Me <me@here>"),
        ({"DEBEMAIL": "me@here"}, "nestd developers <me@here>"),
        ({"DEBEMAIL": "Me <me@here>", "DEBFULLNAME": "Other"}, "Me <me@here>"),
    ],
)
def test_the_maintainer_of_a_package_is_who_builds_it(
    said: dict[str, str], maintainer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DEBEMAIL", "DEBFULLNAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    debian = Path(shutil.copytree(CONTROL.parent, tmp_path / "debian"))
    runpy.run_path(str(CHECKOUT / "packaging" / "build.py"))["name_maintainer"](debian)
    assert f"\nMaintainer: {maintainer}\n" in (debian / "control").read_text()
    [newest, *older] = re.findall("^ -- (.*)  ", (debian / "changelog").read_text(), re.MULTILINE)
    assert newest == maintainer
    assert set(older) <= {"nestd developers <root@localhost>"}


def test_no_address_is_made_up() -> None:
    """Everything that looks like a contact address or a home page is a real one."""
    documents = list(CHECKOUT.glob("*.md"))
    files = [*documents, *(CHECKOUT / "systemd").iterdir(), CHECKOUT / "pyproject.toml"]
    files += [path for path in (CHECKOUT / "packaging").rglob("*") if not _is_left_over(path)]
    for path in filter(Path.is_file, files):
        text = path.read_bytes().decode("utf-8", "replace")
        found = re.findall(r"[\w.+-]+@[\w-]+\.[\w.-]+|\b[\w-]+\.(?:example|invalid)\b", text)
        found += re.findall(r"\bexample\.(?:com|net|org)\b", text)
        assert {name for name in found if not _is_a_unit(name)} == set(), path


def _is_left_over(path: Path) -> bool:
    return bool({"node_modules", "__pycache__", "dist", "package-lock.json"} & set(path.parts))


def _is_a_unit(name: str) -> bool:
    """Whether it is an instance of a unit, which looks like an address."""
    return name.endswith((".service", ".socket", ".scope"))


def _around_loop(script: str, end: str) -> tuple[str, str]:
    """The part before the loop over the sessions, and the loop; END follows it."""
    before, loop, after = re.split(r"(^ *for .*?done\n)", script, flags=re.MULTILINE | re.DOTALL)
    assert end in after
    return before, loop


def _with_a_license() -> Iterator[Path]:
    """The files that name a license in a header."""
    made = {"__pycache__", "node_modules", "dist"}
    for top in ("nestd", "packaging", "systemd", "tests"):
        for path in (CHECKOUT / top).rglob("*"):
            if not made.isdisjoint(path.parts) or not path.is_file():
                continue
            if b"SPDX-License-Identifier: " in path.read_bytes()[:500]:
                yield path


def _asked_to_build(family: str) -> set[str]:
    if family == "fedora":
        return set(re.findall(r"^BuildRequires:\s+(\S+)", SPEC.read_text(), re.MULTILINE))
    [field] = re.findall(r"^Build-Depends:((?:.*\n )*.*)", CONTROL.read_text(), re.MULTILINE)
    return {entry.split()[0] for entry in field.split(",")}


def _left_out(path: Path) -> set[str]:
    return set(re.findall(r"--deselect (\S+)", path.read_text()))


def _run_at_build() -> Iterator[Path]:
    """The files that run during a package build."""
    yield TESTS / "conftest.py"
    yield CHECKOUT / "nestd" / "__main__.py"
    left_out = _left_out(SPEC)
    for path in (TESTS / "unit").rglob("*.py"):
        if str(path.relative_to(CHECKOUT)) not in left_out:
            yield path


def _imported_from_elsewhere() -> set[str]:
    """The top-level names of the modules imported during a build, except this checkout's."""
    names = set()
    files = list(_run_at_build())
    for path in files:  # grows during the loop
        for name in _imports(ast.parse(path.read_text())):
            own = [base.joinpath(*name.split(".")) for base in (CHECKOUT, TESTS, path.parent)]
            modules = [each.with_suffix(".py") for each in own]
            modules += [each / "__init__.py" for each in own]
            files += [each for each in modules if each.exists() and each not in files]
            first = name.split(".")[0]
            if not any(each.exists() for each in modules) and first != nestd.__name__:
                names.add(first)
    return names


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.split(".")[0] == nestd.__name__:
                # A name imported from one of its packages may be a module.
                yield from (f"{node.module}.{each.name}" for each in node.names)


def _is_of_python(name: str) -> bool:
    """Whether a module is part of Python's standard library, wherever that is installed."""
    spec = importlib.util.find_spec(name)
    return spec is not None and not re.search("/(site|dist)-packages/", str(spec.origin))
