# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd.conf: valid settings apply, invalid ones are reported with file, line and key."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nestd.core.drift.drift import OnDrift
from nestd.daemon.settings import MOST_REPORTED, PATH, Settings, load, parse, read
from nestd.host.root import Root

REAPPLY = Settings(on_drift=OnDrift.REAPPLY)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = Root(tmp_path).at(PATH)
    path.parent.mkdir(parents=True)
    return path


def test_no_file_is_no_problem(tmp_path: Path) -> None:
    assert read(Root(tmp_path)) == (Settings(), ())


@pytest.mark.parametrize(
    "data",
    [
        b"on_drift = reapply\n",
        b"on_drift=reapply",
        b"# a comment\n\non_drift = 'reapply' # and one more\r\n",
        b'\xef\xbb\xbfon_drift = "reapply"\n',
    ],
)
def test_what_is_right_serves(data: bytes) -> None:
    assert parse(data) == (REAPPLY, ())


@pytest.mark.parametrize("data", [b"", b"# on_drift = reapply\n", b"on_drift = report\n"])
def test_defaults(data: bytes) -> None:
    assert parse(data) == (Settings(on_drift=OnDrift.REPORT), ())


@pytest.mark.parametrize(
    ("data", "expected", "wrong"),
    [
        (b"\non_drift = maybe\n", Settings(), ["nestd.conf:2", '"on_drift"', '"maybe"', "default"]),
        (b"on_drift = report, reapply\n", Settings(), ["nestd.conf:1", '"on_drift"']),
        (b"on_drift =\n", Settings(), ["nestd.conf:1", '"on_drift"']),
        (b"on_drift = reapply\nx = 1\n", REAPPLY, ["nestd.conf:2", '"x"', "no such key"]),
        (b"on_drift = reapply\n[more]\nx = 1\n", REAPPLY, ["nestd.conf:2", '"more"']),
        (b"[on_drift]\nx = 1\n", Settings(), ["nestd.conf:1", '"on_drift"']),
        (b"on_drift = reapply\non_drift = report\n", REAPPLY, ["nestd.conf:2", '"on_drift"']),
        (b"on_drift reapply\n", Settings(), ["nestd.conf:1", "cannot be read"]),
        (b"on_drift = reapply\n= 1\n", REAPPLY, ["nestd.conf:2", "cannot be read"]),
        (b"on_drift = reapply\nx = '''\n", REAPPLY, ["nestd.conf:2", "cannot be read"]),
        (b"on_drift = reapply\n# \xff\n", Settings(), ["nestd.conf:2", "UTF-8"]),
        (b"%(x)s = 1\n", Settings(), ["nestd.conf:1", '"%(x)s"']),
        (b"# x\n 'x=y' = 1\n", Settings(), ["nestd.conf:2", '"x=y"']),
        (b'\n"x"  = 1\n', Settings(), ["nestd.conf:2", '"x"']),
        (b"\n [ x ]\n", Settings(), ["nestd.conf:2", '"x"']),
    ],
)
def test_what_is_wrong_is_reported(data: bytes, expected: Settings, wrong: list[str]) -> None:
    settings, problems = parse(data)
    assert settings == expected
    assert len(problems) == 1
    text = str(problems[0])
    assert [word for word in wrong if word not in text] == []
    assert "\n" not in text


def test_every_problem_is_reported() -> None:
    _, problems = parse(b"on_drift = no\nfirst = 1\nnonsense\n[section]\n")
    assert [(problem.line, problem.key) for problem in sorted(problems, key=lambda p: p.line)] == [
        (1, "on_drift"),
        (2, "first"),
        (3, ""),
        (4, "section"),
    ]


def test_problems_are_logged_with_their_place(conf: Path, caplog: pytest.LogCaptureFixture) -> None:
    conf.write_text("# mine\non_drift = never\n")
    assert load(Root(conf.parents[2])) == Settings()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    fields = record.__dict__["journal_fields"]
    assert (fields["NESTD_FILE"], fields["NESTD_LINE"], fields["NESTD_KEY"]) == (
        PATH,
        "2",
        "on_drift",
    )


def test_a_file_full_of_nonsense_does_not_fill_the_log(
    conf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conf.write_text("nonsense\n" * 5000)
    load(Root(conf.parents[2]))
    assert len(caplog.records) == MOST_REPORTED + 1
    assert "4980 more" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("kind", ["directory", "fifo", "link", "large"])
def test_what_cannot_be_read_is_reported(conf: Path, kind: str) -> None:
    if kind == "directory":
        conf.mkdir()
    elif kind == "fifo":
        os.mkfifo(conf)
    elif kind == "link":
        conf.symlink_to("/nowhere/at/all")
    else:
        conf.write_bytes(b"#" * 70_000)
    settings, [problem] = read(Root(conf.parents[2]))
    assert settings == Settings()
    assert str(problem).startswith(f"{PATH}: cannot be read: ")


LINES = st.sampled_from(
    [
        b"on_drift = reapply",
        b"on_drift = report",
        b"on_drift",
        b"[on_drift]",
        b"[[a]]",
        b"]",
        b"'''",
        b'""" = x',
        b"a = '",
        b'a = """',
        b"a = 1, 2,",
        b"= = =",
        b"%(a)s = $a",
        b"\0",
        b"__many__ = 1",
        b"default = 1",
        b"# comment",
        "ä = ö".encode(),
        b"\xff",
        b"",
    ]
)


@given(st.one_of(st.binary(), st.text().map(str.encode), st.lists(LINES).map(b"\n".join)))
@example(b"[[[[a]]]]\n[b]\n[[[c]]]")
@example(b"on_drift = reapply\n" * 100)
def test_anything_can_be_in_the_file(data: bytes) -> None:
    settings, problems = parse(data)
    assert isinstance(settings.on_drift, OnDrift)
    for problem in problems:
        assert "\n" not in str(problem)
        assert problem.line <= data.count(b"\n") + 1


def test_a_file_full_of_unknown_keys_is_read_in_time() -> None:
    lines = [b"k%x = 1\n" % number for number in range(6000)]
    started = time.process_time()
    settings, problems = parse(b"".join(lines))
    assert time.process_time() - started < 3
    assert settings == Settings()
    assert [problem.line for problem in problems] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("word", [b" ", b"# ", b"#x    "])
def test_a_long_line_is_read_in_time(word: bytes) -> None:
    started = time.process_time()
    assert parse(word * 10_000 + b"\non_drift = reapply\n") == (REAPPLY, ())
    assert time.process_time() - started < 1
