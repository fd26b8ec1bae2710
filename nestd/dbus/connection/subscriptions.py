# SPDX-License-Identifier: LGPL-2.1-or-later
"""Subscriptions to signals, with the senders verified."""

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
    """A callback and the rule of the signals that it gets."""

    rule: MatchRule
    callback: Callback

    def deliver(self, signal: Signal) -> None:
        """Call back if the arguments match."""
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
        """Deliver signals to SUBSCRIPTION from now on."""
        self._subscriptions.append(subscription)

    def concerned(self, header: Header) -> Sequence[Subscription]:
        """The subscriptions that a signal with this header may concern."""
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
        """The bus's answer about a name's owner, unless a later change has been signalled."""
        self._owners[name] = self._owners[name] or owner

    def owner_changed(self, name: str, owner: str) -> None:
        """The bus's signal about a name's owner; "" means none."""
        if name in self._owners:
            self._owners[name] = owner
