# SPDX-License-Identifier: LGPL-2.1-or-later
"""A slow disk delays only the clients whose requests need it.

With NESTD_TEST_SLOW_DISK in the environment all tests of the tier use one: see running_nestd.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from private_bus import PrivateBus
from running_nestd import MANAGER, MODULE, PROPERTIES, ROOT, Client, Nestd, client_of, running_nestd
from shimmed import Shim

INTEL, KVM = f"{ROOT}/module/kvm_intel", f"{ROOT}/module/kvm"
DAEMON, LOG_DAEMON = f"{ROOT}/log/virtqemud", "org.nestd1.LogDaemon"
OTHER_FILES = 40
# The requests that every user may send, then those that make changes.
CALLS = (
    *((ROOT, MANAGER, member, "") for member in ("Describe", "Validate", "Posture")),
    *((ROOT, MANAGER, member, "") for member in ("ListMachines", "ListGuests", "ListHistory")),
    (INTEL, PROPERTIES, "GetAll", "s", MODULE),
    (INTEL, MODULE, "ListBlockers", ""),
    (INTEL, MODULE, "CanReload", ""),
    (INTEL, MODULE, "Plan", "a{ss}s", {"nested": "0"}, "now"),
    (DAEMON, LOG_DAEMON, "Plan", "sa{sv}", "1:qemu", {}),
    (INTEL, MODULE, "SetNested", "bsa{sv}", False, "boot", {}),
    (INTEL, MODULE, "Reload", "sa{sv}", "now", {}),
    (INTEL, MODULE, "SetNested", "bsa{sv}", True, "now", {}),
    (KVM, MODULE, "SetParameters", "a{ss}sa{sv}", {"halt_poll_ns": "1"}, "now", {}),
    (INTEL, MODULE, "Unload", "sa{sv}", "now", {}),
    (INTEL, MODULE, "Load", "a{sv}", {}),
    (DAEMON, LOG_DAEMON, "SetFilters", "ssa{sv}", "1:qemu", "start", {}),
    (DAEMON, LOG_DAEMON, "SetFilters", "ssa{sv}", "1:qemu 1:util", "now", {}),
    (DAEMON, LOG_DAEMON, "StartDebug", "sua{sv}", "1:qemu", 60, {}),
    (DAEMON, LOG_DAEMON, "StopDebug", ""),
)


async def job_when_idle(client: Client, nestd: Nestd) -> None:
    """A job that waits until a machine ends."""
    nestd.start_machine("web01")
    job = await client.set_nested("kvm_intel", False, "idle")
    nestd.end_machine("web01")
    assert await client.wait_for_job_end(job) == "done"


def test_nothing_waits_for_it_on_the_event_loop(bus: PrivateBus, tmp_path: Path) -> None:
    shim = Shim(tmp_path)

    async def body(nestd: Nestd) -> None:
        async with client_of(nestd) as client:
            directory = nestd.kvm_conf.parent
            for number in range(OTHER_FILES):
                (directory / f"other-{number}.conf").write_text("options x y=1\n")
            shim.slow_down()
            for call in CALLS:
                await client.call(*call)
            await job_when_idle(client, nestd)
            nestd.kvm_conf.write_text("options kvm_intel nested=1\n")
            await client.wait_for_property(INTEL, "NestedNext", "yes")
            assert shim.on_loop() == []

    arguments = ("--simulate", "intel")
    with running_nestd(bus.address, tmp_path, *arguments, environment=shim.environment) as nestd:
        asyncio.run(body(nestd))
