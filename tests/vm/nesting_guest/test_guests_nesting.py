# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which guests have nesting and use it; denying it; stopping them for a reload."""

from __future__ import annotations

import difflib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import l1_guests
import pytest
from l1_guests import (
    DISABLED,
    REQUIRED,
    SYS_NESTED,
    WHOLE,
    define,
    guests,
    nestctl,
    press_power_button,
    start,
    state,
    told_by,
    virsh,
    wait_until,
)

pytestmark = pytest.mark.timeout(3600)
KVM_CONF = Path("/etc/modprobe.d/kvm.conf")
RECORD = Path("/var/lib/nestd/stopped-machines.json")


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    before = KVM_CONF.read_bytes() if KVM_CONF.exists() else None
    with l1_guests.domains():
        yield
    if before is None:
        KVM_CONF.unlink(missing_ok=True)
    else:
        KVM_CONF.write_bytes(before)
    RECORD.unlink(missing_ok=True)
    if SYS_NESTED.read_text().strip() != "1":
        l1_guests.run("rmmod", "kvm_amd")
        l1_guests.run("modprobe", "kvm_amd", "nested=1")


def exposed(name: str) -> Any:
    return guests()[name]["exposed"]


def runs_one_now(name: str) -> bool:
    before = guests()[name]["nested_runs"]
    time.sleep(1)
    return guests()[name]["nested_runs"] != before


def test_four_guests_are_told_apart(record_property: Any) -> None:
    for name, cpu in (
        ("whole", WHOLE),
        ("disabled", DISABLED),
        ("required", REQUIRED),
        ("none", ""),
    ):
        define(name, cpu)
        start(name)
    found = guests()
    record_property("told", {name: each["exposed_by"] for name, each in found.items()})
    assert {name: told_by(name) for name in found} == {
        "whole": "svm\n",
        "disabled": "no svm\n",
        "required": "svm\n",
        "none": "no svm\n",
    }
    answers = {name: each["exposed"] for name, each in found.items()}
    assert answers == {"whole": "yes", "disabled": "no", "required": "yes", "none": "no"}
    assert {each["nesting"] for each in found.values()} == {"not-used"}


def test_a_guest_of_its_own_is_seen_to_start_and_to_end() -> None:
    define("whole", WHOLE)
    start("whole")
    assert guests()["whole"]["nesting"] == "not-used"
    press_power_button("whole")
    wait_until(lambda: guests()["whole"]["nesting"] == "used")
    assert runs_one_now("whole")
    told = nestctl("nested", "off", code=3)
    assert "With nesting now: whole (has run guests of its own)." in told
    refused = nestctl("nested", "off", "--stop-machines", "save", "--yes", code=3)
    assert re.search(r"whole \(pid \d+\): it has run guests of its own", refused)
    assert state("whole") == "running (booted)"
    press_power_button("whole")
    wait_until(lambda: not runs_one_now("whole"))
    assert guests()["whole"]["nesting"] == "used"


def test_after_a_reload_what_the_host_has_on_decides() -> None:
    define("whole", WHOLE)
    nestctl("nested", "off")
    start("whole")
    assert (exposed("whole"), told_by("whole")) == ("no", "no svm\n")
    virsh("destroy", "whole")
    nestctl("nested", "on")
    start("whole")
    assert (exposed("whole"), told_by("whole")) == ("yes", "svm\n")


def test_deny_and_allow_by_what_the_guest_then_sees() -> None:
    define("lab", WHOLE)
    start("lab")
    before = virsh("dumpxml", "--inactive", "lab")
    nestctl("guests", "deny", "lab")
    denied = virsh("dumpxml", "--inactive", "lab")
    assert told_by("lab") == "svm\n"
    virsh("destroy", "lab")
    start("lab")
    assert (told_by("lab"), exposed("lab")) == ("no svm\n", "no")
    nestctl("guests", "allow", "lab")
    assert virsh("dumpxml", "--inactive", "lab") == before
    virsh("destroy", "lab")
    start("lab")
    assert (told_by("lab"), exposed("lab")) == ("svm\n", "yes")
    changed = difflib.unified_diff(before.splitlines(), denied.splitlines(), n=0)
    words = [" ".join(line.split()) for line in changed if line[:3] not in ("---", "+++", "@@ ")]
    assert words == [
        "-  <cpu mode='host-passthrough' check='none' migratable='on'/>".replace("  ", " "),
        "+ <cpu mode='host-passthrough' check='none' migratable='on'>",
        "+ <feature policy='disable' name='svm'/>",
        "+ </cpu>",
    ]


def test_saved_for_a_reload_they_go_on(record_property: Any) -> None:
    define("whole", WHOLE)
    define("required", REQUIRED)
    for name in ("whole", "required"):
        start(name)
    started = time.monotonic()
    off = nestctl("nested", "off", "--stop-machines", "save", "--yes")
    record_property("save, reload, start", round(time.monotonic() - started, 1))
    assert SYS_NESTED.read_text().strip() == "0"
    assert "whole goes on where it was." in off
    assert "required requires nesting: libvirt does not start it while that is off" in off
    assert (state("whole"), state("required")) == ("running (restored)", "shut off (saved)")
    on = nestctl("nested", "on", "--stop-machines", "save", "--yes")
    assert SYS_NESTED.read_text().strip() == "1"
    assert {name: state(name) for name in ("whole", "required")} == {
        "whole": "running (restored)",
        "required": "running (restored)",
    }
    assert "required goes on where it was." in on
    assert not RECORD.exists()
    # The count restarted with its process.
    assert guests()["whole"]["nesting"] == "unknown"
    refused = nestctl("nested", "off", "--stop-machines", "save", "--yes", code=3)
    assert "it may have run guests of its own (restored" in refused


def test_one_that_has_loaded_a_hypervisor_is_not_saved_without_a_warning(
    record_property: Any,
) -> None:
    """No count shows it, and the result depends on QEMU and the kernel; it is reported truly."""
    define("loaded", WHOLE, l1_guests.LOADED)
    start("loaded")
    assert guests()["loaded"]["nesting"] == "not-used"
    told = nestctl("nested", "off", "--stop-machines", "save", "--yes")
    assert "Warning: loaded has nesting: if KVM is loaded in it" in told
    goes_on = "loaded goes on where it was." in told
    time.sleep(10)
    record_property("came back", (goes_on, state("loaded"), told_by("loaded")))
    if goes_on:
        assert told_by("loaded") == "svm\n", "it has booted anew"


def test_shut_down_for_a_reload_they_boot_anew() -> None:
    define("obedient", "", l1_guests.OBEDIENT)
    virsh("start", "obedient")
    time.sleep(20)  # until it reacts to its power button, which it cannot announce
    told = nestctl("nested", "off", "--stop-machines", "shutdown", "--yes")
    assert "obedient has booted again." in told
    assert SYS_NESTED.read_text().strip() == "0"
    assert state("obedient") == "running (booted)"


def test_killed_while_all_are_stopped_resume_finishes() -> None:
    define("whole", WHOLE)
    start("whole")
    process = subprocess.Popen(["nestctl", "nested", "off", "--stop-machines", "save", "--yes"])
    wait_until(lambda: state("whole") == "shut off (saved)" or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told = nestctl("machines", "resume")
    assert state("whole") == "running (restored)"
    assert "whole goes on where it was." in told
    assert not RECORD.exists()
