# SPDX-License-Identifier: LGPL-2.1-or-later
"""Marshalling values to bytes, and back."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_client import MEMBER, PATH, SENDER, SIGNATURE, array, message, string
from toy_process import service_environment

import nestd
from nestd.dbus.connection import protocol
from nestd.dbus.connection.messages import (
    METHOD_CALL,
    SIGNAL,
    ProtocolError,
    read_known_fields,
    read_size,
)
from nestd.dbus.values import Variant

PACKAGE = Path(nestd.__file__).parent
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20)


def integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << bits - 1) if signed else 0
    return st.integers(low, low + (1 << bits) - 1)


BASIC: dict[str, st.SearchStrategy[typing.Any]] = {
    "y": integers(8, False),
    "b": st.booleans(),
    "n": integers(16, True),
    "q": integers(16, False),
    "i": integers(32, True),
    "u": integers(32, False),
    "x": integers(64, True),
    "t": integers(64, False),
    "d": st.floats(allow_nan=False),
    "s": TEXT,
    "o": st.lists(st.sampled_from("aB9_"), max_size=3).map(lambda names: "/" + "/".join(names)),
}


@st.composite
def typed_values(draw: st.DrawFn, depth: int = 2) -> tuple[str, typing.Any]:
    """A type and a value of it, as received."""
    kind = draw(st.sampled_from(["basic", "basic", "array", "bytes", "dict", "struct", "variant"]))
    if kind == "bytes":
        return "ay", draw(st.binary(max_size=20))
    if kind == "basic" or not depth:
        signature = draw(st.sampled_from(sorted(BASIC)))
        return signature, draw(BASIC[signature])
    if kind == "dict":
        key = draw(st.sampled_from(sorted(set(BASIC) - {"d"})))
        signature, value = draw(typed_values(depth - 1))
        keys = draw(st.lists(BASIC[key], unique=True, max_size=3))
        return f"a{{{key}{signature}}}", dict.fromkeys(keys, value)
    if kind == "struct":
        members = draw(st.lists(typed_values(depth - 1), min_size=1, max_size=3))
        return f"({''.join(it for it, _ in members)})", tuple(value for _, value in members)
    signature, value = draw(typed_values(depth - 1))
    if kind == "variant":
        return "v", Variant(signature, value)
    return ("ay", b"") if signature == "y" else ("a" + signature, [value] * draw(st.integers(0, 3)))


def sent_and_received(signature: str, args: list[object]) -> tuple[object, ...]:
    out = protocol.encode_signal(7, "/a/b", "a.b", "C", signature, args)
    header = protocol.read_header(out.data)
    assert (header.path, header.interface, header.member) == ("/a/b", "a.b", "C")
    assert (header.serial, header.signature, header.wants_reply) == (7, signature, False)
    size = read_size(out.data)
    assert size.header + size.body == len(out.data)
    return protocol.read_body(out.data, header)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(typed_values(), max_size=3).filter(lambda it: sum(len(s) for s, _ in it) < 250))
def test_what_is_sent_is_what_arrives(values: list[tuple[str, typing.Any]]) -> None:
    args = [value for _, value in values]
    assert sent_and_received("".join(signature for signature, _ in values), args) == tuple(args)


def test_tuples_and_lists_are_the_same_on_the_way_out() -> None:
    assert sent_and_received("a(su)(as)", [(["x", 1], ("y", 2)), [("z",)]]) == (
        [("x", 1), ("y", 2)],
        (["z"],),
    )


@pytest.mark.parametrize("text", ["\0", "a\0b", "\udcff", "\ud800x"])
def test_text_that_the_bus_would_not_bear_is_replaced(text: str) -> None:
    (received,) = sent_and_received("s", [text])
    assert "\ufffd" in str(received)


@pytest.mark.parametrize(
    ("signature", "value"),
    [
        ("s", 1),
        ("s", None),
        ("u", -1),
        ("u", 1 << 32),
        ("u", "1"),
        ("b", 1),
        ("o", "no/path"),
        ("o", "/a\n"),
        ("o", "/a/"),
        ("g", "!"),
        ("as", "text"),
        ("a{ss}", [("a", "b")]),
        ("a{ss}", {"a": 1}),
        ("ay", [1, 2]),
        ("(ss)", ("one",)),
        ("v", "bare"),
        ("v", Variant("u", "x")),
        ("ss", "too few"),
    ],
)
def test_values_of_another_type_are_refused(signature: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        protocol.encode_signal(1, "/", "a.b", "C", signature, [value])


def test_descriptors_of_a_message_that_is_not_sent_are_closed() -> None:
    reader, writer = os.pipe()
    with pytest.raises(ValueError, match="cannot be sent"):
        protocol.encode_signal(1, "/", "a.b", "C", "hhs", [reader, writer, 5])
    for descriptor in (reader, writer):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        protocol.encode_signal(1, "/", "a.b", "C", "h", [reader])


def test_property_is_no_descriptor() -> None:
    with pytest.raises(ValueError, match="descriptor"):
        protocol.check_value("h", 0)


def test_copy_of_a_property_does_not_change_with_it() -> None:
    value = [["x"]]
    packed = protocol.check_value("aas", value)
    value[0].append("y")
    assert packed == protocol.check_value("aas", [["x"]])
    assert packed != protocol.check_value("aas", value)


def test_big_endian_is_understood() -> None:
    body = struct.pack(">I", 3) + b"abc\0" + struct.pack(">I", 5)
    fields = b"\1\1o\0" + struct.pack(">I", 2) + b"/a\0" + bytes(5)
    fields += b"\3\1s\0" + struct.pack(">I", 1) + b"M\0" + bytes(6) + b"\10\1g\0\2su\0"
    head = struct.pack(">cBBBIII", b"B", 1, 5, 1, len(body), 9, len(fields))
    data = head + fields + body
    header = protocol.read_header(data)
    assert (header.path, header.member, header.serial) == ("/a", "M", 9)
    assert (header.wants_reply, header.interactive) == (False, True)
    assert protocol.read_body(data, header) == ("abc", 5)


def received(signature: str, body: bytes, kind: int = METHOD_CALL) -> tuple[object, ...]:
    data = message(kind, 1, {PATH: "/", MEMBER: "M", SENDER: ":1.1", SIGNATURE: signature}, body)
    return protocol.read_body(data, protocol.read_header(data))


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("s", struct.pack("<I", 1000) + b"x\0"),
        ("s", struct.pack("<I", 2) + b"\xff\xff\0"),
        ("u", b"\1"),
        ("as", struct.pack("<I", 1 << 30)),
        ("v", b"\2ss\0" + bytes(20)),
        ("v", b"\0\0"),
        ("v", b"\1z\0" + bytes(20)),
        ("(s", bytes(8)),
        ("s", b""),
        ("v", b"\1v\0" * 5000 + b"\1y\0\7"),
    ],
)
def test_bad_bodies_are_protocol_errors(signature: str, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        received(signature, body)


def test_a_key_that_no_dictionary_takes_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        received("a{vs}", array(b"\2as\0" + bytes(4) + string("x"), 8), SIGNAL)


def test_values_of_a_signal_are_counted() -> None:
    items = protocol.MAX_SIGNAL_VALUES - 1
    assert received("au", array(bytes(4 * items)), SIGNAL) == ([0] * items,)
    with pytest.raises(ProtocolError):
        received("au", array(bytes(4 * items + 4)), SIGNAL)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(typed_values(depth=4).filter(lambda value: len(value[0]) < 250))
def test_containers_in_variants_of_a_call_are_passed_over(value: tuple[str, typing.Any]) -> None:
    variant = Variant(*value)
    call = protocol.encode_call(7, ":1.2", "/a/b", "a.b", "C", "vs", [variant, "end"])
    header = protocol.read_header(call.data)
    assert (header.member, header.wants_reply) == ("C", True)
    passed_over = variant.signature[0] in "a(v"
    known = Variant(variant.signature, None) if passed_over else variant
    assert protocol.read_body(call.data, header) == (known, "end")


@given(st.binary(max_size=200), st.sampled_from(["s", "a{sv}", "av", "ssv", "a(ssus)", "ay", ""]))
def test_random_bytes_are_read_or_refused(body: bytes, signature: str) -> None:
    try:
        values = received(signature, body)
    except ProtocolError:
        return
    assert len(values) <= 3


@given(st.binary(min_size=16, max_size=200))
def test_random_headers_are_read_or_refused(data: bytes) -> None:
    try:
        size = read_size(data)
        header = protocol.read_header(data)
    except ProtocolError:
        return
    assert size.header >= 16
    assert isinstance(header.path, str)


def header_fields(data: bytes) -> dict[int, object] | None:
    """The fields as upstream's reader returns them; None if it rejects the message."""
    reader = protocol._Reader(data, 12, 512)
    types = protocol.SignatureTree._get("a(yv)").types
    try:
        return {code: value.value for code, value in reader.read_argument(types[0])}
    except Exception:
        return None


@given(
    st.dictionaries(st.integers(0, 255), st.one_of(TEXT, st.integers(0, 2**32 - 1)), max_size=9),
    st.lists(st.tuples(st.integers(12, 400), st.integers(0, 255)), max_size=3),
)
def test_headers_are_read_as_upstream_reads_them(
    fields: dict[int, str | int], changes: list[tuple[int, int]]
) -> None:
    types = {5: int, 9: int}
    known = {code: value for code, value in fields.items() if type(value) is types.get(code, str)}
    known.pop(8, None)  # a signature is not a string
    data = bytearray(message(1, 7, {**known, 8: "s"}, b"body" * 20))
    for at, byte in changes:
        data[at % len(data)] = byte
    found = read_known_fields(bytes(data))
    if found is not None:
        assert found == header_fields(bytes(data))
    else:
        assert changes


def test_answers_to_calls_that_failed_carry_their_own_numbers() -> None:
    data = message(1, 77, {PATH: "/x", MEMBER: "M", SENDER: ":1.5"})
    for serial in (1, 0xFDFDFDFD, 0xFFFFFFFF):
        call = replace(protocol.read_header(data), serial=serial)
        answer = protocol.encode_error(serial ^ 1, call, "x.y.Z", "A \xfd text.").data
        header = protocol.read_header(answer)
        assert (header.serial, header.reply_serial) == (serial ^ 1, serial)
        assert header.error_name == "x.y.Z"
        assert protocol.read_body(answer, header) == ("A \xfd text.",)


def test_one_file_knows_dbus_next() -> None:
    knowing = {it.name for it in PACKAGE.rglob("*.py") if "import dbus_next" in it.read_text()}
    knowing |= {it.name for it in PACKAGE.rglob("*.py") if "from dbus_next" in it.read_text()}
    assert knowing == {"protocol.py"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("import typing; del typing.no_type_check_decorator", ""),
        ("import dbus_next.__version__ as v; v.__version__ = '0.2.4'", "not of 0.2.4"),
    ],
)
def test_import(change: str, error: str) -> None:
    program = f"{change}\nimport nestd.dbus.connection.protocol"
    if "typing" in change and not hasattr(typing, "no_type_check_decorator"):
        program = "import nestd.dbus.connection.protocol"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, env=service_environment())
    assert (run.returncode == 0) == (not error)
    assert error in run.stderr
