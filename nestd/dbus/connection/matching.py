# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus match rules, also applied locally: unicast signals arrive without a subscription."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestd.dbus.connection.messages import Header

_RULE = re.compile(r"(\w+)='([^',]*)'")
_FIELDS = ("path", "interface", "member")


@dataclass(frozen=True)
class MatchRule:
    """The signals that a subscription selects.

    Keys: type, sender, path, path_namespace, interface, member, argN.
    """

    text: str
    terms: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> MatchRule:
        """Parse a rule such as "type='signal',member='NameOwnerChanged'"; raises ValueError."""
        terms = {}
        for term in text.split(","):
            found = _RULE.fullmatch(term)
            if not found:
                raise ValueError(f"not a match rule: {text}")
            terms[found[1]] = found[2]
        unknown = [key for key in terms if not re.fullmatch(_KEYS, key)]
        if unknown or terms.get("type", "signal") != "signal":
            raise ValueError(f"not a match rule for signals: {text}")
        return cls(text, terms)

    @property
    def sender(self) -> str:
        """The required sender, a unique or well-known name; "" for any."""
        return self.terms.get("sender", "")

    def matches_header(self, header: Header) -> bool:
        """Whether everything but sender and arguments matches."""
        namespace = self.terms.get("path_namespace", "/").rstrip("/")
        return all(
            self.terms.get(field, getattr(header, field)) == getattr(header, field)
            for field in _FIELDS
        ) and (header.path == namespace or header.path.startswith(namespace + "/"))

    def matches_args(self, args: Sequence[object]) -> bool:
        """Whether the arguments match."""
        wanted = {int(key[3:]): value for key, value in self.terms.items() if key[:3] == "arg"}
        return all(n < len(args) and args[n] == value for n, value in wanted.items())


_KEYS = "type|sender|path|path_namespace|interface|member|arg[0-9]{1,2}"
