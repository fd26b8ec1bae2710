# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl validate, check-guest and posture: findings with a verdict and a hint."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from nestd.cli.invocation.parser import add_command
from nestd.cli.invocation.session import Session
from nestd.cli.local.domain_xml import domain_xml
from nestd.cli.screen.elements import BAD, DIM, GOOD, STRONG, WARN, Text, details, styled
from nestd.cli.screen.output import Screen
from nestd.cli.service.errors import Exit
from nestd.cli.service.values import Finding
from nestd.formats.libvirt_xml.documents import domain_name, split_domains

_STYLES = {"pass": GOOD, "note": "cyan", "warn": WARN, "fail": BAD}
_GUIDE = frozenset(
    (
        *("support", "hypervisors", "host-system", "power-support", "power-xive"),
        "nested-guests",
    )
)
"""Notes that are the same on every host, from a vendor's guide."""


# The addition to the verdict, by NestedAtBoot.
_UNTIL_BOOT = {
    "no": " now, but not after a reboot",
    "unknown": " now; what a reboot brings is not known",
}


def add_to(commands: Any) -> None:
    """Add the commands."""
    all_ = "also show the notes that are the same on every host"
    about = "Check whether this host is fit for nested virtualization"
    parser = add_command(commands, "validate", validate, about)
    parser.add_argument("--all", action="store_true", help=all_)
    about = "Check whether a guest can run virtual machines itself"
    parser = add_command(commands, "check-guest", check_guest, about)
    help_ = "a libvirt domain, a file with its XML, or - for standard input"
    parser.add_argument("guest", metavar="NAME|FILE", help=help_)
    parser.add_argument("--all", action="store_true", help=all_)
    about = "Show what makes nesting a risk on this host"
    add_command(commands, "posture", posture, about)


async def validate(session: Session, chosen: Namespace) -> Exit:
    """Check the host; fails if a finding does."""
    findings = await session.client.validate()
    ready = not any(each.verdict == "fail" for each in findings)
    text = f"This host is {'' if ready else 'not '}ready for nested virtualization."
    if ready and not session.screen.is_json:
        at_boot = (await session.client.host()).nested.at_boot
        text = f"{text[:-1]}{_UNTIL_BOOT.get(at_boot, '')}."
    return _report(session.screen, findings, ready, text, everything=chosen.all)


async def check_guest(session: Session, chosen: Namespace) -> Exit:
    """Check a guest, or each one in a file of several; fails if one is not ready."""
    documents = split_domains(await domain_xml(chosen.guest))
    if session.screen.is_json:
        return await _print_guests(session, documents)
    if len(documents) > 1:
        session.screen.say(f"There are {len(documents)} guests in it, each checked separately.")
    return max([await _check_one(session, chosen, xml) for xml in documents])


async def _print_guests(session: Session, documents: Sequence[str]) -> Exit:
    """Print one JSON document: ready if all guests are, with all findings in order."""
    answers = [await session.client.check_guest(xml) for xml in documents]
    guests = [
        {"name": domain_name(xml), "ready": ready, "findings": findings}
        for xml, (ready, findings) in zip(documents, answers)
    ]
    all_ready = all(ready for ready, _ in answers)
    found = [finding for _, findings in answers for finding in findings]
    session.screen.json({"ready": all_ready, "findings": found, "guests": guests})
    return Exit.DONE if all_ready else Exit.FAILED


async def _check_one(session: Session, chosen: Namespace, xml: str) -> Exit:
    ready, findings = await session.client.check_guest(xml)
    text = f"This guest can{'' if ready else 'not'} run virtual machines on this host."
    return _report(session.screen, findings, ready, text, everything=chosen.all)


async def posture(session: Session, chosen: Namespace) -> Exit:
    """Show the risks; fails if a finding does."""
    findings = await session.client.posture()
    safe = not any(each.verdict == "fail" for each in findings)
    if session.screen.is_json:
        session.screen.json({"findings": findings})
    else:
        _show(session.screen, findings)
    return Exit.DONE if safe else Exit.FAILED


def _report(
    screen: Screen, findings: Sequence[Finding], ready: bool, text: str, *, everything: bool
) -> Exit:
    if screen.is_json:
        screen.json({"ready": ready, "findings": findings})
        return Exit.DONE if ready else Exit.FAILED
    hidden = [] if everything else [each for each in findings if _is_of_the_guide(each)]
    _show(screen, [each for each in findings if each not in hidden])
    screen.say("")
    screen.say((text, f"{STRONG} {GOOD if ready else 'red'}"))
    if hidden:
        notes = "one note is" if len(hidden) == 1 else f"{len(hidden)} notes are"
        screen.say((f"Of the guide {notes} not shown: see --all.", DIM))
    return Exit.DONE if ready else Exit.FAILED


def _is_of_the_guide(finding: Finding) -> bool:
    return finding.verdict == "note" and finding.id in _GUIDE


def _show(screen: Screen, findings: Sequence[Finding]) -> None:
    # The most important findings come last, next to the answer.
    screen.show(details(map(_row, sorted(findings, key=_weight))))


def _weight(finding: Finding) -> int:
    verdicts = list(_STYLES)
    return verdicts.index(finding.verdict) if finding.verdict in verdicts else len(verdicts)


def _row(finding: Finding) -> tuple[Text, Sequence[str]]:
    verdict = styled((finding.verdict, _STYLES.get(finding.verdict, "")))
    return verdict, [finding.summary, *finding.hint.splitlines()]
