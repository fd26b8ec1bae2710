# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what, with the system bus and polkit as installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import installation
import pytest
from container import Container, wait_for
from contract import FILES, contract

pytestmark = pytest.mark.nspawn

SECONDS = 20.0
PROPERTIES = "org.freedesktop.DBus.Properties"
ID = "{id}"  # of a waiting job
MANAGER = ("org.nestd1", "/org/nestd1", "org.nestd1.Manager")
MODULE = ("org.nestd1", "/org/nestd1/module/kvm_intel", "org.nestd1.Module")
JOB = ("org.nestd1", f"/org/nestd1/job/{ID}", "org.nestd1.Job")
LOG_DAEMON = ("org.nestd1", "/org/nestd1/log/libvirtd", "org.nestd1.LogDaemon")
LOG_CONTROL = ("org.nestd1", "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1")
OBJECTS = (MANAGER, MODULE, JOB, LOG_DAEMON, LOG_CONTROL)
READING = (
    (*MANAGER, "ListMachines"),
    (*MANAGER, "GetModule", "s", "kvm_intel"),
    (*MANAGER, "GetLogDaemon", "s", "libvirtd"),
    (*MANAGER, "Validate"),
    (*MANAGER, "CheckGuest", "s", "<domain type='kvm'><os><type>hvm</type></os></domain>"),
    (*MANAGER, "Describe"),
    (*MANAGER, "ListInhibitors"),
    (*MANAGER, "ListGuests"),
    (*MANAGER, "Posture"),
    (*MANAGER, "ListPresets"),
    (*MANAGER, "ListHistory"),
    (*MANAGER, "CheckAccess", "as", "1", "reload-modules"),
    (*MANAGER, "GetJob", "u", ID),
    (*MODULE, "Plan", "a{ss}s", "1", "nested", "1", "boot"),
    (*MODULE, "ListBlockers"),
    (*MODULE, "CanReload"),
    (*MODULE, "Load", "a{sv}", "0"),  # it is loaded, so there is nothing to do
    (*LOG_DAEMON, "GetRunning"),
    (*LOG_DAEMON, "CheckFilters", "ss", "1:qemu", ""),
    (*LOG_DAEMON, "Plan", "sa{sv}", "1:qemu", "0"),
    *((*each[:2], PROPERTIES, "GetAll", "s", each[2]) for each in OBJECTS),
    (*MANAGER[:2], PROPERTIES, "Get", "ss", MANAGER[2], "Version"),
    (*MANAGER[:2], "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
    (*MANAGER[:2], "org.freedesktop.DBus.Introspectable", "Introspect"),
    (*MANAGER[:2], "org.freedesktop.DBus.Peer", "Ping"),
    (*MANAGER[:2], "org.freedesktop.DBus.Peer", "GetMachineId"),
)
CHANGING = (
    (*MODULE, "SetNested", "bsa{sv}", "true", "boot", "0"),
    (*MODULE, "SetNested", "bsa{sv}", "true", "now", "0"),
    (*MODULE, "SetParameters", "a{ss}sa{sv}", "1", "nested", "1", "idle", "0"),
    (*MODULE, "Reload", "sa{sv}", "now", "0"),
    (*MODULE, "Unload", "sa{sv}", "now", "0"),
    (*MANAGER, "Inhibit", "ss", "me", "because"),
    (*MANAGER, "CollectLogs", "a{sv}", "0"),
    (*JOB, "Cancel"),
    (*LOG_DAEMON, "SetFilters", "ssa{sv}", "1:qemu", "start", "0"),
    (*LOG_DAEMON, "StartDebug", "sua{sv}", "1:qemu", "60", "0"),
    (*LOG_DAEMON, "StopDebug"),
    (*LOG_CONTROL[:2], PROPERTIES, "Set", "ssv", LOG_CONTROL[2], "LogLevel", "s", "debug"),
    (*LOG_CONTROL[:2], PROPERTIES, "Set", "ssv", LOG_CONTROL[2], "LogTarget", "s", "null"),
)
KVM_CONF = "/etc/modprobe.d/kvm.conf"
LIBVIRTD_CONF = "/etc/libvirt/libvirtd.conf"
REFCNT = "/sys/module/kvm_intel/refcnt"
AUTH_REQUIRED = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"

# A fake libvirt: a sleeping daemon, with its settings in nestd's own /tmp.
UNIT_FILE = "/run/systemd/system/libvirtd.service"
UNIT = """\
[Service]
Type=exec
ExecStart=/usr/sbin/libvirtd infinity
ExecStartPost=/bin/sh -c 'echo $MAINPID > /run/libvirtd.pid'
"""
VIRT_ADMIN = """\
#!/bin/sh
cd /tmp
[ $# = 4 ] || { printf %s "$5" > "$4"; exit; }
[ -e "$4" ] || case $4 in *-outputs) printf 3:journald > "$4" ;; *) : > "$4" ;; esac
cat "$4"; echo
"""


@pytest.fixture(scope="module", autouse=True)
def _libvirtd(machine: Container) -> Iterator[None]:
    """A fake libvirt, with a debug session that only an authorized user can end."""
    machine.write(UNIT_FILE, UNIT)
    machine.write("/usr/bin/virt-admin", VIRT_ADMIN)
    machine.file("/usr/bin/virt-admin").chmod(0o755)
    machine.output("mkdir", "-p", "/var/log/libvirt")
    machine.output("ln", "-s", "/usr/bin/sleep", "/usr/sbin/libvirtd")
    machine.output("systemctl", "daemon-reload")
    machine.output("systemctl", "start", "libvirtd")
    start = ("busctl", "call", *LOG_DAEMON, "StartDebug", "sua{sv}", "1:util", "3600", "0")
    assert wait_for(lambda: machine.run(*start).returncode == 0, SECONDS)
    yield
    machine.output("busctl", "call", *LOG_DAEMON, "StopDebug")
    machine.output("systemctl", "stop", "libvirtd")
    for path in ("/usr/sbin/libvirtd", "/usr/bin/virt-admin", "/run/libvirtd.pid", UNIT_FILE):
        machine.file(path).unlink()
    machine.output("systemctl", "daemon-reload")


def test_each_member_is_among_the_calls() -> None:
    specs = [contract(name) for name in FILES]
    calls = (*READING, *CHANGING)
    methods = {f"{spec.name}.{name}" for spec in specs for name in spec.methods}
    assert {f"{call[2]}.{call[3]}" for call in calls} == methods
    assert {each[2] for each in OBJECTS} == {spec.name for spec in specs if spec.properties}
    writable = {
        (spec.name, name)
        for spec in specs
        for name, each in spec.properties.items()
        if each.writable
    }
    assert {call[5:7] for call in calls if call[3] == "Set"} == writable


@pytest.mark.parametrize("call", READING, ids=lambda call: "-".join(call[3:6:2]))
def test_anyone_may_read(machine: Container, call: tuple[str, ...]) -> None:
    with _with_a_job(machine, call) as complete:
        done = _call(machine, complete, user="somebody")
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == bool(contract(call[2]).methods[call[3]].out_signature)
    if call[3] == "GetAll":
        assert all(f'"{name}"' in done.stdout for name in contract(call[5]).properties)


@pytest.mark.parametrize("call", CHANGING, ids=lambda call: call[3])
def test_who_is_nobody_changes_nothing(machine: Container, call: tuple[str, ...]) -> None:
    with _with_a_job(machine, call) as complete:
        before = _state(machine)
        done = _call(machine, complete, user="somebody")
        assert _state(machine) == before
    assert done.returncode != 0
    assert AUTH_REQUIRED in done.stderr


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


@contextmanager
def _with_a_job(machine: Container, call: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The call, with the number of a waiting job if it takes one."""
    if not any(ID in word for word in call):
        yield call
        return
    machine.write(REFCNT, "1\n")
    reload = machine.output(
        "busctl", "--json=short", "call", *MODULE, "Reload", "sa{sv}", "idle", "0"
    )
    [path] = json.loads(reload)["data"]
    blockers = ("busctl", "get-property", JOB[0], path, JOB[2], "Blockers")
    assert wait_for(lambda: machine.output(*blockers).strip() != "a(ssus) 0", SECONDS)
    try:
        yield tuple(word.replace(ID, path.rpartition("/")[2]) for word in call)
    finally:
        machine.output("busctl", "call", JOB[0], path, JOB[2], "Cancel")
    # Not before: a remaining job would unload the module, and it is the host's.
    machine.write(REFCNT, "0\n")


def _state(machine: Container) -> tuple[object, ...]:
    """Everything that a call could change."""
    files = [machine.file(path).read_bytes() for path in (KVM_CONF, LIBVIRTD_CONF)]
    log = machine.output("busctl", "get-property", *LOG_CONTROL, "LogLevel", "LogTarget")
    return (*files, log, machine.output("busctl", "call", *MANAGER, "Describe"))


def _call(machine: Container, call: tuple[str, ...], user: str) -> subprocess.CompletedProcess[str]:
    # Without interactive authorization. busctl prints an error's text; its debug log has the name.
    command = ("busctl", "call", "--allow-interactive-authorization=no", *call)
    return machine.run("env", "SYSTEMD_LOG_LEVEL=debug", *command, user=user)
