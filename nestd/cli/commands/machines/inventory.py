# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guests to stop for a reload, what happens to each, and which ones must not be stopped."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from nestd.cli.invocation.session import Session
from nestd.cli.local.domains import RUNNING, Domain, Domains
from nestd.cli.local.virsh import VirshError
from nestd.cli.service.values import Blocker, Guest, Host
from nestd.formats.libvirt_xml import domain_xml
from nestd.formats.libvirt_xml.nesting_edit import FEATURES, requires
from nestd.formats.libvirt_xml.safe_xml import XmlError

SAVE, SHUTDOWN = "save", "shutdown"
_LOOKS = 4  # libvirt probes QEMU for a second or two after its own start
_PAUSE = 1.0


class Machine(NamedTuple):
    """A running guest; domain is None if libvirt's system daemon does not know it."""

    guest: Guest
    domain: Domain | None


class Stop(NamedTuple):
    """The request: save or shutdown, and whether nesting is off afterwards."""

    how: str
    switches_off: bool


class Prospect(NamedTuple):
    """What will happen to a machine; waits: libvirt will not start it again until nesting is on."""

    name: str
    pid: int
    waits: bool = False
    warning: str = ""


async def look(session: Session, module: str) -> tuple[list[Machine], list[Blocker]]:
    """The running guests, and other users of the module; waits for users that are about to end."""
    for remaining in reversed(range(_LOOKS)):
        domains = {each.pid: each for each in await Domains().all() if each.pid}
        found = await session.client.guests()
        machines = [Machine(each, domains.get(each.pid)) for each in found]
        blockers = await session.client.blockers(module)
        others = [each for each in blockers if each.kind != "machine"]
        strange = bool(others) or any(each.domain is None for each in machines)
        if not strange or not remaining:
            break
        await asyncio.sleep(_PAUSE)
    return machines, others


def obstacle(machine: Machine, stop: Stop) -> Blocker | None:
    """Why it must not be stopped; None if it may be."""
    domain = machine.domain
    if domain is None:
        why = f"not managed by libvirt's system daemon but by {machine.guest.vmm}: end it there"
    elif not domain.persistent:
        why = "transient: libvirt would forget it once it is stopped"
    elif domain.state != RUNNING:
        why = f"{domain.state}: it runs afterwards, or its state is lost"
    else:
        why = _loss(machine.guest, stop)
    return Blocker("machine", machine.guest.name, machine.guest.pid, why) if why else None


def _loss(guest: Guest, stop: Stop) -> str:
    """Why saving it could lose its state, "" for no reason: a guest saved while it runs guests of
    its own cannot be restored without nesting.
    """
    if stop.how != SAVE or not stop.switches_off or is_free_of_nesting(guest):
        return ""
    if guest.nesting == "used":
        return "it has run guests of its own: without nesting its saved state would be lost"
    return f"it may have run guests of its own ({guest.nesting_by}), and its saved state be lost"


def is_free_of_nesting(guest: Guest) -> bool:
    """Whether it has certainly run no guest of its own."""
    return guest.nesting == "not-used" or (guest.exposed == "no" and guest.nesting != "used")


async def prospect(host: Host, machine: Machine, stop: Stop) -> Prospect:
    """What will happen to a machine that may be stopped (see obstacle())."""
    guest, saves = machine.guest, stop.how == SAVE
    found = Prospect(guest.name, guest.pid)
    if not stop.switches_off:
        return found
    if await _requires_nesting(host, machine, saves):
        kept = "; its saved state stays" if saves else ""
        text = f"{guest.name} requires nesting: libvirt does not start it while that is off{kept}."
        return found._replace(waits=True, warning=text)
    if saves and guest.exposed != "no":
        # Whether a guest, and thus its saved state, has KVM loaded cannot be seen from outside.
        has = "has" if guest.exposed == "yes" else "may have"
        text = (
            f"{guest.name} {has} nesting: if KVM is loaded in it, its saved state may be lost"
            " without nesting, and it boots again. To have it shut down instead: nestctl nested off"
            f" --stop-machines {SHUTDOWN}"
        )
        return found._replace(warning=text)
    return found


async def _requires_nesting(host: Host, machine: Machine, saves: bool) -> bool:
    """Whether libvirt will not start it again while nesting is off."""
    feature = FEATURES.get(host.vendor)
    if machine.domain is None or feature is None:
        return False
    uuid = machine.domain.uuid
    domains = Domains()
    try:
        text = await (domains.live(uuid) if saves else domains.definition(uuid))
        return requires(domain_xml.parse(text), feature)
    except (VirshError, XmlError):
        return False
