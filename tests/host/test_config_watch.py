# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d as read at each look and watched by inotify, with links that lead out of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from nestd.host.inotify import DirectoryWatch
from nestd.host.modprobe import watch
from nestd.host.modprobe.watch import ConfigWatch
from nestd.host.root import Root

KMOD = 30
SETTLED_SECONDS = 0.15  # until the time stamps are old enough to be trusted
TOLD_SECONDS = 5.0

OLD, NEW = b"options kvm_intel nested=1\n", b"options kvm_intel nested=0\n"
LINK = "/etc/modprobe.d/zz.conf"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """zz.conf links to /srv/one/t.conf through /etc/next, which is a link itself."""
    for directory in ("etc/modprobe.d", "srv/one", "srv/two"):
        (tmp_path / directory).mkdir(parents=True)
    root = Root(tmp_path)
    root.at("/srv/one/t.conf").write_bytes(OLD)
    root.at("/srv/two/t.conf").write_bytes(NEW)
    root.at("/srv/now").symlink_to("/srv/one")
    root.at("/etc/next").symlink_to("/srv/now/t.conf")
    root.at(LINK).symlink_to("../next")
    return root


def read(config: ConfigWatch) -> list[bytes]:
    found, _own, _loads = config.read()
    return [file.data for file in found.files]


def in_place(root: Root) -> None:
    root.at("/srv/one/t.conf").write_bytes(NEW)


def replaced(root: Root) -> None:
    root.at("/srv/one/new").write_bytes(NEW)
    os.rename(root.at("/srv/one/new"), root.at("/srv/one/t.conf"))


def link_on_the_way(root: Root) -> None:
    root.at("/etc/next").unlink()
    root.at("/etc/next").symlink_to("/srv/two/t.conf")


def directory_on_the_way(root: Root) -> None:
    root.at("/srv/two/now").symlink_to("/srv/two")
    os.rename(root.at("/srv/two/now"), root.at("/srv/now"))


def directory_is_another(root: Root) -> None:
    os.rename(root.at("/srv/one"), root.at("/srv/three"))
    os.rename(root.at("/srv/two"), root.at("/srv/one"))


CHANGES = [in_place, replaced, link_on_the_way, directory_on_the_way, directory_is_another]


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_link_leads_to_is_read_at_the_next_look(
    root: Root, change: Callable[[Root], None]
) -> None:
    time.sleep(SETTLED_SECONDS)
    config = ConfigWatch(root, KMOD)
    assert read(config) == [OLD]
    assert config.read() is config.read()  # not read again without need
    change(root)
    assert read(config) == [NEW]


def test_a_target_that_goes_and_comes(root: Root) -> None:
    time.sleep(SETTLED_SECONDS)
    config = ConfigWatch(root, KMOD)
    assert read(config) == [OLD]
    root.at("/srv/one/t.conf").unlink()
    assert read(config) == []
    time.sleep(SETTLED_SECONDS)
    assert read(config) == []
    root.at("/srv/one/t.conf").write_bytes(NEW)
    assert read(config) == [NEW]


def test_two_changes_within_a_tick_of_the_clock_are_two(root: Root) -> None:
    config = ConfigWatch(root, KMOD)
    for data in (OLD, NEW) * 50:
        root.at("/srv/one/t.conf").write_bytes(data)
        assert read(config) == [data]


def test_a_hint_that_comes_during_a_look_is_not_lost(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change after reading and before taking the time stamps shows in neither."""
    stamps = watch._stamps

    def after_a_change(*places: Any) -> Any:
        in_place(root)
        time.sleep(0.1)  # the event arrives meanwhile
        return stamps(*places)

    async def body() -> None:
        config = ConfigWatch(root, KMOD)
        config.watch(config.forget)
        monkeypatch.setattr(watch, "_stamps", after_a_change)
        look = await asyncio.to_thread(config.look)
        monkeypatch.setattr(watch, "_stamps", stamps)
        config.take(look)
        assert read(config) == [NEW]
        config.close()

    asyncio.run(body())


def test_kvm_conf_is_of_the_same_look(root: Root) -> None:
    root.at("/etc/modprobe.d/kvm.conf").symlink_to("/srv/one/t.conf")
    time.sleep(SETTLED_SECONDS)
    config = ConfigWatch(root, KMOD)
    config.read()
    in_place(root)
    found, own, _loads = config.read()
    assert own.data == NEW
    assert {file.data for file in found.files} == {NEW}


@pytest.mark.parametrize("goes", [False, True], ids=["emptied", "moved away"])
def test_a_kvm_conf_that_has_just_shrunk_is_read_again(
    root: Root, goes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = root.at("/etc/modprobe.d/kvm.conf")
    conf.write_bytes(OLD)
    config = ConfigWatch(root, KMOD)
    assert config.read()[1].data == OLD

    if goes:
        conf.unlink()
    else:
        conf.write_bytes(b"")
    monkeypatch.setattr(watch, "_SHRUNK_SECONDS", 10.0)
    # The editor continues while nestd waits.
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: conf.write_bytes(OLD + NEW))
    assert config.look().read[1].data == OLD + NEW


def test_what_the_event_loop_reads_itself_waits_for_no_editor(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = root.at("/etc/modprobe.d/kvm.conf")
    conf.write_bytes(OLD)
    config = ConfigWatch(root, KMOD)
    assert config.read()[1].data == OLD
    conf.write_bytes(b"")
    naps: list[float] = []
    monkeypatch.setattr(watch, "_SHRUNK_SECONDS", 10.0)
    monkeypatch.setattr(watch.time, "sleep", naps.append)
    assert config.read()[1].data == b""
    assert naps == []


def test_a_kvm_conf_that_stays_shorter_is_believed(root: Root) -> None:
    conf = root.at("/etc/modprobe.d/kvm.conf")
    conf.write_bytes(OLD)
    config = ConfigWatch(root, KMOD)
    for data in (b"", None):
        assert config.read()[1].data is not None
        conf.unlink() if data is None else conf.write_bytes(data)
        config.forget()
        assert config.read()[1].data == data


class Watched:
    """A watched configuration, and its content after each hint."""

    def __init__(self, root: Root) -> None:
        self.config = ConfigWatch(root, KMOD)
        self.hints = 0
        self.hint = asyncio.Event()
        self.config.watch(self._hint)

    def _hint(self) -> None:
        self.hints += 1
        self.hint.set()

    async def until(self, expected: list[bytes]) -> None:
        """Wait for the hint after which this content is read; it is read only after hints."""

        async def told() -> None:
            while True:
                await self.hint.wait()
                self.hint.clear()
                if read(self.config) == expected:
                    return

        await asyncio.wait_for(told(), TOLD_SECONDS)

    async def quiet(self) -> None:
        """Wait until no more hints arrive, reading after each."""
        while not self.hint.is_set():
            await asyncio.sleep(SETTLED_SECONDS)
            if not self.hint.is_set():
                return
            self.hint.clear()
            read(self.config)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_behind_a_link_is_told(root: Root, change: Callable[[Root], None]) -> None:
    async def body() -> None:
        watched = Watched(root)
        await watched.until([OLD])
        await watched.quiet()
        change(root)
        await watched.until([NEW])
        watched.config.close()

    asyncio.run(body())


def test_the_watch_goes_where_the_links_go(root: Root) -> None:
    async def body() -> None:
        watched = Watched(root)
        await watched.until([OLD])
        link_on_the_way(root)
        await watched.until([NEW])
        await watched.quiet()
        before = watched.hints
        root.at("/srv/one/t.conf").write_bytes(b"")  # no longer of interest
        root.at("/etc/hosts").write_bytes(b"")  # beside a link on the path
        root.at("/srv/two/other").write_bytes(b"")
        await asyncio.sleep(SETTLED_SECONDS)
        assert watched.hints == before
        root.at("/srv/two/t.conf").write_bytes(OLD)
        await watched.until([OLD])
        watched.config.close()

    asyncio.run(body())


def test_directories_that_appear_later_are_noticed(root: Root) -> None:
    async def body() -> None:
        watched = Watched(root)
        root.at(LINK).unlink()
        await watched.until([])
        await watched.quiet()
        directory = root.at("/usr/local/lib/modprobe.d")
        for place in (*reversed(list(directory.parents)[:3]), directory):
            place.mkdir(exist_ok=True)
        (directory / "a.conf").write_bytes(OLD)
        await watched.until([OLD])
        root.at("/run").symlink_to("/srv/volatile")
        await watched.quiet()
        root.at("/srv/volatile/modprobe.d").mkdir(parents=True)
        root.at("/srv/volatile/modprobe.d/z.conf").write_bytes(NEW)
        await watched.until([OLD, NEW])
        watched.config.close()

    asyncio.run(body())


async def settled(root: Root) -> Watched:
    """A configuration that is unchanged, as its event queues prove."""
    watched = Watched(root)
    await watched.until([OLD])
    await watched.quiet()
    return watched


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_is_not_older_than_its_question_where_events_wait(
    root: Root, change: Callable[[Root], None]
) -> None:
    """The event loop has not yet run since the change."""

    async def body() -> None:
        watched = await settled(root)
        assert watched.config.is_current
        change(root)
        assert read(watched.config) == [NEW]
        watched.config.close()

    asyncio.run(body())


def test_nothing_is_looked_at_while_no_event_waits(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        watched = await settled(root)
        monkeypatch.setattr(watch, "_stamps", None)  # any call of it fails
        assert read(watched.config) == [OLD]
        watched.config.close()

    asyncio.run(body())


def test_what_was_read_before_a_hint_is_no_proof_after_it(root: Root) -> None:
    """A worker thread read the old content, and the event of the change was read meanwhile."""

    async def body() -> None:
        watched = await settled(root)
        look = watched.config.look()
        in_place(root)
        await watched.hint.wait()
        watched.config.take(look)
        assert read(watched.config) == [NEW]
        watched.config.close()

    asyncio.run(body())


def test_a_file_system_that_others_change_too_is_looked_at_each_time(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """inotify does not report changes by another host on NFS."""
    monkeypatch.setattr(watch, "_LOCAL", ())

    async def body() -> None:
        watched = await settled(root)
        monkeypatch.setattr(DirectoryWatch, "is_quiet", True)
        in_place(root)
        assert read(watched.config) == [NEW]
        watched.config.close()

    asyncio.run(body())


def test_a_watch_that_the_kernel_refused_is_no_proof(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fs.inotify.max_user_watches is used up."""

    async def body() -> None:
        watched = await settled(root)
        watched.config._watch.is_complete = False
        watched.config.take(watched.config.look())
        monkeypatch.setattr(DirectoryWatch, "is_quiet", True)
        in_place(root)
        assert read(watched.config) == [NEW]
        watched.config.close()

    asyncio.run(body())


@pytest.mark.parametrize("place", ["/srv/one/t.conf", "/srv/one", "/etc"])
def test_what_a_mount_hides_is_no_longer_read(root: Root, place: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    other = root.at("/other")
    shutil.copytree(root.at("/etc"), other / "etc", symlinks=True)
    (other / "one").mkdir()
    (other / "one/t.conf").write_bytes(NEW)
    (other / "etc/modprobe.d/zz.conf").unlink()
    (other / "etc/modprobe.d/zz.conf").write_bytes(NEW)
    source = {"/srv/one/t.conf": "one/t.conf", "/srv/one": "one", "/etc": "etc"}[place]

    async def body() -> None:
        watched = await settled(root)
        mount = ["mount", "--bind", str(other / source), str(root.at(place))]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("needs the right to mount")
        try:
            assert read(watched.config) == [NEW]
            await watched.quiet()
            assert read(watched.config) == [NEW]
        finally:
            subprocess.run(["umount", str(root.at(place))], check=True)
        assert read(watched.config) == [OLD]
        watched.config.close()

    asyncio.run(body())
