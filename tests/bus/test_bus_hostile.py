# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an unprivileged client may send, and the service must survive.

Most of these messages kill or stall a service on stock dbus-next.
"""

from __future__ import annotations

import os
import random
import select
import struct
import time
from collections.abc import Callable, Sequence

import pytest
from raw_client import (
    CALL,
    DESTINATION,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    RETURN,
    SIGNAL,
    SIGNATURE,
    RawClient,
    Received,
    array,
    message,
    pad,
    string,
    string_dict,
)
from toy_process import Toy
from toy_service import NAME, ROOT

MIB = 1 << 20
ITEMS = {"au": b"\7\0\0\0", "av": b"\1u\0\0\7\0\0\0"}
ERROR = "org.freedesktop.DBus.Error."
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
NO_REPLY = 1


def echo(client: RawClient, text: str = "hello", **more: object) -> int:
    return client.call(NAME, ROOT, NAME, "Echo", "s", string(text), **more)  # type: ignore[arg-type]


def longest_stall(client: RawClient) -> float:
    """The longest time, in seconds, that the service's loop was blocked since the last query."""
    reply = client.reply_to(client.call(NAME, ROOT, NAME, "LongestStall"))
    return float(struct.unpack("<d", reply.body)[0])


@pytest.mark.parametrize("code", [11, 99, 255])
def test_call_with_an_unknown_header_field_is_answered(toy: Toy, code: int) -> None:
    with toy.client() as client:
        assert client.reply_to(echo(client, extra={code: "x"})).text == "hello"


def test_signal_with_an_unknown_header_field_is_ignored(toy: Toy) -> None:
    with toy.client() as client:
        fields: dict[int, str | int] = {PATH: "/x", INTERFACE: "x.y", MEMBER: "Z", 99: "x"}
        fields[DESTINATION] = NAME
        client.sock.sendall(message(SIGNAL, client.next_serial(), fields))
        assert client.reply_to(echo(client)).text == "hello"


def test_header_that_is_too_long_is_dropped(toy: Toy) -> None:
    with toy.client() as client:
        echo(client, extra={99: "x" * 100_000})
        for code in range(11, 250):
            echo(client, extra={99: "x" * 60_000, code: "y"}, flags=NO_REPLY)
        assert client.reply_to(echo(client, "end")).text in ("hello", "end")
    assert toy.is_well()


@pytest.mark.parametrize("count", [100, 1000])
def test_pipelined_calls_are_all_answered(toy: Toy, count: int) -> None:
    with toy.client() as client:
        serials = [client.call(NAME, ROOT, INTROSPECTABLE, "Introspect") for _ in range(count)]
        replies = answers(client, serials)
        assert sum(NAME in reply.text for reply in replies if not reply.error) >= 100
        assert {reply.error for reply in replies} <= {"", ERROR + "LimitsExceeded"}


def test_pipelined_calls_that_need_tasks_are_all_answered(toy: Toy) -> None:
    with toy.client() as client:
        replies = answers(client, [echo(client, "x" * 4000) for _ in range(120)])
        assert {reply.error for reply in replies} == {""}


def answers(client: RawClient, serials: Sequence[int]) -> list[Received]:
    """The replies to all these calls, from the service or from dbus-daemon, which allows a client
    128 pending replies and answers further calls itself."""
    waiting = set(serials)
    replies = []
    while waiting:
        reply = client.receive()
        if reply.fields.get(REPLY_SERIAL) in waiting:
            waiting.remove(int(reply.fields[REPLY_SERIAL]))
            replies.append(reply)
    return replies


@pytest.mark.parametrize(("member", "error"), [("Nope", "UnknownMethod"), ("Echo", "InvalidArgs")])
@pytest.mark.parametrize("signature", ITEMS)
def test_body_of_a_wrong_type_is_not_parsed(
    toy: Toy, signature: str, member: str, error: str
) -> None:
    body = array(ITEMS[signature] * ((MIB - 8) // len(ITEMS[signature])))
    with toy.client() as client:
        longest_stall(client)
        serial = client.call(NAME, ROOT, NAME, member, signature, body)
        assert client.reply_to(serial).error == ERROR + error
        assert longest_stall(client) < 0.05


@pytest.mark.parametrize("signature", ITEMS)
def test_body_that_is_too_long_is_refused_unread(toy: Toy, signature: str) -> None:
    body = array(ITEMS[signature] * (16 * MIB // len(ITEMS[signature])))
    with toy.client() as client:
        before = toy.resident()
        longest_stall(client)
        serial = client.call(NAME, ROOT, NAME, "Nope", signature, body)
        assert client.reply_to(serial).error == ERROR + "LimitsExceeded"
        assert longest_stall(client) < 0.05
        assert toy.resident() - before < 4 * MIB


def test_text_of_one_mebibyte_is_served(toy: Toy) -> None:
    text = "x" * (MIB - 5)
    with toy.client() as client:
        longest_stall(client)
        assert client.reply_to(echo(client, text)).text == text
        assert longest_stall(client) < 0.05
        assert client.reply_to(echo(client, text + "x")).error == ERROR + "LimitsExceeded"


def fill(count: int, entry: Callable[[int], bytes]) -> bytes:
    """An array of that many different entries of 16 bytes each."""
    data = b"".join(entry(number) for number in range(count))
    assert len(data) == 16 * count
    return pad(struct.pack("<I", len(data)), 8) + data


def short(number: int) -> bytes:
    """A string of 8 bytes, different for each number below 64 ** 3."""
    digits = (chr(ord("0") + (number >> shift & 63)) for shift in (12, 6, 0))
    return string("".join(digits))


MOST = MIB // 16 - 1  # entries of 16 bytes in a body


def test_strings_that_fill_a_mebibyte_are_served(toy: Toy) -> None:
    body = fill(MOST, lambda number: short(number) + short(number ^ 1))
    with toy.client() as client:
        before = toy.resident()
        longest_stall(client)
        serial = client.call(NAME, ROOT, NAME, "Strings", "a{ss}", body)
        assert client.reply_to(serial).body == struct.pack("<I", MOST)
        # Parsing it on the loop would take about 0.3 s; garbage collection takes about 20 ms.
        assert longest_stall(client) < 0.2
        # 12 MiB until the values are garbage-collected, which is after the reply.
        assert toy.resident() - before < 16 * MIB
        assert toy.gives_back(before, 8 * MIB)


def test_options_that_fill_a_mebibyte_are_served(toy: Toy) -> None:
    body = string("abc") + fill(MOST - 1, lambda number: short(number) + b"\1u\0\0" + bytes(4))
    with toy.client() as client:
        before = toy.resident()
        longest_stall(client)
        reply = client.reply_to(client.call(NAME, ROOT, NAME, "Options", "sa{sv}", body))
        assert reply.error == ""
        assert struct.unpack("<I", reply.body[:4])[0] == 8 * (MOST - 1), "the keys, all of them"
        assert longest_stall(client) < 0.5, "what the toy does with them is its own affair"
        assert toy.resident() - before < 24 * MIB


def test_others_are_served_while_large_bodies_are_read(toy: Toy) -> None:
    body = fill(MOST, lambda number: short(number) + short(number ^ 1))
    with toy.client() as client, toy.client() as other:
        before = toy.resident()
        serials = [client.call(NAME, ROOT, NAME, "Strings", "a{ss}", body) for _ in range(8)]
        waits = []
        while len(waits) < 10:
            started = time.monotonic()
            assert other.reply_to(echo(other)).text == "hello"
            waits.append(time.monotonic() - started)
        replies = answers(client, serials)
        assert {reply.error for reply in replies} <= {"", ERROR + "LimitsExceeded"}
        assert "" in {reply.error for reply in replies}
        assert max(waits) < 1  # all eight together take about 2 s
        assert toy.resident() - before < 20 * MIB


@pytest.mark.parametrize("type_", ["av", "ag", "an", "aan", "a(t)"])
def test_containers_within_variants_are_passed_over(toy: Toy, type_: str) -> None:
    items = {"av": b"\1y\0\7", "ag": b"\0\0", "an": b"\1\2", "aan": bytes(4), "a(t)": bytes(8)}
    item = items[type_]
    inner = bytes([len(type_)]) + type_.encode() + b"\0"
    inner = pad(inner, 4) + struct.pack("<I", (MIB - 64) // len(item) * len(item))
    if type_ == "a(t)":
        inner = pad(inner, 8)
    with toy.client() as client:
        before = toy.resident()
        longest_stall(client)
        body = options(inner + item * ((MIB - 64) // len(item)))
        reply = client.reply_to(client.call(NAME, ROOT, NAME, "Options", "sa{sv}", body))
        assert (reply.error, reply.body[8:11]) == ("", b"abc")
        assert longest_stall(client) < 0.05
        assert toy.resident() - before < 4 * MIB


def options(variant: bytes) -> bytes:
    """Arguments "sa{sv}" with the option "abc"; its variant is aligned to 8 bytes."""
    entry = string("abc") + variant
    return pad(string("abc") + struct.pack("<I", len(entry)), 8) + entry


def test_signatures_without_end_do_not_fill_the_memory(toy: Toy) -> None:
    with toy.client() as client:
        before = toy.resident()
        for start in range(0, 60_000, 2_000):
            variants = b""
            for number in range(start, start + 2_000):
                variants += empty_array_of_structs(number, len(variants))
            body = options(b"\2av\0" + array(variants))
            assert not client.reply_to(
                client.call(NAME, ROOT, NAME, "Options", "sa{sv}", body)
            ).error
        assert toy.resident() - before < 12 * MIB


def empty_array_of_structs(number: int, at: int) -> bytes:
    """A variant with a type that depends on the number; "at" is its offset."""
    types = "".join("ybnqiuxt"[number >> shift & 7] for shift in range(0, 18, 3))
    signature = f"a({types})".encode()
    data = bytes(at % 8) + bytes([len(signature)]) + signature + b"\0"
    return pad(pad(data, 4) + bytes(4), 8)[at % 8 :]


def test_flood_does_not_starve_the_loop(toy: Toy) -> None:
    calls = b"".join(
        message(CALL, 1000, {PATH: ROOT, INTERFACE: interface, MEMBER: member, DESTINATION: NAME})
        for interface, member in ((NAME, "Nope"), (INTROSPECTABLE, "Introspect"), (NAME, "Bump"))
    )
    with toy.client() as other, toy.client() as client:
        longest_stall(other)
        client.sock.setblocking(False)
        end, sent = time.monotonic() + 1, b""
        while time.monotonic() < end:
            readable, writable, _ = select.select([client.sock], [client.sock], [], 0.1)
            if readable:
                client.sock.recv(1 << 20)
            if writable:
                sent = sent or calls * 50
                sent = sent[client.sock.send(sent) :]
        assert longest_stall(other) < 0.2


def test_client_that_never_reads_hurts_nobody(toy: Toy) -> None:
    with toy.client() as other, toy.client() as client:
        before = toy.resident()
        client.sock.settimeout(0.5)
        try:
            for _ in range(5000):
                client.call(NAME, ROOT, INTROSPECTABLE, "Introspect")
        except OSError:
            pass  # the bus has disconnected the client
        assert other.reply_to(echo(other)).text == "hello"
        assert toy.resident() - before < 20 * MIB


def test_one_client_has_at_most_16_calls_at_work(toy: Toy) -> None:
    with toy.client() as client, toy.client() as other:
        body = struct.pack("<I", 300)
        serials = [client.call(NAME, ROOT, NAME, "Wait", "u", body) for _ in range(20)]
        assert other.reply_to(echo(other)).text == "hello"
        errors = [reply.error for reply in answers(client, serials)]
        assert errors == 4 * [ERROR + "LimitsExceeded"] + 16 * [""]
        assert client.reply_to(echo(client)).text == "hello"


def test_no_answer_where_none_is_expected(toy: Toy) -> None:
    with toy.client() as client:
        echo(client, flags=NO_REPLY)
        client.call(NAME, ROOT, NAME, "Nope", flags=NO_REPLY)
        client.call(NAME, ROOT, NAME, "OpenPipe", flags=NO_REPLY)
        last = echo(client, "last")
        received = client.receive()
        while received.kind == SIGNAL:
            received = client.receive()
        assert received.fields[REPLY_SERIAL] == last


@pytest.mark.parametrize("member", ["Echo", "Nope"])
def test_descriptors_are_not_taken(toy: Toy, member: str) -> None:
    with toy.client() as client, open(os.devnull) as null:
        before = toy.fds()
        for _ in range(20):
            serial = client.call(
                NAME, ROOT, NAME, member, "s", string("x"), fds=[null.fileno()] * 3
            )
            assert client.reply_to(serial).error == ERROR + "InvalidArgs"
        assert toy.fds() == before


def test_descriptors_that_are_sent_do_not_stay(toy: Toy) -> None:
    with toy.client() as client:
        before = toy.fds()
        for _ in range(5):
            (reader,) = client.reply_to(client.call(NAME, ROOT, NAME, "OpenPipe")).fds
            with open(reader, "rb") as pipe:
                assert pipe.read() == b"through a pipe"
        client.reply_to(echo(client))  # by now it has closed the last connection
        assert toy.fds() == before


@pytest.mark.parametrize("kind", [5, 250])
def test_message_of_an_unknown_type_is_ignored(toy: Toy, kind: int) -> None:
    with toy.client() as client:
        fields: dict[int, str | int] = {PATH: ROOT, INTERFACE: NAME, MEMBER: "Echo"}
        fields[DESTINATION] = NAME
        client.sock.sendall(message(kind, client.next_serial(), fields))
        assert client.reply_to(echo(client, flags=0xF8)).text == "hello"


def test_reply_to_nothing_is_ignored(toy: Toy) -> None:
    with toy.client() as client:
        for serial in range(1, 20):
            fields: dict[int, str | int] = {REPLY_SERIAL: serial, DESTINATION: NAME}
            client.sock.sendall(message(RETURN, client.next_serial(), fields))
        assert client.reply_to(echo(client)).text == "hello"


def test_random_bytes_do_no_harm(own_toy: Toy) -> None:
    rng = random.Random(20210707)
    client = own_toy.client()
    for _ in range(2000):
        client.sock.settimeout(0.2)  # a length field may have grown: the bus waits for the rest
        try:
            client.sock.sendall(mutated(rng))
            if rng.random() < 0.1:
                client.reply_to(echo(client))
        except (OSError, EOFError):
            client.sock.close()
            client = own_toy.client()
    client.sock.close()
    assert own_toy.is_well()
    log = own_toy.log.read_text()
    assert "could not be handled" not in log
    assert "failed" not in log


def mutated(rng: random.Random) -> bytes:
    """A valid message with some bytes changed."""
    body, signature = rng.choice(
        [
            (string("hello"), "s"),
            (string_dict({"a": "b", "c": "d"}), "a{ss}"),
            (options(b"\2as\0" + array(string("x"))), "sa{sv}"),
            (string(NAME) + bytes(-len(string(NAME)) % 4) + string("Count"), "ss"),
        ]
    )
    fields: dict[int, str | int] = {
        PATH: rng.choice([ROOT, "/", "/org"]),
        INTERFACE: rng.choice([NAME, "org.freedesktop.DBus.Properties"]),
        MEMBER: rng.choice(["Echo", "Options", "Strings", "Get", "GetAll", "Set"]),
        DESTINATION: NAME,
        SIGNATURE: signature,
    }
    if rng.random() < 0.3:
        fields[rng.randrange(11, 256)] = "field"
    kind = rng.choice([CALL, CALL, CALL, SIGNAL, RETURN, rng.randrange(256)])
    data = bytearray(message(kind, rng.randrange(1, 1 << 31), fields, body, rng.randrange(256)))
    for _ in range(rng.choice([0, 0, 1, 2])):
        data[rng.randrange(len(data) - len(body), len(data))] = rng.randrange(256)
    if rng.random() < 0.2:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)
