# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log's events: each has the fields that it declares, and a catalog entry."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nestd
from nestd.core.journal_events import PREFIX, Event, about

CATALOG = Path(__file__).parents[3] / "systemd" / "nestd.catalog"


def calls() -> Iterator[tuple[str, str, list[str]]]:
    """All calls of about() in nestd: where, which event, which fields."""
    for path in sorted(Path(nestd.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "about":
                assert isinstance(node.args[0], (ast.Attribute, ast.Name))
                name = getattr(node.args[0], "attr", "")
                yield path.name, name, [str(each.arg) for each in node.keywords]


def test_every_event_is_told_somewhere_with_its_fields() -> None:
    told = {}
    for where, name, fields in calls():
        names = [name] if name else ["RELOAD_DONE", "RELOAD_REFUSED", "RELOAD_ROLLED_BACK"]
        for each in [*names, *([] if name else ["RELOAD_FAILED"])]:
            told[each] = tuple(PREFIX + field.upper() for field in fields)
            assert told[each] == Event[each].fields, (where, each)
    assert told.keys() == {event.name for event in Event}


def test_identities_are_unique() -> None:
    identities = [event.message_id for event in Event]
    assert len(set(identities)) == len(identities)
    assert all(re.fullmatch("[0-9a-f]{32}", identity) for identity in identities)


def test_fields_are_text() -> None:
    fields = about(Event.RELOAD_DONE, module="kvm", job=7, caller_uid=0)["journal_fields"]
    assert fields == {
        "MESSAGE_ID": Event.RELOAD_DONE.message_id,
        "NESTD_MODULE": "kvm",
        "NESTD_JOB": "7",
        "NESTD_CALLER_UID": "0",
    }


@pytest.fixture(scope="module")
def catalog() -> dict[str, str]:
    entries = re.split(r"^-- ([0-9a-f]{32})$", CATALOG.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(entries[::2], entries[1::2]))


def test_the_catalog_explains_every_event(catalog: dict[str, str]) -> None:
    assert catalog.keys() == {event.message_id for event in Event}


@pytest.mark.parametrize("event", Event)
def test_catalog_entries(catalog: dict[str, str], event: Event) -> None:
    header, _, text = catalog[event.message_id].strip().partition("\n\n")
    keys = [line.partition(": ")[0] for line in header.splitlines()]
    assert keys[:2] == ["Subject", "Defined-By"]
    assert text
    used = set(re.findall("@([A-Z_]+)@", header + text))
    assert used <= set(event.fields)
    assert all(len(line) <= 80 for line in text.splitlines())
