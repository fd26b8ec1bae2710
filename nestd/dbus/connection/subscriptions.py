# SPDX-License-Identifier: LGPL-2.1-or-later
"""Subscriptions to signals with verified senders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from nestd.dbus.connection.matching import MatchRule
from nestd.dbus.connection.messages import Header
from nestd.dbus.values import Signal

_log = logging.getLogger(__name__)

Callback = Callable[[Signal], None]
_NOBODY = ""


@dataclass(frozen=True)
class Subscription:
    """A callback and the match rule of its signals."""

    rule: MatchRule
    callback: Callback

    def deliver(self, signal: Signal) -> None:
        """Call the callback if the arguments match."""
        if not self.rule.matches_args(signal.args):
            return
        try:
            self.callback(signal)
        except Exception:
            _log.exception("Signal %s.%s could not be handled", signal.interface, signal.member)


class Subscriptions:
    """All subscriptions of a connection. Tracks the owners of well-known names, since signals carry
    unique ones.
    """

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._owners: dict[str, str] = {}

    def add(self, subscription: Subscription) -> None:
        """Start to deliver signals to SUBSCRIPTION."""
        self._subscriptions.append(subscription)

    def concerned(self, header: Header) -> Sequence[Subscription]:
        """The subscriptions that a signal with this header may concern."""
        return [each for each in self._subscriptions if self._concerns(each.rule, header)]

    def _concerns(self, rule: MatchRule, header: Header) -> bool:
        sender = self._owners.get(rule.sender, rule.sender)
        return rule.matches_header(header) and (not rule.sender or sender == header.sender)

    def follow(self, name: str) -> bool:
        """Track a well-known name, at first without an owner; False if it is tracked already."""
        if name in self._owners:
            return False
        self._owners[name] = _NOBODY
        return True

    def owner_is(self, name: str, owner: str) -> None:
        """Take the bus's answer on a name's owner, unless a later change has been signalled."""
        self._owners[name] = self._owners[name] or owner

    def owner_changed(self, name: str, owner: str) -> None:
        """Take the bus's signal on a name's owner; "" means none."""
        if name in self._owners:
            self._owners[name] = owner
