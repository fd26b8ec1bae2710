# SPDX-License-Identifier: LGPL-2.1-or-later
"""The history: what is kept, for how long, and the effect of refusals and damaged files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import MappingProxyType

import pytest

from nestd.core.errors import Busy, InvalidParameter, NestdError, NotRestored, RolledBack
from nestd.core.history.entry import LONGEST_TEXT, Entry, Kind, Result, Undo, digest, from_json
from nestd.core.history.history import MOST, MOST_REFUSED, History
from nestd.core.model import JobState
from nestd.core.reloads.jobs import Jobs
from nestd.host.root import Root

UNDO = Undo(MappingProxyType({"nested": ""}), "/etc/modprobe.d/kvm.conf", digest(b"new\n"))


async def nobody() -> int:
    raise AssertionError("the caller is known")


async def a_user() -> int:
    return 1000


def run(root: Path, test: Callable[[History], Awaitable[None]]) -> None:
    async def body() -> None:
        history = History(Root(root))
        history.load()
        await test(history)
        await history.close()

    asyncio.run(body())


def test_the_latest_are_kept_over_a_restart(tmp_path: Path) -> None:
    async def fill(history: History) -> None:
        for number in range(MOST + 5):
            history.add(Kind.CHANGE, f"m{number}", Result.DONE, uid=0, asked="a", undo=UNDO)

    async def look(history: History) -> None:
        subjects = [each.subject for each in history.entries]
        assert subjects == [f"m{number}" for number in range(MOST + 4, 4, -1)]
        assert history.entries[0].undo == UNDO
        assert history.totals == {"change": {"done": MOST + 5}}
        history.add(Kind.DEBUG, "virtqemud", Result.DONE)
        assert history.totals == {"change": {"done": MOST + 5}, "debug": {"done": 1}}

    run(tmp_path, fill)
    run(tmp_path, look)


def test_who_is_refused_again_and_again_drives_nothing_out(tmp_path: Path) -> None:
    async def test(history: History) -> None:
        history.add(Kind.CHANGE, "kvm_intel", Result.DONE)
        for _ in range(1000):
            history.add(Kind.CHANGE, "kvm_intel", Result.REFUSED, uid=1000, error="x" * 10_000)
        assert len(history.entries) == MOST_REFUSED + 1
        assert history.entries[-1].result is Result.DONE
        assert len(history.entries[0].error) == LONGEST_TEXT

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Busy("in use"), Result.REFUSED),
        (RolledBack("no"), Result.ROLLED_BACK),
        (NotRestored("half"), Result.FAILED),
    ],
)
def test_a_request_that_fails(tmp_path: Path, error: NestdError, result: Result) -> None:
    async def test(history: History) -> None:
        with pytest.raises(NestdError):
            async with history.request(Kind.CHANGE, "kvm_intel", "nested=1", a_user):
                raise error
        [entry] = history.entries
        assert (entry.result, entry.uid, entry.error) == (result, 1000, str(error))

    run(tmp_path, test)


def test_what_changes_nothing_or_means_nothing_is_no_event(tmp_path: Path) -> None:
    async def test(history: History) -> None:
        async with history.request(Kind.CHANGE, "kvm_intel", "nested=1", nobody):
            pass
        with pytest.raises(InvalidParameter):
            async with history.request(Kind.CHANGE, "kvm_intel", "nosuch=1", nobody):
                raise InvalidParameter("no such parameter")
        assert history.entries == ()

    run(tmp_path, test)


def test_a_change_can_be_undone_while_its_file_is_as_it_left_it(tmp_path: Path) -> None:
    file = tmp_path / "etc/modprobe.d/kvm.conf"
    file.parent.mkdir(parents=True)

    async def test(history: History) -> None:
        async with history.request(Kind.CHANGE, "kvm_intel", "nested=1", nobody) as request:
            request.happened, request.uid, request.undo = True, 0, UNDO
        [entry] = history.entries
        assert not await history.undoable(entry)
        file.write_text("new\n")
        assert await history.undoable(entry)
        file.write_text("new\n# and more\n")
        assert not await history.undoable(entry)

    run(tmp_path, test)


def test_a_job_that_waits_ends_as_an_event_and_others_do_not(tmp_path: Path) -> None:
    async def test(history: History) -> None:
        jobs = Jobs()
        history.watch(jobs)
        cut_off = jobs.new(1, "kvm_amd", 1000, JobState.LOADING)  # of the previous nestd
        jobs.update(cut_off, JobState.ROLLED_BACK, "it was cut off.")
        history.serve()
        jobs.update(jobs.new(2, "kvm_intel", 0, JobState.UNLOADING), JobState.DONE)
        waiting = jobs.new(3, "kvm_intel", 0, JobState.WAITING)
        jobs.update(waiting, JobState.CANCELLED)
        found = [(each.subject, each.result, each.uid) for each in history.entries]
        assert found == [
            ("kvm_intel", Result.CANCELLED, 0),
            ("kvm_amd", Result.ROLLED_BACK, 1000),
        ]

    run(tmp_path, test)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"entries": 1}', '{"entries": [1, {}, null]}'])
def test_a_damaged_file_is_left_out(tmp_path: Path, text: str) -> None:
    directory = tmp_path / "var/lib/nestd"
    directory.mkdir(parents=True)
    (directory / "history.json").write_text(text)
    (directory / "totals.json").write_text('{"change": {"done": "many"}, "debug": 3}')

    async def test(history: History) -> None:
        assert history.entries == ()
        assert history.totals == {}

    run(tmp_path, test)


def test_an_entry_reads_back(tmp_path: Path) -> None:
    entry = Entry(1, Kind.LOGS, "virtqemud", Result.DONE, 0, "filters: 1:qemu", "", UNDO)
    assert from_json(json.loads(json.dumps(entry.as_json()))) == entry
