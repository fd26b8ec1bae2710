# SPDX-License-Identifier: LGPL-2.1-or-later
"""Authorizes callers by polkit, without blocking other callers.

The subject is the caller's unique bus name, never its process id, which can be reused. Any failure
means no. polkit is not asked about uid 0: it allows root everything without evaluating rules
(polkitbackendinteractiveauthority.c, check_authorization_sync), so root can also work if polkit is
absent or hangs. The same holds for the user that nestd runs as, who could do the same without
nestd; this lets an ordinary user run nestd on a private bus.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum

from nestd.core.hidden import EVERYBODY, Reader
from nestd.dbus.connection.transport import Connection
from nestd.dbus.errors import ACCESS_DENIED, AUTH_REQUIRED, LIMITS_EXCEEDED, NO_REPLY, BusError
from nestd.dbus.values import Call, Variant

_BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
_POLKIT = "org.freedesktop.PolicyKit1"
_POLKIT_PATH = "/org/freedesktop/PolicyKit1/Authority"
_AUTHORITY = "org.freedesktop.PolicyKit1.Authority"
_ALLOW_USER_INTERACTION = 1
ROOT = 0
QUIET_SECONDS = 10.0
PROMPT_SECONDS = 600.0  # time to find a password
MOST_QUESTIONS = 32
"""Concurrent polkit queries per user, over all of the user's clients: unanswered prompts of one
user must not use up the limit on all calls in progress."""


class Action(Enum):
    """The actions of org.nestd1.policy; MANAGE implies the others."""

    MANAGE = "org.nestd1.manage"
    CONFIGURE_MODULES = "org.nestd1.configure-modules"
    RELOAD_MODULES = "org.nestd1.reload-modules"
    CONFIGURE_LOGS = "org.nestd1.configure-logs"
    DEBUG_LOGS = "org.nestd1.debug-logs"
    COLLECT_LOGS = "org.nestd1.collect-logs"
    INHIBIT = "org.nestd1.inhibit"


class Verdict(Enum):
    """polkit's answer, in the words of logind's Can methods."""

    YES = "yes"
    NO = "no"
    CHALLENGE = "challenge"


class Authorizer:
    """Asks polkit on behalf of callers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cancellations = itertools.count(1)
        self._questions: Counter[int] = Counter()  # by user
        self._withdrawals: set[asyncio.Task[None]] = set()

    async def uid_of(self, sender: str) -> int:
        """The user id of a caller. Raises BusError if the caller is gone."""
        answer = await self._connection.call(
            _BUS, _BUS_PATH, _BUS, "GetConnectionUnixUser", "s", [sender]
        )
        return int(str(answer[0]))

    async def pid_of(self, sender: str) -> int:
        """The process id of a caller, for display only."""
        answer = await self._connection.call(
            _BUS, _BUS_PATH, _BUS, "GetConnectionUnixProcessID", "s", [sender]
        )
        return int(str(answer[0]))

    async def require(self, call: Call, action: Action, details: Mapping[str, str]) -> int:
        """The caller's user id, if the caller may do ACTION; prompts only where the call allows it.

        DETAILS go into the prompt. Raises BusError: AccessDenied, LimitsExceeded, or
        InteractiveAuthorizationRequired if a password would help but could not be asked for.
        """
        try:
            uid = await self.uid_of(call.sender)
        except BusError:
            raise BusError(ACCESS_DENIED, "The caller has left the bus.") from None
        verdict = await self._verdict(uid, call, action, details, interactive=call.interactive)
        if verdict is Verdict.CHALLENGE:
            raise BusError(AUTH_REQUIRED, "Interactive authentication is required.")
        if verdict is Verdict.NO:
            raise BusError(ACCESS_DENIED, f"Not authorized: {action.value} is denied.")
        return uid

    async def check(self, call: Call, action: Action, details: Mapping[str, str]) -> Verdict:
        """polkit's answer without a prompt. Raises BusError LimitsExceeded."""
        try:
            uid = await self.uid_of(call.sender)
        except BusError:
            return Verdict.NO
        return await self._verdict(uid, call, action, details, interactive=False)

    async def reader(
        self, call: Call, *, files: Action | None = None, processes: Action | None = None
    ) -> Reader:
        """What the caller may see: the text of private files and other users' processes only if it
        is root or polkit allows the action FILES or PROCESSES. Never prompts; None means that
        nothing of that kind is hidden, so polkit is not asked.
        """
        if files is None and processes is None:
            return EVERYBODY
        try:
            uid = await self.uid_of(call.sender)
        except BusError:
            return EVERYBODY
        allowed = {
            action: await self._allows(uid, call, action)
            for action in dict.fromkeys((files, processes))
            if action is not None
        }
        return Reader(uid, bool(files and allowed[files]), bool(processes and allowed[processes]))

    async def _allows(self, uid: int, call: Call, action: Action) -> bool:
        try:
            verdict = await self._verdict(uid, call, action, {}, interactive=False)
        except BusError:  # too many queries of this user are pending
            return False
        return verdict is Verdict.YES

    async def _verdict(
        self,
        uid: int,
        call: Call,
        action: Action,
        details: Mapping[str, str],
        *,
        interactive: bool,
    ) -> Verdict:
        if uid in (ROOT, os.geteuid()):
            return Verdict.YES
        with self._counted(uid):
            return await self._ask_while_there(call.sender, action, details, interactive)

    @contextlib.contextmanager
    def _counted(self, uid: int) -> Iterator[None]:
        if self._questions[uid] >= MOST_QUESTIONS:
            text = f"{MOST_QUESTIONS} of your calls already wait for authorization."
            raise BusError(LIMITS_EXCEEDED, text)
        self._questions[uid] += 1
        try:
            yield
        finally:
            self._questions[uid] -= 1
            if not self._questions[uid]:
                del self._questions[uid]

    async def _ask_while_there(
        self, sender: str, action: Action, details: Mapping[str, str], interactive: bool
    ) -> Verdict:
        """Ask polkit; give up when the caller leaves the bus."""
        cancellation = f"nestd-{next(self._cancellations)}"
        asking = asyncio.ensure_future(
            self._ask(sender, action, details, interactive, cancellation)
        )
        gone = asyncio.ensure_future(self._connection.vanished(sender).wait())
        try:
            await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
        except BusError as error:
            if error.name != NO_REPLY:
                return Verdict.NO
        finally:
            gone.cancel()
            asking.cancel()
        self._withdraw(cancellation)
        return Verdict.NO

    async def _ask(
        self,
        sender: str,
        action: Action,
        details: Mapping[str, str],
        interactive: bool,
        cancellation: str,
    ) -> Verdict:
        flags = _ALLOW_USER_INTERACTION if interactive else 0
        subject = ("system-bus-name", {"name": Variant("s", sender)})
        [result] = await self._connection.call(
            _POLKIT,
            _POLKIT_PATH,
            _AUTHORITY,
            "CheckAuthorization",
            "(sa{sv})sa{ss}us",
            [subject, action.value, dict(details), flags, cancellation],
            timeout=PROMPT_SECONDS if interactive else QUIET_SECONDS,
        )
        assert isinstance(result, tuple)
        authorized, challenge = result[0], result[1]
        if authorized is True:
            return Verdict.YES
        return Verdict.CHALLENGE if challenge else Verdict.NO

    def _withdraw(self, cancellation: str) -> None:
        """Cancel the query, which closes polkit's dialog; does not wait."""
        task = asyncio.ensure_future(self._cancel(cancellation))
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)

    async def _cancel(self, cancellation: str) -> None:
        with contextlib.suppress(BusError):
            await self._connection.call(
                _POLKIT, _POLKIT_PATH, _AUTHORITY, "CancelCheckAuthorization", "s", [cancellation]
            )
