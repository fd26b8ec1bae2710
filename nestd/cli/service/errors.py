# SPDX-License-Identifier: LGPL-2.1-or-later
"""The errors of nestctl: a sentence, the next step, an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from nestd.cli.service.values import Blocker
from nestd.dbus import errors
from nestd.dbus.errors import BusError

_OWN = "org.nestd1.Error."
BUSY = _OWN + "Busy"
DAEMON_UNAVAILABLE = _OWN + "DaemonUnavailable"
INVALID_FILTER = _OWN + "InvalidFilter"
INHIBITED = _OWN + "Inhibited"
NOT_SUPPORTED = _OWN + "NotSupported"
RELOAD_FAILED = _OWN + "ReloadFailed"
ROLLED_BACK = _OWN + "RolledBack"
STALE_PLAN = _OWN + "StalePlan"
OVERRIDDEN = _OWN + "Overridden"
UNKNOWN_MEMBER = errors.UNKNOWN_METHOD


class Exit(IntEnum):
    """nestctl's exit codes, which scripts rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    BLOCKED = 3
    NOT_AUTHORIZED = 4
    NOT_REACHABLE = 5


class CliError(Exception):
    """An error that ends the command. text is one sentence; hint is the next step, "" for none.

    Hints say "nestctl", which the screen replaces by the program as it was called; "nestctl ..." is
    the whole command line. name is the D-Bus error's; blockers are those of a refused reload.
    """

    def __init__(
        self,
        text: str,
        hint: str = "",
        code: Exit = Exit.FAILED,
        name: str = "",
        blockers: tuple[Blocker, ...] = (),
    ) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.code = code
        self.name = name or (errors.INVALID_ARGS if code is Exit.USAGE else errors.FAILED)
        self.blockers = blockers


_CODES: Mapping[str, Exit] = MappingProxyType(
    {
        errors.INVALID_ARGS: Exit.USAGE,
        _OWN + "InvalidParameter": Exit.USAGE,
        INVALID_FILTER: Exit.USAGE,
        _OWN + "InvalidOutput": Exit.USAGE,
        _OWN + "NoSuchJob": Exit.USAGE,
        BUSY: Exit.BLOCKED,
        INHIBITED: Exit.BLOCKED,
        errors.ACCESS_DENIED: Exit.NOT_AUTHORIZED,
        errors.AUTH_REQUIRED: Exit.NOT_AUTHORIZED,
        errors.DISCONNECTED: Exit.NOT_REACHABLE,
        errors.NAME_HAS_NO_OWNER: Exit.NOT_REACHABLE,
        errors.NO_REPLY: Exit.NOT_REACHABLE,
        errors.SERVICE_UNKNOWN: Exit.NOT_REACHABLE,
    }
)
_HINTS: Mapping[str, str] = MappingProxyType(
    {
        errors.ACCESS_DENIED: "Ask an administrator, or try again as root:\n  sudo nestctl ...",
        errors.AUTH_REQUIRED: "Try again on a terminal, where a password can be asked for, or as"
        " root:\n  sudo nestctl ...",
        UNKNOWN_MEMBER: "Restart it:\n  systemctl restart nestd",
        errors.DISCONNECTED: "See what happened:\n  journalctl -u nestd -u dbus",
        errors.NO_REPLY: "See what it is doing:\n  systemctl status nestd",
        _OWN + "ConfigUnparsable": "Correct the file by hand, then try again.",
        _OWN + "FileChanged": "Save and close it where it is being edited, then try again.",
        _OWN + "NotRestored": "Remove the cause, then let nestd put it back:\n"
        "  systemctl restart nestd",
        _OWN + "Unreadable": "See what the kernel says:\n  journalctl -k -b",
        RELOAD_FAILED: "See what the kernel says:\n  journalctl -k -b",
    }
)
_NOT_RUNNING = CliError(
    "nestd does not run on this machine.",
    "Start it:\n  systemctl start nestd\n"
    "Or look without the service:\n  nestctl --standalone status",
    Exit.NOT_REACHABLE,
    errors.SERVICE_UNKNOWN,
)
_NO_SERVICE = (errors.SERVICE_UNKNOWN, errors.NAME_HAS_NO_OWNER)


def explain(error: BusError) -> CliError:
    """The CliError for a D-Bus error."""
    if error.name in _NO_SERVICE:
        return _NOT_RUNNING
    if error.name.startswith("org.freedesktop.DBus.Error.Spawn"):
        hint = "See why:\n  systemctl status nestd"
        text = f"nestd cannot be started: {error.text or error.name}"
        return CliError(f"{text.rstrip('.')}.", hint, Exit.NOT_REACHABLE, error.name)
    if error.name == errors.AUTH_REQUIRED:
        text = "This needs authentication."
    elif error.name == UNKNOWN_MEMBER:
        text = "The running nestd is older than this nestctl, and cannot do this."
    else:
        text = error.text or f"nestd answered with {error.name}."
    code = _CODES.get(error.name, Exit.FAILED)
    return CliError(text, _HINTS.get(error.name, ""), code, error.name)


def no_bus(error: Exception) -> CliError:
    """The CliError for a message bus that cannot be reached."""
    return CliError(
        f"The system's message bus (D-Bus) cannot be reached: {_reason(error)}.",
        "Without a system bus, for instance in a container, look with:\n"
        "  nestctl --standalone status",
        Exit.NOT_REACHABLE,
        errors.DISCONNECTED,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__
