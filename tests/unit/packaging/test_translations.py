# SPDX-License-Identifier: LGPL-2.1-or-later
"""polkit's prompts and the journal catalog in other languages: complete and usable."""

from __future__ import annotations

import re
import runpy
import subprocess
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from xml.dom import minidom

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
SYSTEMD = CHECKOUT / "systemd"
GENERATE: dict[str, Any] = runpy.run_path(str(CHECKOUT / "packaging" / "po" / "generate.py"))
LANGUAGES = ("de", "zh_CN")
# Placeholders and commands: they must be the same in every language as in English.
KEPT = re.compile(r"\$\(\w+\)|@\w+@|/(?:etc|run)/[\w./]+|--[a-z-]+|on_drift|systemctl \w+ nestd")


def test_all_languages_are_here() -> None:
    assert GENERATE["LANGUAGES"] == LANGUAGES
    assert {path.stem for path in (CHECKOUT / "packaging" / "po").glob("*.po")} == set(LANGUAGES)
    assert len(GENERATE["messages"]()) > 50


def test_the_template_has_every_message() -> None:
    assert GENERATE["TEMPLATE"].read_text() == GENERATE["template"]()


@pytest.mark.needs("msgfmt")
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_missing(language: str) -> None:
    known = GENERATE["translations"](language)
    assert [text for text, _ in GENERATE["messages"]() if text not in known] == []
    assert (CHECKOUT / f"packaging/po/{language}.po").read_text() == GENERATE["template"](
        language, known
    )
    for text, translation in known.items():
        assert Counter(KEPT.findall(translation)) == Counter(KEPT.findall(text)), translation


@pytest.mark.needs("msgfmt")
def test_what_is_installed_is_made_from_the_translations() -> None:
    known = {language: GENERATE["translations"](language) for language in LANGUAGES}
    assert GENERATE["POLICY"].read_text() == GENERATE["policy"](known)
    for language, translated in known.items():
        path = SYSTEMD / f"nestd.{language}.catalog"
        assert path.read_text() == GENERATE["catalog"](language, translated)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalog_has_the_entries_of_the_english_one(language: str) -> None:
    english = (SYSTEMD / "nestd.catalog").read_text()
    text = (SYSTEMD / f"nestd.{language}.catalog").read_text()
    for kept in ("^-- .*$", "^Defined-By: .*$", "^Documentation: .*$", "^    .*$"):
        assert re.findall(kept, text, re.M) == re.findall(kept, english, re.M)
    assert len(re.findall("^Subject: ", text, re.M)) == len(re.findall("^-- ", english, re.M))
    for line in text.splitlines():
        if line.startswith(("Subject: ", "#")):
            continue
        # The length of placeholders' values is unknown.
        wide = sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line)
        assert wide <= 80, line


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_prompt_is_there_in_each_language(language: str) -> None:
    for action in minidom.parse(str(SYSTEMD / "org.nestd1.policy")).getElementsByTagName("action"):
        for tag in ("description", "message"):
            texts = {
                node.getAttribute("xml:lang"): node.firstChild.data
                for node in action.getElementsByTagName(tag)
            }
            assert texts.keys() == {"", *LANGUAGES}
            assert len(set(texts.values())) == len(texts)


@pytest.mark.needs("journalctl")
def test_journalctl_takes_the_catalogs(tmp_path: Path) -> None:
    directory = tmp_path / "usr/lib/systemd/catalog"
    directory.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    for path in SYSTEMD.glob("*.catalog"):
        (directory / path.name).write_text(path.read_text())
    command = ["journalctl", f"--root={tmp_path}", "--update-catalog"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    database = (
        (tmp_path / "var/lib/systemd/catalog/database").read_bytes().decode("utf-8", "replace")
    )
    for words in ("Keine virtuelle Maschine lief.", "当时没有虚拟机在运行。", "No virtual machine"):
        assert words in database
