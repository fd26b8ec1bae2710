# SPDX-License-Identifier: LGPL-2.1-or-later
"""The services of core in one small object, which daemon assembles and bus uses."""

from __future__ import annotations

from dataclasses import dataclass

from nestd.core.archive.archives import SupportArchives
from nestd.core.changes.changes import Changes
from nestd.core.describe import Describer
from nestd.core.guests.guests import Guests
from nestd.core.history.history import History
from nestd.core.inspector import Inspector
from nestd.core.logs.daemons import LogDaemons
from nestd.core.modules.view import HostView
from nestd.core.posture.posture import Posture
from nestd.core.reloads.queue import Reloads


@dataclass(frozen=True)
class Services:
    """One object per subject of nestd."""

    view: HostView  # what the host is
    reloads: Reloads  # jobs, blockers and inhibitors
    changes: Changes  # of modules' parameters, and reloads without one
    daemons: LogDaemons  # libvirt's logs
    inspector: Inspector  # checks of the host and of guests
    guests: Guests  # what the running machines have of nesting
    posture: Posture  # what makes nesting a risk
    describer: Describer  # the whole state in one document
    archives: SupportArchives
    history: History  # what was changed, by whom, and how it ended


def assemble(view: HostView, reloads: Reloads, daemons: LogDaemons, history: History) -> Services:
    """The services of the host that VIEW shows."""
    guests = Guests(view)
    describer = Describer(view, reloads, daemons.states, lambda: history.totals)
    return Services(
        view=view,
        reloads=reloads,
        changes=Changes(view, reloads),
        daemons=daemons,
        inspector=Inspector(view, daemons.states),
        guests=guests,
        posture=Posture(view, guests),
        describer=describer,
        archives=SupportArchives(view, describer.describe),
        history=history,
    )
