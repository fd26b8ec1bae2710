# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what, with the system bus and polkit as they are installed."""

from __future__ import annotations

import subprocess

import installation
import pytest
from container import Container

pytestmark = pytest.mark.nspawn

MANAGER = ("org.nestd1", "/org/nestd1", "org.nestd1.Manager")
MODULE = ("org.nestd1", "/org/nestd1/module/kvm_intel", "org.nestd1.Module")
READING = (
    (*MANAGER, "ListMachines"),
    (*MANAGER, "GetModule", "s", "kvm_intel"),
    (*MANAGER, "Validate"),
    (*MANAGER, "Describe"),
    (*MANAGER, "ListInhibitors"),
    (*MODULE, "Plan", "a{ss}s", "1", "nested", "1", "boot"),
    (*MODULE, "ListBlockers"),
    (*MODULE, "CanReload"),
    ("org.nestd1", "/org/nestd1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
    ("org.nestd1", "/org/nestd1", "org.freedesktop.DBus.Introspectable", "Introspect"),
    (*MODULE[:2], "org.freedesktop.DBus.Properties", "GetAll", "s", "org.nestd1.Module"),
)
CHANGING = (
    (*MODULE, "SetNested", "bsa{sv}", "true", "boot", "0"),
    (*MODULE, "SetNested", "bsa{sv}", "true", "now", "0"),
    (*MODULE, "SetParameters", "a{ss}sa{sv}", "1", "nested", "1", "idle", "0"),
    (*MODULE, "Reload", "sa{sv}", "now", "0"),
    (*MANAGER, "Inhibit", "ss", "me", "because"),
    (*MANAGER, "CollectLogs", "a{sv}", "0"),
)
KVM_CONF = "/etc/modprobe.d/kvm.conf"
AUTH_REQUIRED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"


@pytest.mark.parametrize("call", READING, ids=lambda call: call[3])
def test_anyone_may_read(machine: Container, call: tuple[str, ...]) -> None:
    done = _call(machine, call, user="somebody")
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("call", CHANGING, ids=lambda call: call[3])
def test_who_is_nobody_changes_nothing(machine: Container, call: tuple[str, ...]) -> None:
    before = machine.file(KVM_CONF).read_bytes()
    done = _call(machine, call, user="somebody")
    assert done.returncode != 0
    assert AUTH_REQUIRED in done.stderr
    assert machine.file(KVM_CONF).read_bytes() == before


def test_the_bus_lets_nothing_else_through(machine: Container) -> None:
    call = (*MANAGER[:2], "org.example.Other", "Method")
    done = _call(machine, call, user="somebody")
    assert ACCESS_DENIED in done.stderr
    assert "nestd" in machine.output("busctl", "status", "org.nestd1")


def test_who_may_manage_may_change(machine: Container) -> None:
    call = (*MODULE, "SetNested", "bsa{sv}", "true", "boot", "0")
    done = _call(machine, call, user="admin")
    assert done.returncode == 0, done.stderr
    expected = installation.KVM_CONF + "options kvm_intel nested=1\r\n"
    assert machine.file(KVM_CONF).read_bytes() == expected.encode()
    answer = machine.output("busctl", "get-property", *MODULE, "NestedConfigured", "State")
    assert answer == 's "yes"\ns "reload-pending"\n'

    undo = (*MODULE, "SetParameters", "a{ss}sa{sv}", "1", "nested", "", "boot", "0")
    assert _call(machine, undo, user="admin").returncode == 0
    assert machine.file(KVM_CONF).read_bytes() == installation.KVM_CONF.encode()


def test_a_change_is_in_the_journal(machine: Container) -> None:
    call = (*MODULE, "SetNested", "bsa{sv}", "true", "boot", "0")
    assert _call(machine, call, user="admin").returncode == 0
    uid = machine.output("id", "--user", "admin").strip()
    found = machine.output("journalctl", "--catalog", f"NESTD_CALLER_UID={uid}")
    assert "Options of the kernel module kvm_intel were changed" in found
    undo = (*MODULE, "SetParameters", "a{ss}sa{sv}", "1", "nested", "", "boot", "0")
    assert _call(machine, undo, user="admin").returncode == 0


def test_each_action_is_known_to_polkit(machine: Container) -> None:
    names = ("configure-modules", "reload-modules", "configure-logs", "debug-logs")
    for name in (*names, "collect-logs", "inhibit", "manage"):
        shown = machine.output("pkaction", "--verbose", "--action-id", f"org.nestd1.{name}")
        assert "implicit any:      auth_admin" in shown


def test_nestctl_speaks_to_it(machine: Container) -> None:
    assert "kvm_intel, loaded" in machine.output("nestctl", "status", user="somebody")


def _call(machine: Container, call: tuple[str, ...], user: str) -> subprocess.CompletedProcess[str]:
    # As if by a program that cannot show a dialog. busctl prints an error's text; in its debug
    # log is the name.
    command = ("busctl", "call", "--allow-interactive-authorization=no", *call)
    return machine.run("env", "SYSTEMD_LOG_LEVEL=debug", *command, user=user)
