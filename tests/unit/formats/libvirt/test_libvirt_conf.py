# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reader of libvirtd.conf: libvirt's recorded answers, and cases beyond them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from nestd.formats.libvirt.conf import MAX_BYTES, MAX_NESTING, Conf, ConfError, Kind, parse

VECTORS = json.loads(
    (Path(__file__).parents[2] / "data" / "libvirt-oracle-conf-9.0.0.json").read_text()
)


def get(conf: Conf, name: str) -> Any:
    try:
        if name == "log_level":
            return conf.get_unsigned(name)
        text = conf.get_string(name)
        return None if text is None else text.encode("utf-8", "surrogateescape").decode("latin-1")
    except ConfError as error:
        return {"error": f"internal error: FILE: {error.text}"}


def test_all_recorded_answers_are_there() -> None:
    assert len(VECTORS) == 78


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["input"]))
def test_recorded_answer_of_libvirt(vector: dict[str, Any]) -> None:
    data, expected = vector["input"].encode("latin-1"), vector["result"]
    if "error" in expected:
        with pytest.raises(ConfError) as caught:
            parse(data)
        words = f"FILE:{caught.value.line}: {caught.value.text}"
        assert expected["error"] == f"configuration file syntax error: {words}"
        return
    conf = parse(data)
    for name in ("log_filters", "log_outputs", "log_level"):
        assert get(conf, name) == expected.get(name)
    rewritten = parse(expected["rewrite"].encode("latin-1"))
    assert [(e.name, e.value) for e in rewritten.entries] == [
        (e.name, e.value) for e in conf.entries
    ]


def test_the_first_assignment_counts() -> None:
    conf = parse(b'log_filters = "1:a"\n\nlog_filters = "2:b"\n')
    assert conf.get_string("log_filters") == "1:a"
    assert [entry.line for entry in conf.entries] == [1, 3]
    assert conf.get_string("log_outputs") is None
    assert conf.get_unsigned("log_level") is None


def test_an_entry_says_where_it_is() -> None:
    data = b'# c\r\n x = """\n"""; y\t=\t[ 1,\n"a" ] # z\n z = -0'
    x, y, z = parse(data).entries
    assert [(e.name, e.line, e.kind) for e in (x, y, z)] == [
        ("x", 2, Kind.STRING),
        ("y", 3, Kind.LIST),
        ("z", 5, Kind.SIGNED),
    ]
    assert [data[e.value_start : e.value_end] for e in (x, y, z)] == [
        b'"""\n"""',
        b'[ 1,\n"a" ]',
        b"-0",
    ]
    assert data[y.start :].startswith(b"y\t=")


def test_lists_nest() -> None:
    (entry,) = parse(b"a=[1,[2,['x',],[]],-3]").entries
    assert entry.value == (1, (2, (b"x",), ()), -3)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551617", 1),
        (b"-9223372036854775808", -(2**63)),
        (b"-9223372036854775809", 2**63 - 1),
        (b"1" + b"0" * 64 + b"7", 7),
    ],
)
def test_a_number_beyond_64_bits_wraps_around(number: bytes, value: int) -> None:
    (entry,) = parse(b"n=" + number).entries
    assert entry.value == value


def test_a_string_that_is_not_utf8_keeps_its_bytes() -> None:
    text = parse(b'log_filters = "1:\xff\xc3\xa9"').get_string("log_filters")
    assert text == "1:\udcff\u00e9"
    assert text.encode("utf-8", "surrogateescape") == b"1:\xff\xc3\xa9"


def test_unterminated_triple_quotes_are_reported_where_libvirt_gives_up() -> None:
    # The last two bytes are ignored, so their line ends do not count.
    for data, line in ((b'x = """a\nb\n', 2), (b'x = """a\nb\n\n\n', 3), (b'x = """ab\nc', 1)):
        with pytest.raises(ConfError) as caught:
            parse(data)
        assert (caught.value.line, caught.value.text) == (line, "unterminated string")


def test_a_getter_error_names_the_line() -> None:
    conf = parse(b'\nlog_filters = 1\nlog_level = "x"\n')
    with pytest.raises(ConfError, match=r"^line 2: expected a string for 'log_filters' parameter$"):
        conf.get_string("log_filters")
    with pytest.raises(ConfError, match=r"^line 3: expected an unsigned integer"):
        conf.get_unsigned("log_level")


def test_the_largest_file_is_read_and_a_larger_one_refused_at_once() -> None:
    line = b"# " + b"x" * 61 + b"\n"
    data = b'log_filters = "1:qemu"#' + line * (MAX_BYTES // len(line))
    assert parse(data[:MAX_BYTES]).get_string("log_filters") == "1:qemu"
    started = time.process_time()
    with pytest.raises(ConfError, match=r"^the file is larger than 10485760 bytes") as caught:
        parse(data)
    assert caught.value.line == 0
    assert time.process_time() - started < 0.1


def test_lists_deeper_than_libvirt_s_stack_are_refused() -> None:
    deep = MAX_NESTING - 1
    assert parse(b"a=" + b"[" * deep + b"]" * deep).first("a") is not None
    with pytest.raises(ConfError, match="nested too deep"):
        parse(b"a=" + b"[" * 10**6)


def test_large_nonsense_is_answered_soon() -> None:
    started = time.process_time()
    assert parse(b"#\n" * 10**6).entries == ()
    for data in (b"a=[" + b"1," * 10**5, b"[" * 10**6, b"\n" * 10**6, b'"""' * 10**6):
        with pytest.raises(ConfError):
            parse(data)
    assert time.process_time() - started < 3
