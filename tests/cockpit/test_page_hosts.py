# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page on hosts of each kind and in each situation, over the Python bridge.

Each page is checked as a whole: axe-core finds nothing, and nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from browser import Opener, expect
from newer_bridge import newer_bridge

from nestd.formats.simulation import KINDS, SITUATIONS

pytestmark = pytest.mark.cockpit

NESTED, MACHINES, CHECKS = "Nested virtualization", "Machines", "Checks"
PARAMETERS, LOGS = "Module parameters", "Debug logs"

# The host, and the text of its cards.
HOSTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "intel": ((NESTED, "kvm_intel"), (CHECKS, "This host is fit"), (LOGS, "virtqemud")),
    "amd": ((NESTED, "kvm_amd"), (PARAMETERS, "npt"), (LOGS, "virtqemud")),
    "power": ((NESTED, "kvm_hv"), (NESTED, "NowOn"), (LOGS, "libvirtd")),
    "s390": ((NESTED, "NowOff"), (CHECKS, "Nested virtualization is off (kvm.nested=0)")),
    "arm64": ((NESTED, "KVM runs throughbuiltin"), (CHECKS, "add kvm-arm.mode=nested")),
    "amd,guests=2": ((MACHINES, "guest1"), (MACHINES, "Has run machines")),
    "intel,overridden": (
        (NESTED, "Another file or the kernel command line beats"),
        (NESTED, "/etc/modprobe.d/site.conf:2"),
    ),
    "intel,cmdline": ((NESTED, "Decided byKernel command line"), (NESTED, "NowOff")),
    "intel,blacklisted": (
        (NESTED, "kvm_intel is not loaded at boot: a blacklist names it."),
        (NESTED, "/etc/modprobe.d/blacklist-kvm.conf:1"),
        (CHECKS, "this host can run no KVM virtual machine now"),
    ),
    "intel,builtin": ((NESTED, "is built into the kernel: only the kernel command line"),),
    "intel,missing": (
        (NESTED, "This host has no KVM module with a parameter"),
        (CHECKS, "has no module kvm_intel"),
        (PARAMETERS, "No module of KVM is loaded or configured."),
    ),
    "intel,config-error": (
        (NESTED, "With this configuration the next load of kvm_intel would fail."),
        (NESTED, "kvm_intel would refuse one of its values."),
        (CHECKS, "write nested=1 or nested=0"),
    ),
    "arm64,kvm-arm-mode=nested": ((NESTED, "NowOn"), (NESTED, "Decided byKernel command line")),
    "arm64,gicv2": ((CHECKS, "it has a GICv2 interrupt controller"),),
    "arm64,no-nv2": ((NESTED, "NowOff"),),
    "power,libvirt-unreadable": ((LOGS, "libvirtd.conf:28: expecting a separator"),),
    "intel,socket-activated": ((LOGS, "Starts when it is needed"),),
    "intel,guest-of=hyperv": (
        (NESTED, "This host has no KVM module with a parameter"),
        (CHECKS, "ExposeVirtualizationExtensions"),
    ),
}
# These show only when something changes: see test_page_jobs.
ELSEWHERE = {"load-fails", "rollback-fails", "slow"}


@pytest.mark.parametrize("host", HOSTS)
def test_host_is_shown(opened: Opener, host: str) -> None:
    screen = opened(host, bridge=newer_bridge())
    for card, words in HOSTS[host]:
        expect(screen.card(card)).to_contain_text(words)
    expect(screen.card(CHECKS).get_by_role("button", name="passed or")).to_be_visible()
    screen.inspect(f"host-{host}")


def test_every_kind_and_situation_is_shown() -> None:
    shown = {word.partition("=")[0] for host in HOSTS for word in host.split(",")}
    assert shown | ELSEWHERE == set(KINDS) | set(SITUATIONS)
    jobs = (Path(__file__).parent / "test_page_jobs.py").read_text()
    assert all(f"intel,{situation}" in jobs for situation in ELSEWHERE)
