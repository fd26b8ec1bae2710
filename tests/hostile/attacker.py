# SPDX-License-Identifier: LGPL-2.1-or-later
"""A malicious user, as a separate process.

    attacker.py ADDRESS UID ATTACK CONNECTIONS SECONDS

It sends as fast as the bus accepts, reads the replies, and prints how many calls it sent.
"""

from __future__ import annotations

import os
import selectors
import struct
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from raw_client import (
    CALL,
    DESTINATION,
    INTERFACE,
    MEMBER,
    PATH,
    SIGNAL,
    SIGNATURE,
    RawClient,
    message,
    pad,
    string,
)

NAME, ROOT = "org.nestd1", "/org/nestd1"
MANAGER, MODULE = "org.nestd1.Manager", "org.nestd1.Module"
INTEL = f"{ROOT}/module/kvm_intel"
STANDARD = "org.freedesktop.DBus."
PROPERTIES = STANDARD + "Properties"
SILENT = 1
_BATCH = 100
_SERIAL_AT = 8


def call(
    path: str, interface: str, member: str, types: str = "", body: bytes = b"", flags: int = 0
) -> bytes:
    """A call; the serial is filled in later."""
    fields: dict[int, str | int] = {
        PATH: path,
        INTERFACE: interface,
        MEMBER: member,
        DESTINATION: NAME,
    }
    if types:
        fields[SIGNATURE] = types
    return message(CALL, 1, fields, body, flags)


def strings(*texts: str) -> bytes:
    """Arguments, all strings."""
    data = b""
    for text in texts:
        data = pad(data, 4) + string(text)
    return data


GET = strings(MODULE, "Nested")
NO_PARAMETERS = struct.pack("<II", 0, 0) + string("boot")


def variants() -> Iterator[bytes]:
    """Properties.Set with a variant of a different type each time."""
    letters = "ybnqiusogv"  # an empty array of any of them is four bytes
    for number in count():
        digits = f"{number:06}" * 20
        signature = "(" + "".join("a" + letters[int(digit)] for digit in digits) + ")"
        head = strings("org.nestd1.Manager", "Version")
        head += bytes([len(signature)]) + signature.encode() + b"\0"
        yield call(ROOT, PROPERTIES, "Set", "ssv", pad(head, 8) + bytes(4 * len(digits)))


def same(data: bytes) -> Callable[[], Iterator[bytes]]:
    """The same message again and again."""
    return lambda: iter(lambda: data, b"")


def alternating(*data: bytes) -> Callable[[], Iterator[bytes]]:
    """These messages, alternating."""
    return lambda: (data[number % len(data)] for number in count())


SIGNALS = message(
    SIGNAL, 1, {PATH: ROOT, INTERFACE: "x.y", MEMBER: "Z", DESTINATION: NAME}, b"", SILENT
)
ATTACKS: dict[str, Callable[[], Iterator[bytes]]] = {
    "get": same(call(INTEL, PROPERTIES, "Get", "ss", GET)),
    "get, no reply": same(call(INTEL, PROPERTIES, "Get", "ss", GET, SILENT)),
    "ping": same(call(ROOT, STANDARD + "Peer", "Ping")),
    "unknown method": same(call(ROOT, MANAGER, "Nothing")),
    "introspect": same(call(ROOT, STANDARD + "Introspectable", "Introspect")),
    "signals": same(SIGNALS),
    "costly": alternating(
        call(ROOT, MANAGER, "Validate"),
        call(ROOT, MANAGER, "Describe"),
        call(ROOT, MANAGER, "ListMachines"),
        call(INTEL, MODULE, "CanReload"),
        call(INTEL, MODULE, "Plan", "a{ss}s", NO_PARAMETERS),
    ),
    "costly, no reply": alternating(
        call(ROOT, MANAGER, "Validate", flags=SILENT),
        call(INTEL, MODULE, "Plan", "a{ss}s", NO_PARAMETERS, SILENT),
    ),
    "changes": same(
        call(INTEL, MODULE, "SetNested", "bsa{sv}", b"\1\0\0\0" + pad(string("boot"), 4) + bytes(8))
    ),
    "signatures": variants,
    "large": same(call(ROOT, MANAGER, "CheckGuest", "s", string("<domain>" + "x" * 900_000))),
}


def numbered(data: bytes, serial: int) -> bytes:
    """A message with its serial."""
    return data[:_SERIAL_AT] + struct.pack("<I", serial) + data[_SERIAL_AT + 4 :]


class Connection:
    """One of the attacker's connections, with its queue of data to send."""

    def __init__(self, address: str, attack: str) -> None:
        self.client = RawClient(address)
        self.client.sock.setblocking(False)
        self.messages = ATTACKS[attack]()
        self.serials = count(1000)
        self.waiting = b""
        self.sent = 0

    def send(self) -> None:
        if not self.waiting:
            batch = []
            for _ in range(_BATCH):
                data = next(self.messages)
                batch.append(numbered(data, next(self.serials)))
                if len(data) > 100_000:
                    break
            self.waiting = b"".join(batch)
            self.sent += len(batch)
        taken = self.client.sock.send(self.waiting[: 1 << 17])
        self.waiting = self.waiting[taken:]

    def receive(self) -> bool:
        return bool(self.client.sock.recv(1 << 17))


def attack(address: str, name: str, connections: int, seconds: float) -> int:
    """Attack for that long over that many connections; returns the number of messages."""
    selector = selectors.DefaultSelector()
    both = selectors.EVENT_READ | selectors.EVENT_WRITE
    attackers = [Connection(address, name) for _ in range(connections)]
    for each in attackers:
        selector.register(each.client.sock, both, each)
    print("begins", flush=True)
    end = time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < end:
        for key, events in selector.select(0.1):
            each: Connection = key.data
            try:
                if events & selectors.EVENT_READ and not each.receive():
                    raise ConnectionError  # the bus has disconnected it
                if events & selectors.EVENT_WRITE:
                    each.send()
            except BlockingIOError:
                pass
            except OSError:
                selector.unregister(each.client.sock)
    return sum(each.sent for each in attackers)


def main() -> None:
    address, uid, name, connections, seconds = sys.argv[1:]
    os.setresuid(int(uid), int(uid), int(uid))
    print(attack(address, name, int(connections), float(seconds)), flush=True)


if __name__ == "__main__":
    main()
