# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd(8), nestd.conf(5) and org.nestd1(5), against what they describe."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from contract import FILES

from nestd.bus.authorization import Action
from nestd.bus.errors import NAMES
from nestd.core.journal_events import PREFIX, Event
from nestd.daemon import settings

MAN = Path(__file__).parents[3] / "packaging" / "man"
PAGES = ("nestd.8", "nestd.conf.5", "org.nestd1.5")


@pytest.mark.needs("man")
@pytest.mark.parametrize("page", PAGES)
def test_man_shows_it_without_a_warning(page: str) -> None:
    done = subprocess.run(
        ["man", "--warnings=w", "--local-file", str(MAN / page)],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "SEE ALSO" in re.sub(".\b", "", done.stdout)


@pytest.mark.needs("mandoc")
def test_mandoc_finds_nothing_wrong() -> None:
    pages = sorted(str(path) for path in MAN.glob("*.[158]"))
    assert len(pages) > len(PAGES)
    command = ["mandoc", "-T", "lint", "-W", "warning", *pages]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def test_interface_page_has_the_errors_of_each_method() -> None:
    told = runpy.run_path(str(MAN / "generate.py"))["errors_of_methods"]()
    methods = {
        f"{interface}.{name}"
        for interface in ("Manager", "Module", "Job", "LogDaemon")
        for name in re.findall(
            '<method name="([^"]+)"', FILES[f"org.nestd1.{interface}"].read_text()
        )
    }
    assert told.keys() == methods
    names = {name.rpartition(".")[2] for name in NAMES.values()}
    assert set().union(*map(set, told.values())) == names
    section = _section(_plain("org.nestd1.5"), ".SH ERRORS", ".SH ")
    shown = re.findall(r"^\.B (org\.\S+)$", section, re.MULTILINE)
    assert set(NAMES.values()) <= set(shown)
    assert len(shown) == len(set(shown))


def test_interface_page_is_what_the_xml_gives() -> None:
    generated = runpy.run_path(str(MAN / "generate.py"))["page"]()
    assert (MAN / "org.nestd1.5").read_text() == generated


def test_interface_page_has_every_member() -> None:
    page = _plain("org.nestd1.5")
    for interface in ("Manager", "Module", "Job", "LogDaemon"):
        xml = FILES[f"org.nestd1.{interface}"].read_text()
        for name in re.findall('<(?:method|signal|property) name="([^"]+)"', xml):
            assert re.search(rf"\b{name}[(;]", page), name


def test_options_are_those_of_the_program() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "nestd", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", text))
    section = _plain("nestd.8").split(".SH OPTIONS\n")[1].split(".SH")[0]
    shown = set(re.findall(r"^\.BI? \"?(--[a-z-]+)", section, re.MULTILINE))
    assert shown == options


def test_actions_are_those_of_polkit() -> None:
    section = _plain("nestd.8").split(".SH WHO MAY DO WHAT\n")[1].split(".SH")[0]
    shown = set(re.findall(r"^\.B (org\.nestd1\..*)$", section, re.MULTILINE))
    assert shown == {action.value for action in Action}


def test_promises_are_those_of_the_readme() -> None:
    readme = (MAN.parents[1] / "README.md").read_text()
    promised = _section(readme, "## What it promises", "## ")
    text = _section(_plain("nestd.8"), ".SS What nestd promises", ".SH ")
    text = re.sub(r"^\.IP (\d)\. 4$", r"\1.", text, flags=re.MULTILINE)
    words = re.sub(r"\\\([lr]q", '"', text).split()
    assert words == promised.split()
    assert "6." in words


def test_journal_is_that_of_the_events() -> None:
    section = _section(_plain("nestd.8"), ".SH JOURNAL", ".SH ")
    entries = dict(re.findall(r"^\.TP\n\.B (\w+)\n((?:[^.].*\n)+)", section, re.MULTILINE))
    told = {name: text for name, text in entries.items() if PREFIX in text}
    fields = {name: tuple(re.findall(rf"{PREFIX}\w+", text)) for name, text in told.items()}
    assert fields == {event.message_id: event.fields for event in Event}
    every = {field for event in Event for field in event.fields}
    assert entries.keys() - told.keys() == every


def test_sandbox_says_what_is_writable() -> None:
    unit = (MAN.parents[1] / "systemd" / "nestd.service").read_text()
    writable = set()
    for setting, base in (("ReadWritePaths", ""), ("Runtime", "/run/"), ("State", "/var/lib/")):
        for value in re.findall(rf"^{setting}(?:Directory)?=(.*)$", unit, re.MULTILINE):
            writable |= {base + word.lstrip("-") for word in value.split()}
    assert len(writable) == 5
    section = _section(_plain("nestd.8"), ".SH SANDBOX", "If kvm.conf")
    assert set(re.findall(r"^\.I (/\S+)", section, re.MULTILINE)) == writable


def test_environment_is_what_nestd_reads() -> None:
    section = _section(_plain("nestd.8"), ".SH ENVIRONMENT", ".SH ")
    read = {"DBUS_SYSTEM_BUS_ADDRESS"}  # by the library
    for path in (MAN.parents[1] / "nestd").rglob("*.py"):
        if "cli" not in path.parts:
            read |= set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', path.read_text()))
    assert set(re.findall("[A-Z]+_[A-Z_]+", section)) == read


def test_keys_are_those_of_the_settings() -> None:
    section = _plain("nestd.conf.5").split(".SH KEYS\n")[1].split(".SH")[0]
    keys = {line.split(" = ")[0] for line in settings._SPEC}
    top = re.sub(r"\.RS\n.*?\.RE\n", "", section, flags=re.DOTALL)
    assert set(re.findall(r"^\.B (\w+)$", top, re.MULTILINE)) == keys
    for line in settings._SPEC:
        for word in re.findall("'([^']*)'", line):
            assert f".B {word}\n" in section


def _section(page: str, title: str, end: str) -> str:
    return page.split(f"\n{title}\n")[1].split(f"\n{end}")[0] + "\n"


def _plain(page: str) -> str:
    return (MAN / page).read_text().replace("\\-", "-")
