# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs virsh(1), libvirt's own client, as the calling user for operations on guests."""

from __future__ import annotations

import os

from nestd.cli.service.errors import CliError, Exit
from nestd.host import program

SECONDS = 60.0
_INSTALL = (
    "Install it:\n"
    "  apt install libvirt-clients   # Debian, Ubuntu\n"
    "  dnf install libvirt-client   # Fedora, RHEL"
)


class VirshError(CliError):
    """libvirt refused or did not answer; reason is virsh's last line, without a full stop."""

    def __init__(self, text: str, reason: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text, code=code)
        self.reason = reason


class VirshTimeout(VirshError):
    """virsh did not finish in time."""


async def virsh(*arguments: str, timeout: float = SECONDS) -> str:
    """The output of virsh. Raises VirshError; VirshTimeout after TIMEOUT seconds."""
    uri = os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")
    try:
        done = await program.run("virsh", "--quiet", "--connect", uri, *arguments, timeout=timeout)
    except FileNotFoundError as error:
        raise CliError("This needs virsh, which is not installed.", _INSTALL) from error
    except TimeoutError as error:
        raise VirshTimeout("libvirt does not answer.", "it does not answer") from error
    if done.status:
        reason = done.complaint.removeprefix("error: ").rstrip(".")
        raise VirshError(f"libvirt says: {reason}.", reason)
    return done.stdout.decode("utf-8", "replace")
