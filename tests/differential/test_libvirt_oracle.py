# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's formats, compared with the installed libvirt's own parsers.

NESTD_LIBVIRT_EXAMPLES sets how many inputs each test generates (500; a full run takes 100000, and a
tenth of them for augeas, which is slow), and NESTD_LIBVIRT_SEED selects them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import libvirt_inputs
import pytest

from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.conf import Conf, ConfError, Kind, parse
from nestd.formats.libvirt.conf_edit import set_string
from nestd.formats.libvirt.log_items import InvalidItem

pytestmark = pytest.mark.libvirt

EXAMPLES = int(os.environ.get("NESTD_LIBVIRT_EXAMPLES", "500"))
SEED = int(os.environ.get("NESTD_LIBVIRT_SEED", "1"))
BATCH = 1000
KINDS = {1: Kind.SIGNED, 2: Kind.UNSIGNED, 3: Kind.STRING, 4: Kind.LIST}
NAMES = ("log_filters", "log_outputs")


class Oracle:
    """A child process that asks libvirt or augeas."""

    def __init__(self, directory: Path, what: str) -> None:
        program = str(Path(__file__).with_name("libvirt_oracle.py"))
        self.directory = str(directory)
        self.child = subprocess.Popen(
            [sys.executable, program, self.directory, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libvirt logs all of its errors there
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def ask(self, question: str, inputs: list[Any]) -> list[Any]:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps({"ask": question, "inputs": inputs}).encode() + b"\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, f"the oracle died (status {self.child.wait()}) over one of {inputs}"
        answers: list[Any] = json.loads(line)
        assert len(answers) == len(inputs)
        return answers

    def close(self) -> None:
        self.child.communicate(timeout=30)


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    oracle = Oracle(tmp_path, "libvirt")
    yield oracle
    oracle.close()


@pytest.fixture
def augeas(tmp_path: Path) -> Iterator[Oracle]:
    oracle = Oracle(tmp_path, "augeas")
    yield oracle
    oracle.close()


def batches(make: Callable[[Random], Any], count: int = EXAMPLES) -> Iterator[list[Any]]:
    random = Random(SEED)
    for start in range(0, count, BATCH):
        yield [make(random) for _ in range(min(BATCH, count - start))]


def wire(text: str) -> str:
    """A text as sent through the pipe: its UTF-8 bytes as latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def unwired(text: str | None) -> str | None:
    return text and text.encode("latin-1").decode("utf-8", "surrogateescape")


def at_its_place(error: InvalidItem, text: str) -> bool:
    start = text[error.offset :]
    return (
        start.split(" ")[0] == error.item and len(text[: error.offset].split(" ")) >= error.number
    )


def filters_agree(text: str, answer: dict[str, Any]) -> bool:
    words = unwired(answer.get("error")) or ""
    try:
        lenient = log_filters.parse_readback(text)
    except log_filters.InvalidFilter as error:
        pattern = error.item.partition(":")[2].partition(":")[0]
        blamed = (f"for filter '{error.item}'", f"Invalid match string '{pattern}'")
        return words.endswith(blamed) and at_its_place(error, text)
    readback = unwired(answer.get("readback")) or ""
    levels = "".join(f"{one.level:d}" for one in lenient)
    if words or "".join(item[0] for item in readback.split(" ")[:-1]) != levels:
        return False
    try:
        strict = log_filters.parse_strict(text)
    except log_filters.InvalidFilter:
        strict = lenient
    return strict == lenient == log_filters.parse_readback(readback)


def test_filters_mean_what_libvirt_takes_them_for(oracle: Oracle) -> None:
    for texts in batches(libvirt_inputs.filters):
        answers = oracle.ask("filters", [wire(text) for text in texts])
        assert [case for case in zip(texts, answers) if not filters_agree(*case)] == []


def test_strict_filters_are_accepted_and_read_back_as_meant(oracle: Oracle) -> None:
    for texts in batches(libvirt_inputs.strict_filters):
        parsed = [log_filters.parse_strict(text) for text in texts]
        for sent in (texts, [log_filters.canonical(filters) for filters in parsed]):
            answers = oracle.ask("filters", sent)
            got = [log_filters.parse_readback(answer["readback"]) for answer in answers]
            assert got == parsed


def test_levels_of_categories_are_those_that_libvirt_applies(oracle: Oracle) -> None:
    def pair(random: Random) -> tuple[str, str]:
        return libvirt_inputs.strict_filters(random), libvirt_inputs.category(random)

    for pairs in batches(pair):
        ours = [
            log_filters.effective(log_filters.parse_strict(text), category)
            for text, category in pairs
        ]
        answers = oracle.ask("effective", pairs)
        wrong = [case for case in zip(pairs, ours, answers) if case[1] != case[2]]
        assert not wrong


def outputs_agree(text: str, answer: dict[str, Any], directory: str) -> bool:
    words = unwired(answer.get("error")) or ""
    not_opened = words.startswith("failed to open ")
    try:
        lenient = log_outputs.parse_readback(text, directory)
    except log_outputs.InvalidOutput as error:
        blamed = (
            not_opened or words.endswith(f"utput '{error.item}'") or f"'{error.item}' " in words
        )
        return bool(words) and blamed and at_its_place(error, text)
    readback = unwired(answer.get("readback")) or ""
    if not text:  # a program without a default keeps the previous value
        return not lenient
    if not (not_opened or (not words and log_outputs.canonical(lenient) == readback)):
        return False
    try:
        canonical = log_outputs.canonical(lenient)
        return log_outputs.parse_strict(text) == lenient and " ".join(text.split()) == canonical
    except log_outputs.InvalidOutput:
        return True


def test_outputs_mean_what_libvirt_takes_them_for(oracle: Oracle) -> None:
    for texts in batches(lambda random: libvirt_inputs.outputs(random, oracle.directory)):
        answers = oracle.ask("outputs", [wire(text) for text in texts])
        cases = zip(texts, answers)
        assert [case for case in cases if not outputs_agree(*case, oracle.directory)] == []


def test_strict_outputs_are_accepted_and_read_back_as_meant(oracle: Oracle) -> None:
    for texts in batches(lambda random: libvirt_inputs.strict_outputs(random, oracle.directory)):
        parsed = [log_outputs.parse_strict(text) for text in texts]
        answers = oracle.ask("outputs", texts)
        assert [answer["readback"] for answer in answers] == texts
        assert [log_outputs.parse_readback(answer["readback"]) for answer in answers] == parsed


def comparable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return [comparable(item) for item in value] if isinstance(value, tuple) else value


def get(conf: Conf, name: str) -> Any:
    try:
        if name == "log_level":
            return conf.get_unsigned(name)
        text = conf.get_string(name)
        return None if text is None else wire(text)
    except ConfError as error:
        return {"error": f"internal error: FILE: {error.text}"}


def says(data: bytes) -> dict[str, Any]:
    """What nestd reads from a file, in the oracle's form."""
    try:
        conf = parse(data)
    except ConfError as error:
        return {"error": f"configuration file syntax error: FILE:{error.line}: {error.text}"}
    types = {kind: number for number, kind in KINDS.items()}
    return {
        "entries": [[e.name, types[e.kind], comparable(e.value)] for e in conf.entries],
        "get": {name: get(conf, name) for name in (*NAMES, "log_level")},
    }


def test_files_say_what_libvirt_reads_in_them(oracle: Oracle) -> None:
    readable = 0
    for files in batches(libvirt_inputs.conf):
        answers = oracle.ask("conf", [data.decode("latin-1") for data in files])
        for data, answer in zip(files, answers):
            ours = says(data)
            assert ours == answer, data
            readable += "entries" in ours
    assert EXAMPLES / 4 < readable < EXAMPLES  # the inputs contain both kinds


def edits(random: Random, make: Callable[[Random], bytes]) -> tuple[bytes, str, str | None]:
    """A readable file, a name and the value to set."""
    while True:
        data = make(random)
        if "error" not in says(data):
            break
    value = libvirt_inputs.strict_filters(random) if random.random() < 0.7 else None
    return data, random.choice(NAMES), value


def test_edited_files_are_read_by_libvirt_as_meant(oracle: Oracle) -> None:
    for cases in batches(lambda random: edits(random, libvirt_inputs.conf)):
        edited = [set_string(*case) for case in cases]
        for (data, name, value), after, answer in zip(
            cases, edited, oracle.ask("conf", [data.decode("latin-1") for data in edited])
        ):
            assert "entries" in answer, (data, name, value, after)
            assert answer["get"][name] == value, (data, name, value, after)
            others = [entry for entry in says(data)["entries"] if entry[0] != name]
            assert [e for e in answer["entries"] if e[0] != name] == others, (data, after)
            if parse(data).first(name) is None:
                assert set_string(after, name, None) == data


def test_edited_files_are_read_by_augeas_if_they_were_before(augeas: Oracle) -> None:
    accepted, count = 0, min(EXAMPLES, max(500, EXAMPLES // 10))
    for cases in batches(lambda random: edits(random, libvirt_inputs.lens_conf), count):
        before = augeas.ask("augeas", [case[0].decode("latin-1") for case in cases])
        kept = [case for case, answer in zip(cases, before) if answer["error"] is None]
        edited = [set_string(*case) for case in kept]
        after = augeas.ask("augeas", [data.decode("latin-1") for data in edited])
        for (data, name, value), result, answer in zip(kept, edited, after):
            assert answer["error"] is None, (data, result)
            if len([e for e in parse(result).entries if e.name == name]) < 2:
                assert answer[name] == value, (data, result)
        accepted += len(kept)
    assert accepted > count / 2
