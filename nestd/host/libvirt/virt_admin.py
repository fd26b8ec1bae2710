# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log settings of a running libvirt daemon, through virt-admin(1).

Connecting would start a socket-activated daemon, so only a running daemon is contacted.
"""

from __future__ import annotations

from nestd.host import program

PROGRAM = "virt-admin"
SECONDS = 10.0
# virt-admin prints this if the daemon has no outputs at all, for example after setting " ".
_NO_OUTPUTS = b"Library function returned error but did not set virError"


class VirtAdminError(Exception):
    """The daemon could not be reached; the text says why, without a full stop."""


class Refused(VirtAdminError):
    """The daemon refused the request; nothing was changed in it."""


class VirtAdmin:
    """The daemon with the admin server at URI. All methods raise VirtAdminError."""

    def __init__(self, uri: str, command: str = PROGRAM, seconds: float = SECONDS) -> None:
        self._uri = uri
        self._command = command
        self._seconds = seconds

    async def filters(self) -> str:
        """The filters as reported by the daemon, for example "1:*qemu* 3:*remote* "."""
        return _value(await self._run("daemon-log-filters"))

    async def outputs(self) -> str:
        """The outputs as reported by the daemon; "" if it has none at all."""
        result = await self._ask("daemon-log-outputs")
        if _NO_OUTPUTS in result.stderr:
            return ""
        return _value(_checked(result))

    async def set_filters(self, text: str) -> None:
        """Replace all filters; raises Refused."""
        await self._run("daemon-log-filters", text)

    async def set_outputs(self, text: str) -> None:
        """Replace all outputs; "" stands for libvirt's default; raises Refused."""
        await self._run("daemon-log-outputs", text)

    async def set_timeout(self, seconds: int) -> None:
        """Make the daemon exit after SECONDS of idle time, 0 for never.

        Raises Refused before libvirt 8.6.0, which has no such setting.
        """
        await self._run("daemon-timeout", "--timeout", str(seconds))

    async def _run(self, *arguments: str) -> program.Result:
        return _checked(await self._ask(*arguments))

    async def _ask(self, *arguments: str) -> program.Result:
        command = (self._command, "-q", "-c", self._uri, *arguments)
        try:
            return await program.run(*command, timeout=self._seconds)
        except FileNotFoundError:
            raise VirtAdminError("virt-admin is not installed") from None
        except (OSError, ValueError) as error:
            raise VirtAdminError(f"virt-admin failed: {error}") from error


def _checked(result: program.Result) -> program.Result:
    if result.status == 0:
        return result
    # "error: Failed to connect to the admin server", or a failure of the command itself.
    if result.status < 0 or b"admin server" in result.stderr:
        raise VirtAdminError(_reason(result))
    raise Refused(_reason(result))


def _reason(result: program.Result) -> str:
    complaint = result.complaint
    return complaint[len("error: ") :] if complaint.startswith("error: ") else complaint


def _value(result: program.Result) -> str:
    """The single line of output, blanks included."""
    try:
        text = result.stdout.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError:
        raise VirtAdminError("virt-admin's answer is not text") from None
    if not text.replace("\t", " ").isprintable():
        raise VirtAdminError("virt-admin's answer is not a log setting")
    return text
