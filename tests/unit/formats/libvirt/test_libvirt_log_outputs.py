# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log outputs: libvirt's recorded answers, what may be written, and adding one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from nestd.formats.libvirt.log_items import Level
from nestd.formats.libvirt.log_outputs import (
    DEFAULT,
    Destination,
    InvalidOutput,
    Output,
    add,
    canonical,
    file_paths,
    parse_readback,
    parse_strict,
)

DATA = Path(__file__).parents[2] / "data"
LIBVIRT_9 = json.loads((DATA / "libvirt-oracle-log-9.0.0.json").read_text())["outputs"]
LIBVIRT_7 = json.loads((DATA / "libvirt-oracle-log-7.0.0.json").read_text())["outputs"]


def test_all_recorded_answers_are_there() -> None:
    assert (len(LIBVIRT_9), len(LIBVIRT_7)) == (28, 28)


@pytest.mark.parametrize("vector", LIBVIRT_9, ids=lambda vector: ascii(vector["input"]))
def test_readback_understands_what_libvirt_accepts(vector: dict[str, Any]) -> None:
    if not vector["ok"] and not vector["error"].startswith("failed to open"):
        with pytest.raises(InvalidOutput) as caught:
            parse_readback(vector["input"])
        assert f"utput '{caught.value.item}'" in vector["error"]
        return
    outputs = parse_readback(vector["input"], "/CWD")
    if vector["ok"]:
        assert canonical(outputs) == (vector["readback"] or "").replace("CWD", "/CWD")
    else:
        assert file_paths(outputs)[0].strip("/") in vector["error"]


@pytest.mark.parametrize("vectors", [LIBVIRT_7, LIBVIRT_9], ids=["7.0.0", "9.0.0"])
def test_what_may_be_written_means_the_same_to_all_versions(vectors: list[dict[str, Any]]) -> None:
    accepted = 0
    for vector in vectors:
        try:
            outputs = parse_strict(vector["input"])
        except InvalidOutput:
            continue
        assert vector["ok"] or vector["error"].startswith("failed to open")
        if vector["ok"]:
            assert canonical(outputs) == vector["readback"] == vector["input"]
            accepted += 1
    assert accepted == 4


def test_parse_strict() -> None:
    assert parse_strict("") == ()
    text = "1:file:/var/log/libvirt/libvirtd.log 2:syslog:libvirtd 3:journald 4:stderr"
    outputs = parse_strict(text)
    assert outputs == (
        Output(Level.DEBUG, Destination.FILE, "/var/log/libvirt/libvirtd.log"),
        Output(Level.INFO, Destination.SYSLOG, "libvirtd"),
        Output(Level.WARNING, Destination.JOURNALD),
        Output(Level.ERROR, Destination.STDERR),
    )
    assert canonical(outputs) == text
    assert file_paths(outputs) == ("/var/log/libvirt/libvirtd.log",)


@pytest.mark.parametrize(
    ("text", "item", "number", "offset", "rule"),
    [
        ("3:journald 5:stderr", "5:stderr", 2, 11, "the level must be"),
        ("journald", "journald", 1, 0, "an output is LEVEL:journald,"),
        ("1:FILE:/x", "1:FILE:/x", 1, 0, "an output is LEVEL:journald,"),
        ("1:", "1:", 1, 0, "an output is LEVEL:journald,"),
        ("1:stderr:x", "1:stderr:x", 1, 0, "is LEVEL:stderr, with no other colon"),
        ("1:syslog", "1:syslog", 1, 0, "is LEVEL:syslog:NAME, with no other colon"),
        ("1:syslog:", "1:syslog:", 1, 0, "NAME is made of"),
        ("1:syslog:a/b", "1:syslog:a/b", 1, 0, "NAME is made of"),
        ("1:file", "1:file", 1, 0, "is LEVEL:file:/PATH, with no other colon"),
        ("1:file:/tmp/a:b", "1:file:/tmp/a:b", 1, 0, "with no other colon"),
        ("1:file:", "1:file:", 1, 0, "the path must be the absolute one of a file"),
        ("1:file:/", "1:file:/", 1, 0, "the path must be the absolute one of a file"),
        ("1:file:x.log", "1:file:x.log", 1, 0, "the path must be the absolute one of a file"),
        ("1:file:/x/", "1:file:/x/", 1, 0, "the path must have no empty part"),
        ("1:file://x", "1:file://x", 1, 0, "the path must have no empty part"),
        ("1:file:/x//y", "1:file:/x//y", 1, 0, "the path must have no empty part"),
        ("1:file:/x/../y", "1:file:/x/../y", 1, 0, "no '.' and no '..'"),
        ("1:file:/./y", "1:file:/./y", 1, 0, "no '.' and no '..'"),
        ('1:file:/"', '1:file:/"', 1, 0, "'\"' is none of them"),
        ("1:file:/a\nb", "1:file:/a\nb", 1, 0, "'\\n' is none of them"),
        ("1:stderr\t2:journald", "1:stderr\t2:journald", 1, 0, "an output is LEVEL:journald,"),
        ("1:stderr 2:stderr", "2:stderr", 2, 9, "an earlier output goes to the same place"),
        ("1:stderr  2:journald", "", 2, 9, "exactly one blank"),
        ("  ", "", 1, 0, "exactly one blank"),
    ],
)
def test_a_bad_output_is_named_with_its_place_and_rule(
    text: str, item: str, number: int, offset: int, rule: str
) -> None:
    with pytest.raises(InvalidOutput) as caught:
        parse_strict(text)
    error = caught.value
    assert (error.item, error.number, error.offset) == (item, number, offset)
    assert rule in error.rule
    assert str(error).startswith(f"output {number}, {item!a}, at character {offset + 1}: ")


def test_a_megabyte_is_refused_at_once() -> None:
    started = time.process_time()
    with pytest.raises(InvalidOutput, match=r"^the outputs: the text has 1000007 characters"):
        parse_strict("1:file:" + "/" * 10**6)
    assert time.process_time() - started < 0.01


def test_of_outputs_to_one_place_the_last_one_counts() -> None:
    text = "1:stderr 4:file:a 3:syslog:a  2:stderr 1:file:/b/../a 3:syslog:b "
    assert canonical(parse_readback(text)) == "3:syslog:a 2:stderr 1:file:/a 3:syslog:b"


def test_add_to_what_is_there() -> None:
    debug = Output(Level.DEBUG, Destination.FILE, "/var/log/libvirt/libvirtd.log")
    assert canonical(add((), debug)) == "3:journald 1:file:/var/log/libvirt/libvirtd.log"
    assert canonical(DEFAULT) == "3:journald"
    there = parse_strict("3:syslog:libvirtd 3:file:/var/log/libvirt/libvirtd.log 4:stderr")
    added = add(there, debug)
    assert canonical(added) == "3:syslog:libvirtd 1:file:/var/log/libvirt/libvirtd.log 4:stderr"
    assert add(added, there[1]) == added
    assert add(there[:1], debug) == (there[0], debug)
