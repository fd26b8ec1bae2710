# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl validate and check-guest: findings with a verdict, a sentence and a hint each."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.screen.output import BAD, GOOD, STRONG, WARN, Screen, details, styled
from nestd.cli.service.errors import CliError, Exit
from nestd.cli.service.values import Finding

_STYLES = {"pass": GOOD, "note": "cyan", "warn": WARN, "fail": BAD}
_LONGEST = 16 << 20  # bytes of XML; the service takes far less and says so
_VIRSH_SECONDS = 30.0


def add_to(commands: Any) -> None:
    """Add the commands."""
    about = "Check whether this host is fit for nested virtualization"
    add_command(commands, "validate", validate, about, json=True)
    about = "Check whether a guest can run virtual machines itself"
    parser = add_command(commands, "check-guest", check_guest, about, json=True)
    help_ = "a libvirt domain, a file with its XML, or - for standard input"
    parser.add_argument("guest", metavar="NAME|FILE", help=help_)


async def validate(session: Session, chosen: Namespace) -> Exit:
    """Check the host; fails where a finding does."""
    findings = await session.client.validate()
    ready = not any(each.verdict == "fail" for each in findings)
    text = f"This host is {'' if ready else 'not '}ready for nested virtualization."
    return _tell(session.screen, findings, ready, text, json=chosen.json)


async def check_guest(session: Session, chosen: Namespace) -> Exit:
    """Check a guest; fails where it is not ready."""
    xml = await _domain_xml(chosen.guest)
    ready, findings = await session.client.check_guest(xml)
    text = f"This guest can{'' if ready else 'not'} run virtual machines on this host."
    return _tell(session.screen, findings, ready, text, json=chosen.json)


def _tell(
    screen: Screen, findings: Sequence[Finding], ready: bool, text: str, *, json: bool
) -> Exit:
    if json:
        screen.json({"ready": ready, "findings": findings})
    else:
        # What matters most comes last, next to the answer.
        screen.show(details(map(_row, sorted(findings, key=_weight))))
        screen.say("")
        screen.say((text, f"{STRONG} {GOOD if ready else 'red'}"))
    return Exit.DONE if ready else Exit.FAILED


def _weight(finding: Finding) -> int:
    verdicts = list(_STYLES)
    return verdicts.index(finding.verdict) if finding.verdict in verdicts else len(verdicts)


def _row(finding: Finding) -> tuple[Text, Sequence[str]]:
    verdict = styled((finding.verdict, _STYLES.get(finding.verdict, "")))
    return verdict, [finding.summary, *finding.hint.splitlines()]


async def _domain_xml(guest: str) -> str:
    """The XML of a guest given by its name or by a file."""
    if guest == "-":
        return _text(sys.stdin.buffer.read(_LONGEST))
    path = Path(guest)
    if path.is_file():
        return _read(path)
    if "/" in guest or path.suffix == ".xml":
        raise CliError(f"There is no file {guest}.", code=Exit.USAGE)
    return await _virsh("dumpxml", "--inactive", "--domain", guest)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _text(file.read(_LONGEST))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.") from error


def _text(data: bytes) -> str:
    """XML tells its own encoding, but D-Bus carries text: what is no UTF-8 is marked as such."""
    return data.decode("utf-8", "replace")


async def _virsh(*arguments: str) -> str:
    """What libvirt answers, asked read-only: no rights are needed, nothing is started."""
    uri = os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")
    command: Sequence[str] = ["virsh", "--readonly", "--connect", uri, *arguments]
    save = "Save its XML first, then: nestctl check-guest FILE.xml"
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        text = "A guest's name is looked up with virsh, which is not installed."
        raise CliError(text, save) from error
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _VIRSH_SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        raise CliError("libvirt does not answer.", save) from None
    if process.returncode:
        reason = errors.decode(errors="replace").strip().splitlines() or ["virsh failed"]
        raise CliError(f"libvirt says: {reason[-1]}", "Which guests there are: virsh list --all")
    return _text(output)
