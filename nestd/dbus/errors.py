# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus errors: the one exception of this floor, and the names that the specification defines."""

from __future__ import annotations

_STANDARD = "org.freedesktop.DBus.Error."

ACCESS_DENIED = _STANDARD + "AccessDenied"
AUTH_REQUIRED = _STANDARD + "InteractiveAuthorizationRequired"
DISCONNECTED = _STANDARD + "Disconnected"
FAILED = _STANDARD + "Failed"
INVALID_ARGS = _STANDARD + "InvalidArgs"
LIMITS_EXCEEDED = _STANDARD + "LimitsExceeded"
NAME_HAS_NO_OWNER = _STANDARD + "NameHasNoOwner"
NO_REPLY = _STANDARD + "NoReply"
NOT_SUPPORTED = _STANDARD + "NotSupported"
PROPERTY_READ_ONLY = _STANDARD + "PropertyReadOnly"
SERVICE_UNKNOWN = _STANDARD + "ServiceUnknown"
UNKNOWN_INTERFACE = _STANDARD + "UnknownInterface"
UNKNOWN_METHOD = _STANDARD + "UnknownMethod"
UNKNOWN_OBJECT = _STANDARD + "UnknownObject"
UNKNOWN_PROPERTY = _STANDARD + "UnknownProperty"


class BusError(Exception):
    """A D-Bus error reply, received or to be sent: a name and one plain sentence."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"
