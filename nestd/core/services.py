# SPDX-License-Identifier: LGPL-2.1-or-later
"""core's services in one small object, which daemon creates and bus uses."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nestd.core.changes.changes import Changes
from nestd.core.history.history import History
from nestd.core.logs.daemons import LogDaemons
from nestd.core.modules.view import HostView
from nestd.core.reloads.queue import Reloads

if TYPE_CHECKING:
    from nestd.core.archive.archives import SupportArchives
    from nestd.core.describe import Describer
    from nestd.core.guests.guests import Guests
    from nestd.core.inspector import Inspector
    from nestd.core.posture.posture import Posture


class Services:
    """One object per service of nestd.

    Stateless services that few calls need are imported on first use: they are half of nestd's
    code and would slow down the start.
    """

    def __init__(
        self, view: HostView, reloads: Reloads, daemons: LogDaemons, history: History
    ) -> None:
        self.view = view  # the host's state
        self.reloads = reloads  # jobs, blockers and inhibitors
        self.changes = Changes(view, reloads)  # of modules' parameters; also plain reloads
        self.daemons = daemons  # libvirt's log settings
        self.history = history  # past changes, their callers and results

    @cached_property
    def inspector(self) -> Inspector:
        """Checks of the host and guests."""
        from nestd.core.inspector import Inspector

        return Inspector(self.view, self.daemons.states)

    @cached_property
    def guests(self) -> Guests:
        """The running machines and their nesting."""
        from nestd.core.guests.guests import Guests

        return Guests(self.view)

    @cached_property
    def posture(self) -> Posture:
        """The risks of nesting."""
        from nestd.core.posture.posture import Posture

        return Posture(self.view, self.guests)

    @cached_property
    def describer(self) -> Describer:
        """The whole state as one document."""
        from nestd.core.describe import Describer

        return Describer(self.view, self.reloads, self.daemons.states, lambda: self.history.totals)

    @cached_property
    def archives(self) -> SupportArchives:
        """Archives for support requests."""
        from nestd.core.archive.archives import SupportArchives

        return SupportArchives(self.view, self.describer.describe)
