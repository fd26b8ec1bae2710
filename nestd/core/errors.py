# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's error classes: one small tree; each text is one plain sentence.

nestd.bus.errors maps each class to its D-Bus name; a class missing there is a bug.
"""

from __future__ import annotations

import errno

from nestd.host.editing.replacement import NotUndone


class NestdError(Exception):
    """Base class of the errors reported to callers."""


class InvalidArgument(NestdError):
    """The method does not accept an argument: an unknown word, option or object."""


class InvalidParameter(NestdError):
    """The module has no such parameter, or the parameter does not accept the value."""


class InvalidFilter(NestdError):
    """libvirt would reject a log filter; the text gives the filter, its position and the rule."""


class InvalidOutput(NestdError):
    """A log output is not allowed; the text gives the output, its position and the rule."""


class DaemonUnavailable(NestdError):
    """The libvirt daemon does not run or does not answer."""


class Missing(NestdError):
    """This host has no such module, or it is not loaded."""


class BuiltIn(NestdError):
    """The module is part of the kernel image: only the kernel command line sets its parameters."""


class Conflict(NestdError):
    """The kernel would refuse the combination of parameters."""


class Overridden(NestdError):
    """Another file or the kernel command line decides; the text says which."""


class ConfigUnparsable(NestdError):
    """A configuration file cannot be read, written or edited without loss."""


class FileChanged(NestdError):
    """Somebody else keeps changing the file; nestd changed nothing."""


class Unreadable(NestdError):
    """The running state cannot be read, so nothing was changed; the text has the reason."""


class StalePlan(NestdError):
    """The host has changed since the plan was made."""


class Busy(NestdError):
    """Something uses the module; the text names every user."""


class RolledBack(NestdError):
    """The reload failed and the previous state was restored; the text has the kernel's reason."""


class ReloadFailed(NestdError):
    """The reload failed and the previous state could not be restored: there is no KVM now."""


class NotRestored(NestdError):
    """A change failed and could not be undone; the text says what is in effect now.

    Its record and the old file are kept: the next start tries again.
    """


class NotSupported(NestdError):
    """This cannot be done on this host, or not yet."""


class WriteFailed(NestdError):
    """A file could not be written: the disk is full or read-only, or permission is missing."""


class Inhibited(NestdError):
    """A client prevents reloads; the text names it."""


class LimitsExceeded(NestdError):
    """The caller already has the maximum number of a resource."""


class NoSuchJob(NestdError):
    """There is no job with this number (any more)."""


def check_ours(is_ours: bool) -> None:
    """Raise NotSupported if another nestd manages this host."""
    if not is_ours:
        raise NotSupported("Another nestd serves this host: use that one.")


def system_reason(error: OSError) -> str:
    """The reason of a failed system call, as part of a sentence."""
    said = error.strerror or str(error)
    return f"{error.filename}: {said}" if error.filename else said


def write_failed(error: OSError) -> NestdError:
    """The error to report for a failed system call on a file."""
    reason = system_reason(error)
    if isinstance(error, NotUndone):
        return NotRestored(f"The change failed and could not be undone: {reason}.")
    if error.errno == errno.ESTALE:
        return FileChanged(f"Nothing was changed: {reason}.")
    if error.errno in (errno.EISDIR, errno.EINVAL, errno.ENOLINK):
        return ConfigUnparsable(f"Nothing was changed: {reason}.")
    return WriteFailed(f"Nothing was changed: {reason}.")
