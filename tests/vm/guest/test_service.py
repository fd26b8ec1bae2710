# SPDX-License-Identifier: LGPL-2.1-or-later
"""This machine as busctl shows it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

NAME, MANAGER = "org.nestd1", "/org/nestd1"


def _property(path: str, interface: str, name: str) -> Any:
    command = ["busctl", "--json=short", "get-property", NAME, path, f"{NAME}.{interface}", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)["data"]


def test_unit_is_active_and_owns_its_name() -> None:
    command = ["systemctl", "is-active", "nestd.service"]
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout == "active\n"
    assert _property(MANAGER, "Manager", "Vendor") == "amd"
    module = _property(MANAGER, "Manager", "HostModule")
    assert module == "/org/nestd1/module/kvm_amd"
    assert _property(module, "Module", "Nested") == "yes"
