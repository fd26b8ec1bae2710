# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may change something: polkit's word, asked without holding anybody else up.

The subject is the caller's unique bus name, never its process id, which can be reused. Whatever
goes wrong on the way means no, except that uid 0 may do everything where there is no polkit.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from enum import Enum

from nestd.bus.transport import Connection
from nestd.bus.wire import (
    ACCESS_DENIED,
    AUTH_REQUIRED,
    NAME_HAS_NO_OWNER,
    SERVICE_UNKNOWN,
    BusError,
    Call,
    Variant,
)

_BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
_POLKIT = "org.freedesktop.PolicyKit1"
_POLKIT_PATH = "/org/freedesktop/PolicyKit1/Authority"
_AUTHORITY = "org.freedesktop.PolicyKit1.Authority"
_ALLOW_USER_INTERACTION = 1
_ABSENT = (SERVICE_UNKNOWN, NAME_HAS_NO_OWNER)
ROOT = 0
QUIET_SECONDS = 10.0
PROMPT_SECONDS = 600.0  # a person looks for a password


class Action(Enum):
    """The actions of org.nestd1.policy."""

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

    async def uid_of(self, sender: str) -> int:
        """The user id of a caller. Raises BusError where the caller is gone."""
        answer = await self._connection.call(
            _BUS, _BUS_PATH, _BUS, "GetConnectionUnixUser", "s", [sender]
        )
        return int(str(answer[0]))

    async def pid_of(self, sender: str) -> int:
        """The process id of a caller: to show, not to trust."""
        answer = await self._connection.call(
            _BUS, _BUS_PATH, _BUS, "GetConnectionUnixProcessID", "s", [sender]
        )
        return int(str(answer[0]))

    async def require(self, call: Call, action: Action, details: Mapping[str, str]) -> None:
        """Return if the caller may do ACTION; prompts only where the call allows it.

        DETAILS go into the prompt. Raises BusError: AccessDenied, or
        InteractiveAuthorizationRequired where a password would help.
        """
        verdict = await self.check(call, action, details, interactive=call.interactive)
        if verdict is Verdict.CHALLENGE:
            raise BusError(AUTH_REQUIRED, "Interactive authentication is required.")
        if verdict is Verdict.NO:
            raise BusError(ACCESS_DENIED, f"Not authorized: {action.value} is denied.")

    async def check(
        self, call: Call, action: Action, details: Mapping[str, str], *, interactive: bool = False
    ) -> Verdict:
        """What polkit says. Never raises."""
        asking = asyncio.ensure_future(self._ask(call.sender, action, details, interactive))
        gone = asyncio.ensure_future(self._connection.vanished(call.sender).wait())
        try:
            await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return Verdict.NO
            return asking.result()
        except BusError as error:
            if error.name in _ABSENT and await self._is_root(call.sender):
                return Verdict.YES
            return Verdict.NO
        finally:
            gone.cancel()
            asking.cancel()

    async def _ask(
        self, sender: str, action: Action, details: Mapping[str, str], interactive: bool
    ) -> Verdict:
        cancellation = f"nestd-{next(self._cancellations)}"
        flags = _ALLOW_USER_INTERACTION if interactive else 0
        subject = ("system-bus-name", {"name": Variant("s", sender)})
        try:
            [result] = await self._connection.call(
                _POLKIT,
                _POLKIT_PATH,
                _AUTHORITY,
                "CheckAuthorization",
                "(sa{sv})sa{ss}us",
                [subject, action.value, dict(details), flags, cancellation],
                timeout=PROMPT_SECONDS if interactive else QUIET_SECONDS,
            )
        except asyncio.CancelledError:
            # The caller left while polkit asks: take the dialog away.
            with contextlib.suppress(BusError):
                await asyncio.shield(self._cancel(cancellation))
            raise
        assert isinstance(result, tuple)
        authorized, challenge = result[0], result[1]
        if authorized:
            return Verdict.YES
        return Verdict.CHALLENGE if challenge and not interactive else Verdict.NO

    async def _cancel(self, cancellation: str) -> None:
        await self._connection.call(
            _POLKIT, _POLKIT_PATH, _AUTHORITY, "CancelCheckAuthorization", "s", [cancellation]
        )

    async def _is_root(self, sender: str) -> bool:
        try:
            return await self.uid_of(sender) == ROOT
        except BusError:
            return False
