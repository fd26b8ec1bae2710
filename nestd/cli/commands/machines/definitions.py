# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl guests deny and allow: nesting in the definitions of libvirt's guests."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NamedTuple

from nestd.cli.invocation.parser import Parser, add_command
from nestd.cli.invocation.session import Session
from nestd.cli.local.domains import SHUT_OFF, Domain, Domains
from nestd.cli.local.virsh import VirshError
from nestd.cli.screen.elements import GOOD
from nestd.cli.service.errors import NOT_SUPPORTED, CliError, Exit
from nestd.formats.libvirt_xml.comparison import equivalent
from nestd.formats.libvirt_xml.nesting_edit import FEATURES, NotChangeable, NotConcerned, changed
from nestd.formats.libvirt_xml.safe_xml import XmlError
from nestd.formats.unified_diff import unified_diff


class Outcome(NamedTuple):
    """The result for one guest. diff is "" if nothing changed; error continues after the name."""

    name: str
    uuid: str
    running: bool
    managed_save: bool
    changed: bool = False
    diff: str = ""
    error: str = ""
    concerned: bool = True


def add_to(guests: Any) -> None:
    """Add the commands below nestctl guests."""
    about = "Withhold nesting from a guest, from its next start on"
    _add_arguments(add_command(guests, "deny", deny, about))
    about = "Give a guest nesting, from its next start on"
    _add_arguments(add_command(guests, "allow", allow, about))


def _add_arguments(parser: Parser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", metavar="NAME", help="the guest's name, or its UUID")
    which.add_argument("--all", action="store_true", help="all guests, those that are off too")
    parser.add_argument("--dry-run", action="store_true", help="show the change, do nothing")


async def deny(session: Session, chosen: Namespace) -> Exit:
    """Deny nesting to guests."""
    return await _change(session, chosen, give=False)


async def allow(session: Session, chosen: Namespace) -> Exit:
    """Allow nesting to guests."""
    return await _change(session, chosen, give=True)


async def _change(session: Session, chosen: Namespace, *, give: bool) -> Exit:
    check_is_this_machine(session)
    host = await session.client.host()
    feature = FEATURES.get(host.vendor)
    if feature is None:
        text = "What a guest of this host needs for nesting cannot be expressed in libvirt's XML."
        raise CliError(text, name=NOT_SUPPORTED)
    known = await Domains().all()
    chosen_ones = known if chosen.all else [_named(known, chosen.name)]
    found = [
        await _change_one(each, feature, give=give, write=not chosen.dry_run)
        for each in chosen_ones
    ]
    others = await _others(session, known) if chosen.all and not give else []
    if session.screen.is_json:
        session.screen.json({"feature": feature, "guests": found, "others": others})
    else:
        for each in found:
            _report(session, each, feature, give=give, dry=chosen.dry_run)
        _report_others(session, found, others, host.nested.running == "no" and give)
    failed = any(each.error and each.concerned for each in found)
    return Exit.FAILED if failed or others else Exit.DONE


def check_is_this_machine(session: Session) -> None:
    """Raises CliError if the host is simulated or is the files of another machine."""
    if session.private is not None and session.private.root is not None:
        text = "virsh reaches the guests of this machine only, not those of that host."
        raise CliError(text, name=NOT_SUPPORTED)


def _named(known: Sequence[Domain], name: str) -> Domain:
    for each in known:
        if name in (each.name, each.uuid):
            return each
    hint = "See which guests there are:\n  virsh list --all"
    raise CliError(f"libvirt knows no guest {name}.", hint, Exit.USAGE)


async def _change_one(domain: Domain, feature: str, *, give: bool, write: bool) -> Outcome:
    running = domain.state != SHUT_OFF
    found = Outcome(domain.name, domain.uuid, running, domain.managed_save)
    if not domain.persistent:
        error = "is transient: it has no definition to change, and ends with its process"
        return found._replace(error=error)
    try:
        before = await Domains().definition(domain.uuid)
        after = changed(before, feature, give=give)
        if after == before:
            return found
        found = found._replace(diff=unified_diff(before.encode(), after.encode(), domain.name))
        if not write:
            return found._replace(changed=True)
        return found._replace(changed=True, error=await _write(domain, before, after))
    except NotConcerned as error:
        return found._replace(error=str(error), concerned=False)
    except NotChangeable as error:
        return found._replace(error=str(error))
    except (VirshError, XmlError) as error:
        return found._replace(error=f"was not changed: {error}")


async def _write(domain: Domain, before: str, after: str) -> str:
    """Write the definition and check it; returns what is wrong with the result, "" for nothing."""
    domains = Domains()
    if await domains.definition(domain.uuid) != before:
        raise VirshError("somebody else is changing it now.", "")
    await domains.define(after)
    if not equivalent(await domains.definition(domain.uuid), after):
        return f"was changed, and libvirt changed more in it: see virsh dumpxml {domain.name}"
    return ""


async def _others(session: Session, known: Sequence[Domain]) -> list[str]:
    """The running machines that may have nesting and are not defined in libvirt."""
    pids = {each.pid for each in known}
    found = await session.client.guests()
    return [
        f"{each.name} (pid {each.pid})"
        for each in found
        if each.pid not in pids and each.exposed != "no"
    ]


def _report(session: Session, one: Outcome, feature: str, *, give: bool, dry: bool) -> None:
    screen = session.screen
    if one.error:
        text = f"{one.name} {one.error.rstrip('.')}."
        screen.warn(text) if one.concerned else screen.note(text)
    if not one.diff:
        if not one.error:
            state = "not withheld from it" if give else "withheld from it"
            screen.say(f"{one.name}: nothing to do, {feature} is {state} already.")
        return
    if one.changed and not one.error:
        would = "would be" if dry else "is"
        what = "given to it" if give else "withheld from it"
        screen.say((f"{one.name}: {feature} {would} {what} from its next start on.", GOOD))
    screen.diff(one.diff)
    if one.running:
        keeps = "as it is" if give else "with what it has"
        screen.note(
            f"{one.name} runs on {keeps} until it is shut down and started; a reboot inside it is"
            " not enough."
        )
    if one.managed_save:
        screen.warn(
            f"{one.name} has a saved state, and its next start ignores the change: it is that of"
            f" the saved machine. Without that state: virsh managedsave-remove {one.name}"
        )


def _report_others(
    session: Session, found: Sequence[Outcome], others: Sequence[str], is_off: bool
) -> None:
    if not found:
        session.screen.say("libvirt knows no guests.")
    for each in others:
        session.screen.warn(f"{each} is not managed by libvirt: change it where it is started.")
    if is_off and any("'require'" in each.diff for each in found):
        session.screen.warn(
            "Nested virtualization is off: libvirt does not start guests that require it until"
            " nestctl nested on."
        )
