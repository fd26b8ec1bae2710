# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one table from nestd's errors to their D-Bus names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nestd.core import errors
from nestd.dbus import errors as dbus_errors
from nestd.dbus.errors import BusError

_OWN = "org.nestd1.Error."
_STANDARD = "org.freedesktop.DBus.Error."

NAMES: Mapping[type[errors.NestdError], str] = MappingProxyType(
    {
        errors.Busy: _OWN + "Busy",
        errors.BuiltIn: _OWN + "BuiltIn",
        errors.ConfigUnparsable: _OWN + "ConfigUnparsable",
        errors.Conflict: _OWN + "Conflict",
        errors.DaemonUnavailable: _OWN + "DaemonUnavailable",
        errors.FileChanged: _OWN + "FileChanged",
        errors.Inhibited: _OWN + "Inhibited",
        errors.InvalidArgument: dbus_errors.INVALID_ARGS,
        errors.InvalidFilter: _OWN + "InvalidFilter",
        errors.InvalidOutput: _OWN + "InvalidOutput",
        errors.InvalidParameter: _OWN + "InvalidParameter",
        errors.LimitsExceeded: dbus_errors.LIMITS_EXCEEDED,
        errors.Missing: _OWN + "Missing",
        errors.NoSuchJob: _OWN + "NoSuchJob",
        errors.NotRestored: _OWN + "NotRestored",
        errors.NotSupported: _OWN + "NotSupported",
        errors.Overridden: _OWN + "Overridden",
        errors.ReloadFailed: _OWN + "ReloadFailed",
        errors.RolledBack: _OWN + "RolledBack",
        errors.StalePlan: _OWN + "StalePlan",
        errors.Unreadable: _OWN + "Unreadable",
        errors.WriteFailed: _STANDARD + "IOError",
    }
)


def translate(error: Exception) -> BusError | None:
    """The D-Bus error for ERROR; None if it is not one of nestd's errors."""
    name = NAMES.get(type(error)) if isinstance(error, errors.NestdError) else None
    return None if name is None else BusError(name, str(error))
