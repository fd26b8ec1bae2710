# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits one user to half of the event loop's time while others have calls in progress.

The cost of a call is measured per step of its coroutine, from one await to the next. A user that is
ahead of its share waits before the next step of any of its calls.

During a flood of calls, all calls in progress together get a fifth of the loop's time, since the
senders of the calls still to come are not known before these have been read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from nestd.dbus.connection.fair_queue import User

_SHARE = 0.5
_FLOOD_SHARE = 0.2  # for all users together
_FLOOD_SECONDS = 0.25  # that a flood lasts after its last sign
_MOST_AHEAD = 0.05  # seconds, all users together: limits the wait when a flood begins
_AHEAD_SECONDS = 0.005  # that a user may be ahead of its share: most calls take less
_LIGHT_SECONDS = 0.0005  # a user ahead by no more does not wait because of a flood
_LONGEST_PAUSE = 0.05
_MOST_ACCOUNTS = 64  # beyond this number, those of idle users are removed
_OTHERS_SECONDS = 0.25  # that a user counts as active after the last step of a call
_Result = TypeVar("_Result")


class _Account:
    """The use of one user: ahead is the seconds used beyond its share, as of the time updated."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.updated = 0.0
        self.pausing = asyncio.Lock()
        self.paused = 0  # calls waiting because the user is ahead
        self.calls = 0
        self.joined: _Account | None = None  # the user's account, once the user is known

    @property
    def current(self) -> _Account:
        """The account to charge for calls that began on this one."""
        return self.joined or self

    def join(self, other: _Account) -> None:
        """Merge this account into OTHER, including the calls in progress."""
        other.ahead += self.ahead
        other.paused += self.paused
        other.calls += self.calls
        self.joined = other


class _Awaitable:
    """Makes a generator of futures awaitable."""

    def __init__(self, generator: Generator[Any, Any, object]) -> None:
        self._generator = generator

    def __await__(self) -> Generator[Any, Any, object]:
        return self._generator


class Pace:
    """The accounts of all users with calls in progress."""

    def __init__(self) -> None:
        self._accounts: dict[User, _Account] = {}
        self._everybody = _Account()
        self._flood_ends = 0.0

    async def run(self, user: User, work: Awaitable[_Result]) -> _Result:
        """Run a user's coroutine WORK at that user's pace; returns its result."""
        account = self._accounts.setdefault(user, _Account())
        account.calls += 1
        try:
            return cast("_Result", await _Awaitable(self._steps(account, cast("Any", work))))
        finally:
            account.current.calls -= 1
            if len(self._accounts) > _MOST_ACCOUNTS:
                self._forget_idle(time.monotonic())

    def _steps(self, account: _Account, work: Any) -> Generator[Any, Any, object]:
        """Drive the coroutine WORK and measure each of its steps."""
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
        """Wait until the user is no longer ahead; its calls continue one after the other."""
        account.current.paused += 1
        try:
            async with account.current.pausing:
                while seconds := self._pause_seconds(account.current):
                    await asyncio.sleep(seconds)
        finally:
            account.current.paused -= 1

    def is_ahead(self, user: User) -> bool:
        """Whether a user is ahead of its share while others have, or may have, calls in progress.

        Also true while calls of the user wait for this: a new call must not overtake them, or they
        would exceed the limit on calls in progress.
        """
        account = self._accounts.get(user)
        if account is None:
            return False
        flooding = account.ahead > _LIGHT_SECONDS and self._flood_pause_seconds() > 0
        return account.paused > 0 or flooding or self._ahead(account)

    @contextmanager
    def charged(self, user: User) -> Iterator[None]:
        """Charge the time inside the with statement to this user."""
        account = self._accounts.setdefault(user, _Account())
        started = time.monotonic()
        try:
            yield
        finally:
            self._charge(account, started)
            if len(self._accounts) > _MOST_ACCOUNTS:
                self._forget_idle(time.monotonic())

    def belongs(self, sender: str, user: User) -> None:
        """Move the account of SENDER, which counted as a user of its own, to USER."""
        account = self._accounts.pop(sender, None)
        if account is not None:
            kept = self._accounts.setdefault(user, account)
            if kept is not account:
                account.join(kept)

    def flood(self) -> None:
        """Note that many calls have arrived at once."""
        self._flood_ends = time.monotonic() + _FLOOD_SECONDS

    def _pause_seconds(self, account: _Account) -> float:
        """Seconds that the next step has to wait; 0 for none."""
        seconds = account.ahead / _SHARE if self._ahead(account) else 0.0
        return min(max(seconds, self._flood_pause_seconds()), _LONGEST_PAUSE)

    def _flood_pause_seconds(self) -> float:
        """Seconds to wait for the use of all users together during a flood; 0 for none."""
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
        """Whether another user is active or was so within the last _OTHERS_SECONDS."""
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
