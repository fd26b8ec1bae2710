# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl undo: the latest change is reverted through the same steps, or not at all."""

from __future__ import annotations

import json
import time

from run_nestctl import Result, nestctl
from running_nestd import Nestd
from users import acting_as, nobody

QEMU_CONF = "etc/libvirt/virtqemud.conf"


def run(nestd: Nestd, *arguments: str) -> Result:
    return nestctl(nestd.address, *arguments)


def done(nestd: Nestd, *arguments: str) -> str:
    result = run(nestd, *arguments)
    assert result.code == 0, result.err
    return result.out


def nested(nestd: Nestd) -> str:
    return str(json.loads(done(nestd, "nested", "--json"))["nested"]["running"])


def test_a_change_is_put_back_and_undone_twice_is_there_again(intel: Nestd) -> None:
    before = intel.kvm_conf.read_bytes()
    done(intel, "nested", "off")
    after = intel.kvm_conf.read_bytes()
    assert "nestctl undo" in done(intel, "history")
    assert "-options kvm_intel nested=0" in done(intel, "undo", "--dry-run")
    assert intel.kvm_conf.read_bytes() == after
    told = done(intel, "undo")
    assert "To undo: nested=0 (now) of kvm_intel." in told
    assert "kvm_intel was reloaded, and verified." in told
    assert (intel.kvm_conf.read_bytes(), nested(intel)) == (before, "yes")
    done(intel, "undo")
    assert (intel.kvm_conf.read_bytes(), nested(intel)) == (after, "no")


def test_the_values_of_before_come_back_and_not_the_defaults(intel: Nestd) -> None:
    done(intel, "set", "kvm_intel", "ple_gap=64", "ept=0")
    done(intel, "set", "kvm_intel", "ple_gap=32", "nested=0")
    document = json.loads(done(intel, "undo", "--json"))
    assert document["module"]["configured"] == {"ept": "0", "ple_gap": "64"}
    assert document["module"]["parameters"]["nested"] == "Y"


def test_nothing_is_put_back_where_the_file_has_changed_since(intel: Nestd) -> None:
    done(intel, "nested", "off")
    edited = intel.kvm_conf.read_bytes() + b"# by hand\n"
    intel.kvm_conf.write_bytes(edited)
    assert "nestctl undo" not in done(intel, "history")
    for arguments in (["undo"], ["undo", "--dry-run"], ["undo", "--at-boot"]):
        refused = run(intel, *arguments)
        assert refused.code == 1
        assert "/etc/modprobe.d/kvm.conf has changed since nested=0 (now)" in refused.err
    assert (intel.kvm_conf.read_bytes(), nested(intel)) == (edited, "no")


def test_it_is_refused_and_waits_as_any_change(intel: Nestd) -> None:
    done(intel, "nested", "off")
    intel.start_machine("web1")
    deadline = time.monotonic() + 60
    while not json.loads(done(intel, "vms", "--json"))["machines"]:
        assert time.monotonic() < deadline
    refused = run(intel, "undo")
    assert refused.code == 3
    assert "nestctl undo --when-idle" in refused.err
    assert "nested=0" in intel.kvm_conf.read_text()
    assert "waits for web1" in done(intel, "undo", "--when-idle")
    assert "nested=0" not in intel.kvm_conf.read_text()
    # Undone while it waits: there is nothing left to wait for.
    done(intel, "undo")
    assert "nested=0" in intel.kvm_conf.read_text()
    assert json.loads(done(intel, "jobs", "--json"))["jobs"] == []
    assert nested(intel) == "no"


def test_log_settings_are_put_back(intel: Nestd) -> None:
    file = intel.root / QEMU_CONF
    first = "3:remote"
    done(intel, "log", "set", "virtqemud", first, "--outputs", "1:file:/var/log/libvirt/a.log")
    before = file.read_bytes()
    done(intel, "log", "set", "virtqemud", "1:qemu", "--outputs", "1:file:/var/log/libvirt/b.log")
    assert run(intel, "undo", "--when-idle").code == 2
    assert '-log_filters = "1:qemu"' in done(intel, "undo", "--dry-run")
    told = done(intel, "undo")
    assert "To undo: filters: 1:qemu" in told
    assert file.read_bytes() == before
    [daemon] = json.loads(done(intel, "log", "show", "virtqemud", "--json"))["log_daemons"]
    assert daemon["running"] == {"filters": first, "outputs": "1:file:/var/log/libvirt/a.log"}


def test_log_settings_are_put_back_in_the_file_only(intel: Nestd) -> None:
    before = (intel.root / QEMU_CONF).read_bytes()
    done(intel, "log", "set", "virtqemud", "1:qemu")
    assert "from its next start" in done(intel, "undo", "--at-boot")
    assert (intel.root / QEMU_CONF).read_bytes() == before
    [daemon] = json.loads(done(intel, "log", "show", "virtqemud", "--json"))["log_daemons"]
    assert daemon["running"]["filters"] == "1:qemu"


def test_what_wrote_no_file_cannot_be_put_back(intel: Nestd) -> None:
    assert "There is no change to undo." in run(intel, "undo").err
    done(intel, "nested", "off")
    done(intel, "log", "set", "virtqemud", "1:qemu", "--runtime")
    refused = run(intel, "undo")
    assert refused.code == 1
    assert "wrote no file" in refused.err
    assert nested(intel) == "no"


def test_a_change_of_somebody_else_is_not_put_back(intel: Nestd) -> None:
    done(intel, "nested", "off")
    with acting_as(nobody()):
        refused = run(intel, "undo")
    assert refused.code == 4
    assert "an administrator" in refused.err
    assert nested(intel) == "no"
