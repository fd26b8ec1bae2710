# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why nestd refuses or fails: one small tree, each with one plain sentence as its text.

nestd.bus.errors maps each class to its D-Bus name; a class that is not there is a bug.
"""

from __future__ import annotations

import errno

from nestd.host.editing.replacement import NotUndone


class NestdError(Exception):
    """Base class of the errors reported to callers."""


class InvalidArgument(NestdError):
    """An argument is not one that the method takes: an unknown word, option or object."""


class InvalidParameter(NestdError):
    """The module has no such parameter, or the parameter no such value."""


class InvalidFilter(NestdError):
    """A log filter is not one that libvirt takes; the text names it, its position and the rule."""


class InvalidOutput(NestdError):
    """A log output is not one that may be set; the text names it, its position and the rule."""


class DaemonUnavailable(NestdError):
    """The libvirt daemon does not run or does not answer."""


class Missing(NestdError):
    """This host has no such module, or it is not loaded."""


class BuiltIn(NestdError):
    """The module is part of the kernel image: only the kernel command line sets its parameters."""


class Conflict(NestdError):
    """The kernel would refuse the combination of parameters."""


class Overridden(NestdError):
    """Another file or the kernel command line decides; the text names it."""


class ConfigUnparsable(NestdError):
    """A configuration file cannot be read, written or edited without loss."""


class FileChanged(NestdError):
    """Somebody else keeps changing the file: nothing was changed."""


class Unreadable(NestdError):
    """What runs cannot be read, so nothing is changed; the text has the reason."""


class StalePlan(NestdError):
    """Something that the plan was made from has changed."""


class Busy(NestdError):
    """Something uses the module; the text names all of it."""


class RolledBack(NestdError):
    """The reload failed and everything is as it was before; the text has the kernel's reason."""


class ReloadFailed(NestdError):
    """The reload failed and the state before it could not be restored: there is no KVM now."""


class NotRestored(NestdError):
    """A change failed and could not be undone; the text says what stands now.

    Its record and the old file are kept: the next start tries again.
    """


class NotSupported(NestdError):
    """This cannot be done here or not yet."""


class WriteFailed(NestdError):
    """A file could not be written: a full or read-only disk, or no right to."""


class Inhibited(NestdError):
    """A client asked for no reloads; the text names it."""


class LimitsExceeded(NestdError):
    """The caller holds as many of something as it may."""


class NoSuchJob(NestdError):
    """There is no job of that number, or no longer."""


def check_ours(is_ours: bool) -> None:
    """Raises NotSupported where another nestd acts on this host."""
    if not is_ours:
        raise NotSupported("Another nestd serves this host: ask that one.")


def system_reason(error: OSError) -> str:
    """What a failed system call says, as a part of a sentence."""
    said = error.strerror or str(error)
    return f"{error.filename}: {said}" if error.filename else said


def write_failed(error: OSError) -> NestdError:
    """What a failed system call on a file means to a caller."""
    reason = system_reason(error)
    if isinstance(error, NotUndone):
        return NotRestored(f"The change failed and could not be undone: {reason}.")
    if error.errno == errno.ESTALE:
        return FileChanged(f"Nothing was changed: {reason}.")
    if error.errno in (errno.EISDIR, errno.EINVAL, errno.ENOLINK):
        return ConfigUnparsable(f"Nothing was changed: {reason}.")
    return WriteFailed(f"Nothing was changed: {reason}.")
