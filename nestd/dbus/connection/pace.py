# SPDX-License-Identifier: LGPL-2.1-or-later
"""Half of the event loop's time for one user at most, while others have calls at work.

What a call costs is measured: each step of its coroutine, from one wait to the next. A user who is
ahead of its share waits before the next step of any of its calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from nestd.dbus.connection.fair_queue import User

_SHARE = 0.5
_AHEAD_SECONDS = 0.005  # that one may be ahead of its share: most calls take less
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
                if self._ahead(account.current):
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
                while self._ahead(account.current):
                    await asyncio.sleep(min(account.current.ahead / _SHARE, _LONGEST_PAUSE))
        finally:
            account.current.paused -= 1

    def is_ahead(self, user: User) -> bool:
        """Whether a user has had more than its share, and others have calls at work.

        Nor does a new call overtake those that wait for that: they would count as too many.
        """
        account = self._accounts.get(user)
        return account is not None and (account.paused > 0 or self._ahead(account))

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

    def _ahead(self, account: _Account) -> bool:
        if account.ahead <= _AHEAD_SECONDS:
            return False
        now = time.monotonic()
        self._settle(account, now)
        return account.ahead > _AHEAD_SECONDS and self._others(account, now)

    def _charge(self, account: _Account, started: float) -> None:
        account.ahead += time.monotonic() - started
        self._settle(account, time.monotonic())

    def _settle(self, account: _Account, now: float) -> None:
        account.ahead = max(0.0, account.ahead - (now - account.updated) * _SHARE)
        account.updated = now

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
