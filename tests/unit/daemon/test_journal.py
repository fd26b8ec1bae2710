# SPDX-License-Identifier: LGPL-2.1-or-later
"""journald's native protocol, sent to the test's own socket."""

from __future__ import annotations

import array
import fcntl
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestd.core.journal_events import NOTICE, Event, about
from nestd.daemon.journal import JournalHandler, encode

log = logging.getLogger("nestd.test_journal")


class Journal:
    """What journald would receive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.setblocking(False)
        self.seals = 0

    def entry(self) -> dict[str, str]:
        """The next entry; a duplicate field is an error."""
        data, ancillary, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, _, rights in ancillary:
            [fd] = array.array("i", rights)
            self.seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            with open(fd, "rb") as file:
                file.seek(0)
                data = file.read()
        fields: dict[str, str] = {}
        while data:
            head, _, data = data.partition(b"\n")
            name, equals, value = head.partition(b"=")
            if not equals:
                [size] = struct.unpack_from("<Q", data)
                value, newline, data = data[8 : 8 + size], data[8 + size], data[9 + size :]
                assert newline == ord("\n")
            assert name.decode() not in fields
            fields[name.decode()] = value.decode()
        return fields


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal that receives the log."""
    journal = Journal(tmp_path / "journal")
    handler = JournalHandler(journal.path, logging.NullHandler())
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield journal
    log.removeHandler(handler)
    handler.close()
    journal.sock.close()


def test_an_event_has_its_fields(journal: Journal) -> None:
    fields = about(Event.RELOAD_DONE, module="kvm_intel", job=7, caller_uid=1000)
    log.log(NOTICE, "%s was reloaded", "kvm_intel", extra=fields)
    entry = journal.entry()
    assert entry["MESSAGE"] == "kvm_intel was reloaded"
    assert entry["PRIORITY"] == "5"
    assert entry["SYSLOG_IDENTIFIER"] == "nestd"
    assert entry["MESSAGE_ID"] == Event.RELOAD_DONE.message_id
    assert entry["NESTD_MODULE"] == "kvm_intel"
    assert entry["NESTD_JOB"] == "7"
    assert entry["NESTD_CALLER_UID"] == "1000"
    assert entry["LOGGER"] == "nestd.test_journal"
    assert entry["CODE_FILE"] == __file__
    assert entry["CODE_FUNC"] == "test_an_event_has_its_fields"


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, "2"),
        (logging.ERROR, "3"),
        (logging.WARNING, "4"),
        (NOTICE, "5"),
        (logging.INFO, "6"),
        (logging.DEBUG, "7"),
    ],
)
def test_levels(journal: Journal, level: int, priority: str) -> None:
    log.log(level, "x")
    assert journal.entry()["PRIORITY"] == priority


def test_lines_cannot_be_forged(journal: Journal) -> None:
    log.info("one\nMESSAGE_ID=%s\nPRIORITY=0", "0" * 32)
    entry = journal.entry()
    assert entry["MESSAGE"] == f"one\nMESSAGE_ID={'0' * 32}\nPRIORITY=0"
    assert entry["PRIORITY"] == "6"
    assert "MESSAGE_ID" not in entry


def test_fields_that_the_journal_does_not_take_are_left_out(journal: Journal) -> None:
    names = ("_PID", "lower", "A=B", "A\nB", "", "X" * 65, "GOOD")
    log.info("x", extra={"journal_fields": dict.fromkeys(names, "v")})
    assert set(names) & journal.entry().keys() == {"GOOD"}


def test_an_exception_is_part_of_the_message(journal: Journal) -> None:
    try:
        raise ValueError("of a kind\nin two lines")
    except ValueError:
        log.exception("It failed")
    message = journal.entry()["MESSAGE"]
    assert message.startswith("It failed\nTraceback")
    assert message.endswith("ValueError: of a kind\nin two lines")


def test_text_that_is_no_unicode_arrives(journal: Journal) -> None:
    log.info("a file \udcff and \0")
    assert journal.entry()["MESSAGE"] == "a file \\udcff and \0"


def test_a_large_entry_comes_in_a_sealed_file(journal: Journal) -> None:
    fds = len(os.listdir("/proc/self/fd"))
    log.info("x" * 1_000_000)
    assert journal.entry()["MESSAGE"] == "x" * 1_000_000
    assert journal.seals & fcntl.F_SEAL_WRITE
    assert journal.seals & fcntl.F_SEAL_SHRINK
    assert len(os.listdir("/proc/self/fd")) == fds


def test_a_journal_that_does_not_read_is_not_waited_for(journal: Journal) -> None:
    for number in range(10_000):
        log.info("%d", number)
    entries = 0
    while True:
        try:
            journal.entry()
        except BlockingIOError:
            break
        entries += 1
    assert 0 < entries < 10_000
    log.info("again")
    assert journal.entry()["MESSAGE"] == "again"


def test_without_journald_lines_go_to_the_fallback(tmp_path: Path) -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = JournalHandler(tmp_path / "nothing", Lines())
    handler.handle(log.makeRecord("nestd", logging.INFO, __file__, 1, "still told", (), None))
    handler.close()
    assert lines == ["still told"]


def test_a_wrong_call_does_not_raise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = JournalHandler(tmp_path / "nothing", logging.NullHandler())
    record = log.makeRecord("nestd", logging.INFO, __file__, 1, "%d", ("no number",), None)
    handler.handle(record)
    assert "TypeError" in capsys.readouterr().err
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler.handle(record)
    assert capsys.readouterr().err == ""
    handler.close()


def test_encoding() -> None:
    assert encode({"A": "b", "C": "d\ne"}) == b"A=b\nC\n\3\0\0\0\0\0\0\0d\ne\n"


@pytest.mark.parametrize("matches", [True, False])
def test_the_journal_is_used_where_stderr_leads_to_it(tmp_path: Path, matches: bool) -> None:
    """$JOURNAL_STREAM names stderr, and processes with another stderr inherit it."""
    journal = Journal(tmp_path / "journal")
    program = (
        "import logging, pathlib\n"
        "from nestd.daemon import journal\n"
        f"journal.SOCKET = pathlib.Path({str(journal.path)!r})\n"
        "from nestd.daemon.logs import Logs\n"
        "logs = Logs('info')\n"
        "logging.getLogger('nestd.x').info('hello')\n"
        "print(logs.target)"
    )
    with (tmp_path / "stderr").open("wb") as stderr:
        status = os.fstat(stderr.fileno())
        stream = f"{status.st_dev}:{status.st_ino if matches else 1}"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "JOURNAL_STREAM": stream},
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=True,
        )
    console = (tmp_path / "stderr").read_text()
    if matches:
        assert journal.entry()["MESSAGE"] == "hello"
        assert (done.stdout, console) == (b"journal\n", "")
    else:
        assert (done.stdout, console) == (b"console\n", "INFO: hello\n")
    journal.sock.close()
