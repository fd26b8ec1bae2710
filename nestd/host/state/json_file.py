# SPDX-License-Identifier: LGPL-2.1-or-later
"""Small persistent facts, as a JSON object in a file below /run or /var/lib."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nestd.host.files import read_regular
from nestd.host.state.state_file import write_state_file

DRIFT_CAUSES = "/run/nestd/drift.json"
KNOWN_KVM_CONF = "/var/lib/nestd/kvm.conf.json"
HISTORY = "/var/lib/nestd/history.json"
TOTALS = "/var/lib/nestd/totals.json"
_LIMIT = 1 << 20  # bytes

log = logging.getLogger(__name__)


class JsonFile:
    """One such file. A failed write is logged; its facts are lost when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """The last object written; empty if the file is missing or damaged."""
        try:
            found = json.loads(read_regular(self._path, _LIMIT) or b"{}")
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read and is ignored: %s", self._path, error)
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, facts: Mapping[str, object]) -> None:
        """Replace the content with FACTS atomically."""
        try:
            write_state_file(self._path, (json.dumps(facts, indent=1) + "\n").encode())
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)
