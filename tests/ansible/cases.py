# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tasks that run on each host, and the results that they must have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleet import Files, SimulatedHost


@dataclass(frozen=True)
class Case:
    """One task on one host; refused is the last word of the expected error's name.

    foreseen: whether check mode can predict the result; it cannot predict a load that fails.
    """

    name: str
    module: str
    options: Mapping[str, object]
    changed: bool = True
    refused: str = ""
    simulate: str = "intel"
    files: Files = field(default_factory=dict)
    machines: Sequence[str] = ()
    foreseen: bool = True

    @property
    def host(self) -> SimulatedHost:
        return SimulatedHost(self.name, self.simulate, self.files, self.machines)


# The immediate result of `nested: {enabled: true}` on an Intel host in each situation.
REFUSED_WHEN_ON = {
    "overridden": "Overridden",
    "cmdline": "Overridden",
    "config-error": "Conflict",
    "builtin": "BuiltIn",
    "missing": "NotSupported",
    "guest-of": "NotSupported",
}
SITUATIONS = (
    *("guests=3", "overridden", "cmdline", "blacklisted", "builtin", "missing", "config-error"),
    *("load-fails", "rollback-fails", "slow", "libvirt-unreadable", "socket-activated"),
    "guest-of=kvm",
)


def all_cases() -> list[Case]:
    return [*_situations(), *_nested(), *_parameters(), *_logs()]


def _situations() -> Iterator[Case]:
    for situation in SITUATIONS:
        name = situation.partition("=")[0]
        options = {"enabled": True}
        refused = REFUSED_WHEN_ON.get(name, "")
        simulate = f"intel,{situation}"
        yield Case(f"on-{name}", "nested", options, refused=refused, simulate=simulate)


def _nested() -> Iterator[Case]:
    off = {"enabled": False}
    for kind in ("intel", "amd", "power"):
        yield Case(f"off-{kind}", "nested", off, simulate=kind)
    yield Case("on-s390", "nested", {"enabled": True}, simulate="s390")
    yield Case("busy-now", "nested", off, refused="Busy", machines=["web01"])
    yield Case("busy-idle", "nested", {**off, "when": "idle"}, machines=["web01"])
    yield Case("busy-boot", "nested", {**off, "when": "boot"}, machines=["web01"])
    yield Case("idle-at-once", "nested", {**off, "when": "idle", "wait": 30})
    waits = {**off, "when": "idle", "wait": 1}
    yield Case("idle-and-wait", "nested", waits, machines=["web01"])
    boot = {"enabled": True, "when": "boot"}
    yield Case("overridden-boot", "nested", boot, simulate="intel,overridden", changed=False)
    yield Case(
        "load-fails",
        "nested",
        off,
        refused="RolledBack",
        simulate="intel,load-fails",
        foreseen=False,
    )
    fails = {**off, "when": "idle", "wait": 30}
    yield Case(
        "load-fails-idle", "nested", fails, refused="RolledBack", simulate="intel,load-fails",
        foreseen=False,
    )  # fmt: skip


def _parameters() -> Iterator[Case]:
    name = "module_parameters"
    poll = {"module": "kvm", "parameters": {"halt_poll_ns": 50000}}
    yield Case("in-place", name, poll, machines=["web01"])
    ept = {"module": "kvm-intel", "parameters": {"ept": False, "ple_gap": 64}}
    yield Case("two", name, ept)
    gone = {"module": "kvm_amd", "parameters": {"avic": None}, "state": "absent", "when": "boot"}
    conf = {"/etc/modprobe.d/kvm.conf": "# ours\noptions kvm_amd avic=1 npt=1\n"}
    yield Case("absent", name, gone, simulate="amd", files=conf)
    yield Case("absent-already", name, gone, changed=False, simulate="amd")
    none = {"module": "kvm", "parameters": {"no_such": 1}}
    yield Case("no-such-parameter", name, none, refused="InvalidParameter")
    none = {"module": "kvm_hv", "parameters": {"nested": 1}}
    yield Case("no-such-module", name, none, refused="InvalidArgs")


def _logs() -> Iterator[Case]:
    name, daemon = "log_filters", {"daemon": "virtqemud"}
    yield Case("logs-now", name, {**daemon, "filters": ["3:qemu", "4:util"]})
    yield Case("logs-start", name, {**daemon, "preset": "qemu", "when": "start"})
    yield Case("logs-runtime", name, {**daemon, "filters": ["1:qemu 3:remote"], "when": "runtime"})
    output = ["1:file:/var/log/libvirt/debug.log"]
    yield Case("logs-outputs", name, {**daemon, "filters": ["1:qemu"], "outputs": output})
    yield Case("logs-none", name, {**daemon, "filters": []}, changed=False)
    yield Case("logs-wrong", name, {**daemon, "filters": ["9:qemu"]}, refused="InvalidFilter")
    other = {"daemon": "libvirtd", "filters": []}
    yield Case("logs-no-daemon", name, other, refused="InvalidArgs")
    for situation in ("libvirt-unreadable", "socket-activated"):
        simulate = f"intel,{situation}"
        refused = "ConfigUnparsable" if situation == "libvirt-unreadable" else ""
        options = {**daemon, "filters": ["3:qemu"]}
        yield Case(f"logs-{situation}", name, options, refused=refused, simulate=simulate)
    session = "debug_session"
    yield Case("debug", session, {**daemon, "duration": "1h"})
    yield Case("debug-stopped", session, {**daemon, "state": "stopped"}, changed=False)
    yield Case("debug-wrong", session, {**daemon, "filters": ["x"]}, refused="InvalidFilter")
