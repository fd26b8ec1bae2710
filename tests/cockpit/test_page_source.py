# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page's source: its types, its translations, and what the built page contains."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from page import SOURCE

pytestmark = pytest.mark.cockpit

LANGUAGES = ("de", "zh_CN")
_STRING = r'"((?:[^"\\]|\\.)*)"'


def test_types_are_right(dist: Path) -> None:
    done = subprocess.run(["npx", "tsc", "--noEmit"], cwd=SOURCE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _sources() -> list[Path]:
    return sorted((SOURCE / "src").rglob("*.ts*"))


def test_no_type_is_any_and_no_file_is_long() -> None:
    for path in _sources():
        text = path.read_text()
        assert not re.search(r"[:<|(,] *any\b(?! )|as any\b|@ts-", text), path
        assert len(text.splitlines()) < 400, path
        assert "SPDX-License-Identifier: LGPL-2.1-or-later" in text, path


def _texts() -> set[tuple[str, ...]]:
    """The page's translatable texts: (text,), or (singular, plural)."""
    label = json.loads((SOURCE / "manifest.json").read_text())["tools"]["index"]["label"]
    found: set[tuple[str, ...]] = {(label,)}
    for path in _sources():
        text = path.read_text()
        calls = len(re.findall(r"(?<![\w.])_\(", text))
        single = re.findall(rf"(?<![\w.])_\(\s*{_STRING}\s*\)", text)
        assert len(single) == calls, f"{path}: what is translated has to be one literal string"
        plural = re.findall(rf"(?<![\w.])ngettext\(\s*{_STRING}\s*,\s*{_STRING}", text)
        found |= {(json.loads(f'"{each}"'),) for each in single} | set(plural)
    return found


def _catalog(language: str) -> dict[tuple[str, ...], list[str]]:
    text = (SOURCE / f"po/{language}.po").read_text()
    entries = {}
    for block in text.split("\n\n")[1:]:
        ids = re.findall(rf"^msgid(?:_plural)? {_STRING}$", block, re.MULTILINE)
        words = re.findall(rf"^msgstr(?:\[\d\])? {_STRING}$", block, re.MULTILINE)
        assert "fuzzy" not in block, block
        if ids:
            entries[tuple(json.loads(f'"{each}"') for each in ids)] = words
    return entries


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_missing_or_left_over(language: str) -> None:
    catalog = _catalog(language)
    assert set(catalog) == _texts()
    for texts, words in catalog.items():
        assert len(words) == (len(texts) if language == "de" else 1), texts
        for each in words:
            assert each, texts
            assert set(re.findall(r"\$\d", each)) == set(re.findall(r"\$\d", texts[0])), texts


def test_built_page_is_complete(dist: Path) -> None:
    names = {path.name for path in dist.iterdir()}
    assert names >= {"index.html", "index.js", "index.css", "manifest.json", "LICENSES.txt"}
    assert names >= {f"po.{language}.js" for language in LANGUAGES}
    licences = (dist / "LICENSES.txt").read_text()
    for package in ("react 18", "react-dom 18", "@patternfly/react-core 6", "OFL-1.1"):
        assert package in licences
    fonts = re.findall(r"url\((?:\"|')?\./(fonts/[^)\"']+)", (dist / "index.css").read_text())
    assert fonts
    assert all((dist / font).exists() for font in fonts)


def test_rpm_says_what_is_bundled(dist: Path) -> None:
    text = (dist / "LICENSES.txt").read_text()
    bundled = re.findall(r"^(\S+) (\d\S*): (\S+)$", text, re.MULTILINE)
    spec = (SOURCE.parent / "nestd.spec").read_text()
    said = re.findall(r"^Provides: +bundled\(npm\((\S+)\)\) = (\S+)$", spec, re.MULTILINE)
    assert sorted(said) == sorted((name, version) for name, version, _ in bundled)
    [licences] = re.findall(r"^License: +(.* AND OFL-1\.1)$", spec, re.MULTILINE)
    assert {licence for *_, licence in bundled} <= set(licences.split(" AND "))
    assert "SIL OPEN FONT LICENSE" in text


def test_page_asks_no_other_host_for_anything(dist: Path) -> None:
    for name in ("index.html", "index.css", "manifest.json"):
        assert "://" not in re.sub(r"http://www\.w3\.org/\S+", "", (dist / name).read_text()), name
