# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who listens to which signals, and from whom they really come."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from nestd.dbus.connection.matching import MatchRule
from nestd.dbus.connection.messages import Header
from nestd.dbus.connection.wire import Signal

_log = logging.getLogger(__name__)

Callback = Callable[[Signal], None]
_NOBODY = ""


@dataclass(frozen=True)
class Subscription:
    """A callback and the signals it is for."""

    rule: MatchRule
    callback: Callback

    def deliver(self, signal: Signal) -> None:
        """Call back, if the arguments fit."""
        if not self.rule.matches_args(signal.args):
            return
        try:
            self.callback(signal)
        except Exception:
            _log.exception("Signal %s.%s could not be handled", signal.interface, signal.member)


class Subscriptions:
    """All of a connection. Signals carry unique names, so well-known ones are followed here."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._owners: dict[str, str] = {}

    def add(self, subscription: Subscription) -> None:
        """Have signals delivered from now on."""
        self._subscriptions.append(subscription)

    def concerned(self, header: Header) -> Sequence[Subscription]:
        """Those to which a signal with this header may go."""
        return [each for each in self._subscriptions if self._concerns(each.rule, header)]

    def _concerns(self, rule: MatchRule, header: Header) -> bool:
        sender = self._owners.get(rule.sender, rule.sender)
        return rule.matches_header(header) and (not rule.sender or sender == header.sender)

    def follow(self, name: str) -> bool:
        """Follow a well-known name, owned by nobody yet; False where it is followed already."""
        if name in self._owners:
            return False
        self._owners[name] = _NOBODY
        return True

    def owner_is(self, name: str, owner: str) -> None:
        """What the bus answers on who owns a name: older than any change it has told of since."""
        self._owners[name] = self._owners[name] or owner

    def owner_changed(self, name: str, owner: str) -> None:
        """What the bus signals of a name; "" is nobody."""
        if name in self._owners:
            self._owners[name] = owner
