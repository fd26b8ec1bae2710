# SPDX-License-Identifier: LGPL-2.1-or-later
"""What core offers to its frontends: one small object that daemon fills and bus asks."""

from __future__ import annotations

from dataclasses import dataclass

from nestd.core.archive.archives import SupportArchives
from nestd.core.changes.changes import Changes
from nestd.core.describe import Describer
from nestd.core.guests.guests import Guests
from nestd.core.inspector import Inspector
from nestd.core.logs.daemons import LogDaemons
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads


@dataclass(frozen=True)
class Services:
    """The subjects of nestd, each by the object that answers for it."""

    view: HostView  # what the host is
    reloads: Reloads  # jobs, blockers and inhibitors
    changes: Changes  # of modules' parameters, and reloads without one
    daemons: LogDaemons  # libvirt's logs
    inspector: Inspector  # checks of the host and of guests
    guests: Guests  # what the running machines have of nesting
    describer: Describer  # the whole state in one document
    archives: SupportArchives


def assemble(view: HostView, reloads: Reloads, daemons: LogDaemons) -> Services:
    """The services of the host that VIEW shows."""
    describer = Describer(view, reloads, daemons.states)
    return Services(
        view=view,
        reloads=reloads,
        changes=Changes(view, reloads),
        daemons=daemons,
        inspector=Inspector(view),
        guests=Guests(view),
        describer=describer,
        archives=SupportArchives(view, describer.describe),
    )
