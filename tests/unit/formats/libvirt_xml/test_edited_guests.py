# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nesting denied to guests of every kind and allowed again: libvirt's schema accepts the result."""

from __future__ import annotations

import difflib
import re
import subprocess
from pathlib import Path

import pytest

from nestd.formats.libvirt_xml.nesting_edit import FEATURES, NotChangeable, changed

GUESTS = sorted((Path(__file__).parents[2] / "guests").glob("*.xml"))
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
_HEAD = re.compile(r"<!-- host: (\w+);.*-->")


def feature(text: str) -> str:
    """The feature that the guest needs, "" for kinds of hosts without one in the guest's XML."""
    head = _HEAD.match(text)
    assert head
    return FEATURES.get(head.group(1), "")


def edited(text: str) -> list[str]:
    """The XML with nesting denied, then allowed; fewer if the XML cannot express it."""
    try:
        denied = changed(text, feature(text), give=False)
        return [denied, changed(denied, feature(text), give=True)]
    except NotChangeable:
        return []


CHANGEABLE = [
    path for path in GUESTS if feature(path.read_text()) and len(edited(path.read_text())) == 2
]


def test_guests_of_all_kinds_can_be_changed() -> None:
    kinds = {feature(path.read_text()) for path in CHANGEABLE}
    assert kinds == set(FEATURES.values())
    assert len(CHANGEABLE) >= 35


@pytest.mark.parametrize("path", CHANGEABLE, ids=lambda path: path.stem)
def test_only_lines_of_the_feature_change(path: Path) -> None:
    before = path.read_text()
    name = feature(before)
    for after in edited(before):
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        changes = [line for line in lines if line[:3] not in ("---", "+++", "@@ ")]
        # An empty element gets an end tag, and <features> may be new.
        around = ("<cpu ", "</cpu>", "<features>", "</features>", "<features/>")
        assert all(name in line or line[1:].strip().startswith(around) for line in changes), changes
        assert len(changes) <= 4, changes


@pytest.mark.libvirt
@pytest.mark.needs("xmllint")
def test_libvirts_schema_takes_them(tmp_path: Path) -> None:
    files = []
    for path in CHANGEABLE:
        if "schema:" in path.read_text().splitlines()[0]:
            continue  # newer than the schema, or invalid from the start
        for number, text in enumerate(edited(path.read_text())):
            files.append(tmp_path / f"{path.stem}-{number}.xml")
            files[-1].write_text(text)
    assert len(files) >= 60
    command = ["xmllint", "--noout", "--relaxng", str(SCHEMA), *map(str, files)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
