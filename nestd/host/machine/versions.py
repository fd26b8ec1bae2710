# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed versions of the programs that matter to virtual machines."""

from __future__ import annotations

from nestd.host import program

_SECONDS = 10.0


def _commands(machine: str) -> tuple[tuple[str, ...], ...]:
    qemu = {"ppc64le": "ppc64", "i686": "i386"}.get(machine, machine)
    return (
        ("libvirtd", "--version"),
        ("virtqemud", "--version"),
        (f"qemu-system-{qemu}", "--version"),
        ("/usr/libexec/qemu-kvm", "--version"),  # RHEL's
        ("modprobe", "--version"),
        ("systemctl", "--version"),
    )


async def installed(machine: str) -> str:
    """One line per program: its version output, or that it is not installed."""
    return "".join([f"{command[0]}: {await _ask(*command)}\n" for command in _commands(machine)])


async def _ask(*command: str) -> str:
    try:
        answer = await program.run(*command, timeout=_SECONDS)
    except FileNotFoundError:
        return "not installed"
    except (OSError, TimeoutError) as error:
        return f"cannot be asked: {error}"
    lines = answer.stdout.decode("utf-8", "backslashreplace").splitlines()
    return lines[0] if lines and not answer.status else answer.complaint
