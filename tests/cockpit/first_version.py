# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes nestd one of version 1.0, without what 1.1 added to its interface.

The tests do not import it: Opener.run_before_nestd() takes its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nestd.bus import declared
from nestd.formats.api import job, log_daemon, manager, module

ADDED: Mapping[Any, str] = {
    job: "Since",
    log_daemon: "Activation DebugBytes DebugFile DebugFilters Warnings",
    manager: "Backend CheckAccess InhibitorsChanged ListGuests ListHistory ListPresets"
    " MachinesChanged MachinesKnown Nested NestedAtBoot NestedDecidedBy Posture",
    module: "Load LoadObstacles NestedAtBoot Pending ReadError Unload",
}


def _without(table: Any, names: set[str]) -> Any:
    def rest(members: Mapping[str, Any]) -> dict[str, Any]:
        return {name: each for name, each in members.items() if name not in names}

    element = rf'^ *<(\w+) name="(?:{"|".join(names)})"[^>]*?(?:/>|>.*?^ *</\1>)\n?'
    return table._replace(
        methods=rest(table.methods),
        properties=rest(table.properties),
        signals=rest(table.signals),
        xml=re.sub(element, "", table.xml, flags=re.MULTILINE | re.DOTALL),
    )


for file, words in ADDED.items():
    file.TABLE = _without(file.TABLE, set(words.split()))

_all_handlers = declared._handlers
declared._handlers = lambda interface: {
    name: handler
    for name, handler in _all_handlers(interface).items()
    if name in interface.spec.methods
}
