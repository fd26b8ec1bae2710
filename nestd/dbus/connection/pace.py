# SPDX-License-Identifier: LGPL-2.1-or-later
"""Half of the event loop's time for one user at most, while others have calls at work.

What a call costs is measured: each step of its coroutine, from one wait to the next. A user who is
ahead of its share waits before the next step of any of its calls.

While calls flood in, all that are at work take a fifth of the loop's time: whose the calls are that
are still on their way is not known before they have been read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from nestd.dbus.connection.fair_queue import User

_SHARE = 0.5
_FLOOD_SHARE = 0.2  # of all users together
_FLOOD_SECONDS = 0.25  # after the last sign of it
_MOST_AHEAD = 0.05  # seconds of all together: a flood that begins is no reason to wait for long
_AHEAD_SECONDS = 0.005  # that one may be ahead of its share: most calls take less
_LIGHT_SECONDS = 0.0005  # for who has had less than that, a flood is no reason to wait
_LONGEST_PAUSE = 0.05
_MOST_ACCOUNTS = 64  # then those of users who have nothing to do are forgotten
_OTHERS_SECONDS = 0.25  # for so long a user counts after the last step of a call
_Result = TypeVar("_Result")


class _Account:
    """What one user has used: AHEAD seconds more than the share since, as of the time UPDATED."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.updated = 0.0
        self.pausing = asyncio.Lock()
        self.paused = 0  # calls that wait since the user is ahead
        self.calls = 0
        self.joined: _Account | None = None  # the user's, once it is known whose calls these are

    @property
    def current(self) -> _Account:
        """The account that counts now for calls that began on this one."""
        return self.joined or self

    def join(self, other: _Account) -> None:
        """Move what is on this account to the OTHER one, with the calls at work."""
        other.ahead += self.ahead
        other.paused += self.paused
        other.calls += self.calls
        self.joined = other


class _Awaitable:
    """What a generator of futures comes to."""

    def __init__(self, generator: Generator[Any, Any, object]) -> None:
        self._generator = generator

    def __await__(self) -> Generator[Any, Any, object]:
        return self._generator


class Pace:
    """The accounts of all users with calls at work."""

    def __init__(self) -> None:
        self._accounts: dict[User, _Account] = {}
        self._everybody = _Account()
        self._flood_ends = 0.0

    async def run(self, user: User, work: Awaitable[_Result]) -> _Result:
        """Do a user's WORK, a coroutine, at that user's pace."""
        account = self._accounts.setdefault(user, _Account())
        account.calls += 1
        try:
            return cast("_Result", await _Awaitable(self._steps(account, cast("Any", work))))
        finally:
            account.current.calls -= 1
            if len(self._accounts) > _MOST_ACCOUNTS:
                self._forget_idle(time.monotonic())

    def _steps(self, account: _Account, work: Any) -> Generator[Any, Any, object]:
        """Drive the coroutine WORK, measuring each of its steps."""
        step, value = work.send, None
        try:
            while True:
                if self._pause_seconds(account.current):
                    yield from self._pause(account).__await__()
                started = time.monotonic()
                try:
                    future = step(value)
                except StopIteration as end:
                    return end.value
                finally:
                    self._charge(account.current, started)
                step, value = work.send, None
                try:
                    value = yield future
                except BaseException as error:
                    step, value = work.throw, cast("Any", error)
        finally:
            work.close()

    async def _pause(self, account: _Account) -> None:
        """Wait until the user is no longer ahead: one of its calls after the other."""
        account.current.paused += 1
        try:
            async with account.current.pausing:
                while seconds := self._pause_seconds(account.current):
                    await asyncio.sleep(seconds)
        finally:
            account.current.paused -= 1

    def is_ahead(self, user: User) -> bool:
        """Whether a user has had more than its share, and others have calls at work or may have.

        Nor does a new call overtake those that wait for that: they would count as too many.
        """
        account = self._accounts.get(user)
        if account is None:
            return False
        flooding = account.ahead > _LIGHT_SECONDS and self._flood_pause_seconds() > 0
        return account.paused > 0 or flooding or self._ahead(account)

    @contextmanager
    def charged(self, user: User) -> Iterator[None]:
        """The time inside the with statement is this user's."""
        account = self._accounts.setdefault(user, _Account())
        started = time.monotonic()
        try:
            yield
        finally:
            self._charge(account, started)
            if len(self._accounts) > _MOST_ACCOUNTS:
                self._forget_idle(time.monotonic())

    def belongs(self, sender: str, user: User) -> None:
        """The calls of SENDER, which counted by itself, are this user's."""
        account = self._accounts.pop(sender, None)
        if account is not None:
            kept = self._accounts.setdefault(user, account)
            if kept is not account:
                account.join(kept)

    def flood(self) -> None:
        """Many calls have arrived at once."""
        self._flood_ends = time.monotonic() + _FLOOD_SECONDS

    def _pause_seconds(self, account: _Account) -> float:
        """How long the next step has to wait; 0 for not at all."""
        seconds = account.ahead / _SHARE if self._ahead(account) else 0.0
        return min(max(seconds, self._flood_pause_seconds()), _LONGEST_PAUSE)

    def _flood_pause_seconds(self) -> float:
        """Likewise, for what all together have had while calls flood in."""
        now, everybody = time.monotonic(), self._everybody
        if now > self._flood_ends:
            return 0.0
        _settle(everybody, now, _FLOOD_SHARE)
        return everybody.ahead / _FLOOD_SHARE if everybody.ahead > _AHEAD_SECONDS else 0.0

    def _ahead(self, account: _Account) -> bool:
        if account.ahead <= _AHEAD_SECONDS:
            return False
        now = time.monotonic()
        _settle(account, now, _SHARE)
        return account.ahead > _AHEAD_SECONDS and self._others(account, now)

    def _charge(self, account: _Account, started: float) -> None:
        now = time.monotonic()
        for each, share in ((account, _SHARE), (self._everybody, _FLOOD_SHARE)):
            each.ahead += now - started
            _settle(each, now, share)
        self._everybody.ahead = min(self._everybody.ahead, _MOST_AHEAD)

    def _others(self, account: _Account, now: float) -> bool:
        """Whether anybody else has or had something to do just now."""
        return any(
            each is not account and (each.calls or now - each.updated < _OTHERS_SECONDS)
            for each in self._accounts.values()
        )

    def _forget_idle(self, now: float) -> None:
        for user in [
            user
            for user, each in self._accounts.items()
            if not each.calls and now - each.updated > _OTHERS_SECONDS + each.ahead / _SHARE
        ]:
            del self._accounts[user]


def _settle(account: _Account, now: float, share: float) -> None:
    account.ahead = max(0.0, account.ahead - (now - account.updated) * share)
    account.updated = now
