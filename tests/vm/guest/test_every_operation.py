# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every method and property of the API, called on nestd in its shipped unit's sandbox.

A directive that is too strict shows up here: each call does its real work, with a kernel that loads
modules, libvirtd, the journal and the files of both. A member that is missing in the tables at the
end fails.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Callable

import machines
import pytest
from client import JOB, MANAGER, MODULE, PROPERTIES, ROOT, Client, Variant, refused, run
from contract import FILES, contract

import nestd

FREEDESKTOP = "org.freedesktop.DBus"
LOG_DAEMON, LOG_CONTROL = "org.nestd1.LogDaemon", "org.freedesktop.LogControl1"
AMD, LIBVIRTD = f"{ROOT}/module/kvm_amd", f"{ROOT}/log/libvirtd"
LOG_CONTROL_PATH = "/org/freedesktop/LogControl1"
SHIPPED = Path("/run/share/systemd/nestd.service")
SYS_MODULE = Path("/sys/module/kvm_amd")
NESTED = SYS_MODULE / "parameters/nested"
KVM_CONF = Path("/etc/modprobe.d/kvm.conf")
CONFIG = Path("/etc/libvirt/libvirtd.conf")
DEBUG_LOG = Path("/var/log/libvirt/libvirtd-debug.log")
FOREIGN = "# for this test\noptions kvm ignore_msrs=0\n"
DOMAIN = "<domain type='kvm'><os><type arch='x86_64' machine='q35'>hvm</type></os>{cpu}</domain>"

Operation = Callable[[Client], Coroutine[Any, Any, None]]


def output(*command: str) -> str:
    done = subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    return done.stdout.rstrip("\n")


def unit(name: str) -> str:
    return output("systemctl", "show", "--value", "--property", name, "nestd.service")


def libvirts_log() -> tuple[str, str]:
    """Filters and outputs that libvirtd uses."""
    admin = ("virt-admin", "-q", "-c", "libvirtd:///system")
    return output(*admin, "daemon-log-filters"), output(*admin, "daemon-log-outputs")


@pytest.fixture(scope="module", autouse=True)
def _one_process_of_the_shipped_unit() -> Iterator[None]:
    assert Path(unit("FragmentPath")).read_bytes() == SHIPPED.read_bytes()
    assert unit("DropInPaths") == ""
    process, started = unit("MainPID"), time.time()
    yield
    assert unit("MainPID") == process
    since = f"--since=@{started:.6f}"
    complaints = output("journalctl", "--quiet", "--unit=nestd", "--priority=warning", since)
    assert complaints == ""


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    config = CONFIG.read_bytes()
    KVM_CONF.write_text(FOREIGN)
    yield
    KVM_CONF.unlink()
    DEBUG_LOG.unlink(missing_ok=True)
    if CONFIG.read_bytes() != config:
        CONFIG.write_bytes(config)
    if NESTED.read_text() != "1\n":
        subprocess.run(["rmmod", "kvm_amd"], check=True)
        subprocess.run(["modprobe", "kvm_amd", "nested=1"], check=True)


# org.nestd1.Manager


async def list_machines(client: Client) -> None:
    with machines.bare_machine():
        [machine] = await client.call(ROOT, MANAGER, "ListMachines")
    pid, _, vmm, its_unit = machine
    assert pid == os.getpid()
    assert vmm.startswith("python3")
    assert its_unit == "share.service"


async def get_module(client: Client) -> None:
    assert await client.call(ROOT, MANAGER, "GetModule", "s", "kvm_amd") == AMD


async def get_log_daemon(client: Client) -> None:
    assert await client.call(ROOT, MANAGER, "GetLogDaemon", "s", "libvirtd") == LIBVIRTD


async def validate(client: Client) -> None:
    found = {each[0]: each[1] for each in await client.call(ROOT, MANAGER, "Validate")}
    # The processor, the module, the device node, and the initramfs as listed by a program.
    for each in ("cpu", "nested", "device", "initramfs"):
        assert found[each] == "pass"


async def check_guest(client: Client) -> None:
    for mode, expected in (("host-passthrough", True), ("host-model", False)):
        xml = DOMAIN.format(cpu=f"<cpu mode='{mode}'/>")
        ready, findings = await client.call(ROOT, MANAGER, "CheckGuest", "s", xml)
        assert ready is expected
        assert findings


async def describe(client: Client) -> None:
    with machines.bare_machine():
        state = json.loads(await client.call(ROOT, MANAGER, "Describe"))
    assert state["kernel"]["release"] == os.uname().release
    assert state["modules"]["kvm_amd"]["nested"] == "yes"
    assert [each["pid"] for each in state["machines"]] == [os.getpid()]
    assert state["log_daemons"].keys() == {"libvirtd"}


async def collect_logs(client: Client) -> None:
    options = {"max_bytes": Variant("t", 1 << 20)}
    pipe = await client.take_descriptor(ROOT, MANAGER, "CollectLogs", "a{sv}", options)
    os.set_blocking(pipe, True)
    with open(pipe, "rb") as file:
        archive = await asyncio.to_thread(file.read)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        sizes = {each.name.split("/", 1)[1]: each.size for each in tar}
    for name in (
        "INDEX.json",
        "config/etc/libvirt/libvirtd.conf",
        "journal/kernel-about-kvm.log",
        "journal/libvirt-and-nestd.log",
        "nestd/versions",
    ):
        assert sizes[name] > 0


async def list_guests(client: Client) -> None:
    with machines.bare_machine():
        [guest] = await client.call(ROOT, MANAGER, "ListGuests")
    assert guest["pid"] == Variant("u", os.getpid())
    # A machine of a program that nestd does not know as a VMM: nothing is guessed.
    assert guest["exposed"] == Variant("s", "unknown")
    assert guest["nesting"].value in ("not-used", "unknown")


async def posture(client: Client) -> None:
    found = {each[0]: each[1] for each in await client.call(ROOT, MANAGER, "Posture")}
    assert found
    assert set(found.values()) <= {"pass", "note", "warn", "fail"}


async def list_presets(client: Client) -> None:
    found = await client.call(ROOT, MANAGER, "ListPresets")
    assert found
    assert all(name and filters and purpose for name, filters, purpose in found)


async def list_history(client: Client) -> None:
    await client.set_nested("kvm_amd", False, "boot")

    async def told() -> bool:
        entries = await client.call(ROOT, MANAGER, "ListHistory")
        return any(each["kind"].value == "change" for each in entries)

    for _ in range(50):
        if await told():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the change is not in the history")


async def check_access(client: Client) -> None:
    access = await client.call(ROOT, MANAGER, "CheckAccess", "as", ["reload-modules"])
    assert access == {"reload-modules": "yes"}


async def inhibit(client: Client) -> None:
    async with _inhibitor(client):
        error = await refused(client.call(AMD, MODULE, "Reload", "sa{sv}", "now", {}))
    assert error.name == "org.nestd1.Error.Inhibited"


async def list_inhibitors(client: Client) -> None:
    async with _inhibitor(client):
        found = await client.call(ROOT, MANAGER, "ListInhibitors")
    assert found == [("a test", "to see", 0, os.getpid())]


@asynccontextmanager
async def _inhibitor(client: Client) -> AsyncIterator[None]:
    guard = await client.take_descriptor(ROOT, MANAGER, "Inhibit", "ss", "a test", "to see")
    try:
        yield
    finally:
        os.close(guard)
    while await client.call(ROOT, MANAGER, "ListInhibitors"):
        await asyncio.sleep(0.1)


async def get_job(client: Client) -> None:
    async with _waiting_job(client) as job:
        number = int(job.rpartition("/")[2])
        assert await client.call(ROOT, MANAGER, "GetJob", "u", number) == job
    error = await refused(client.call(ROOT, MANAGER, "GetJob", "u", number + 1))
    assert error.name == "org.nestd1.Error.NoSuchJob"


@asynccontextmanager
async def _waiting_job(client: Client) -> AsyncIterator[str]:
    """A reload that waits for a machine, until it is cancelled."""
    with machines.bare_machine():
        job = await client.call(AMD, MODULE, "Reload", "sa{sv}", "idle", {})
        try:
            yield job
        finally:
            await client.call(job, JOB, "Cancel")


async def manager_properties(client: Client) -> None:
    with machines.bare_machine():
        await client.changed(ROOT, "MachineCount", 1)
        await _compare(
            client,
            ROOT,
            MANAGER,
            {
                "Version": nestd.__version__,
                "Vendor": "amd",
                "HostModule": AMD,
                "HostVirtualization": output("systemd-detect-virt"),
                "MachineCount": 1,
                "MachinesKnown": True,
                "Nested": "yes",
                "NestedAtBoot": "yes",
                "NestedDecidedBy": "kernel default",
                "Backend": "kvm_amd",
            },
        )


# org.nestd1.Module


async def set_nested(client: Client) -> None:
    assert await client.set_nested("kvm_amd", False, "boot") == "/"
    assert KVM_CONF.read_text() == FOREIGN + "options kvm_amd nested=0\n"
    assert NESTED.read_text() == "1\n"


async def set_parameters(client: Client) -> None:
    for value, running in (("0", "0\n"), ("", "1\n")):
        job = await client.set_parameters("kvm_amd", "now", nested=value)
        assert (await client.ended(job))[1] == "done"
        assert NESTED.read_text() == running
    assert KVM_CONF.read_text() == FOREIGN


async def reload_(client: Client) -> None:
    before = SYS_MODULE.stat().st_ino
    job = await client.call(AMD, MODULE, "Reload", "sa{sv}", "now", {})
    assert (await client.ended(job))[1] == "done"
    assert SYS_MODULE.stat().st_ino != before


async def unload_and_load(client: Client) -> None:
    job = await client.call(AMD, MODULE, "Unload", "sa{sv}", "now", {})
    assert (await client.ended(job))[1] == "done"
    assert not SYS_MODULE.exists()
    await client.call(AMD, MODULE, "Load", "a{sv}", {})
    assert NESTED.read_text() == "1\n"


async def plan(client: Client) -> None:
    found = await client.call(AMD, MODULE, "Plan", "a{ss}s", {"nested": "0"}, "now")
    assert "+options kvm_amd nested=0\n" in found["diff"].value
    assert found["steps"].value != []
    assert found["blockers"].value == []
    assert len(found["token"].value) == 64
    assert KVM_CONF.read_text() == FOREIGN


async def list_blockers(client: Client) -> None:
    with machines.bare_machine():
        found = await client.blockers("kvm_amd")
    assert [(kind, pid) for kind, _, pid, _ in found] == [("machine", os.getpid())]


async def can_reload(client: Client) -> None:
    assert await client.call(AMD, MODULE, "CanReload") == "yes"
    with machines.bare_machine():
        assert await client.call(AMD, MODULE, "CanReload") == "blocked"


async def module_properties(client: Client) -> None:
    await client.set_nested("kvm_amd", True, "boot")
    parameters = (SYS_MODULE / "parameters").iterdir()
    await _compare(
        client,
        AMD,
        MODULE,
        {
            "Name": "kvm_amd",
            "Availability": "loadable",
            "Loaded": True,
            "RefCount": int((SYS_MODULE / "refcnt").read_text()),
            "Parameters": {each.name: each.read_text().strip() for each in parameters},
            "Configured": {"nested": "1"},
            "Assignments": [("nested", "1", str(KVM_CONF), FOREIGN.count("\n") + 1)],
            "Nested": "yes",
            "NestedConfigured": "yes",
            "NestedNext": "yes",
            "State": "in-sync",
            "NestedAtBoot": "yes",
            "LoadObstacles": [],
            "ReadError": "",
            "Pending": [],
        },
    )


# org.nestd1.Job


async def cancel(client: Client) -> None:
    before = SYS_MODULE.stat().st_ino
    async with _waiting_job(client) as job:
        pass
    assert (await client.ended(job))[1] == "cancelled"
    assert await client.get(job, JOB, "State") == "cancelled"
    assert SYS_MODULE.stat().st_ino == before


async def job_properties(client: Client) -> None:
    before = int(time.time() * 1e6)
    async with _waiting_job(client) as job:
        since = await client.get(job, JOB, "Since")
        assert before <= since <= time.time() * 1e6
        blockers = await client.blockers("kvm_amd")
        await client.becomes(job, JOB, "Blockers", blockers)  # soon, not at once
        await _compare(
            client,
            job,
            JOB,
            {
                "Id": int(job.rpartition("/")[2]),
                "Kind": "reload",
                "Subject": AMD,
                "StartedByUid": 0,
                "State": "waiting",
                "Blockers": blockers,
                "Error": "",
                "Since": since,
            },
        )


# org.nestd1.LogDaemon


async def _set_filters(client: Client, filters: str, when: str, **options: Variant) -> None:
    await client.call(LIBVIRTD, LOG_DAEMON, "SetFilters", "ssa{sv}", filters, when, options)


async def get_running(client: Client) -> None:
    filters, outputs = await client.call(LIBVIRTD, LOG_DAEMON, "GetRunning")
    assert (filters, outputs) == libvirts_log()
    assert outputs != ""


async def set_filters(client: Client) -> None:
    file, before = CONFIG.read_bytes(), libvirts_log()
    await _set_filters(client, "1:qemu", "now")
    assert libvirts_log() == ("1:*qemu* ", before[1])
    assert 'log_filters = "1:qemu"' in CONFIG.read_text().splitlines()
    await _set_filters(client, "", "now")
    assert libvirts_log() == before
    assert CONFIG.read_bytes() == file


async def check_filters(client: Client) -> None:
    asked = ("1:nothing 3:remote", "")
    canonical, warnings = await client.call(LIBVIRTD, LOG_DAEMON, "CheckFilters", "ss", *asked)
    assert canonical == "1:nothing 3:remote"
    assert any("nothing" in each for each in warnings)


async def start_and_stop_debug(client: Client) -> None:
    before = libvirts_log()
    await client.call(LIBVIRTD, LOG_DAEMON, "StartDebug", "sua{sv}", "1:util", 60, {})
    until = await client.get(LIBVIRTD, LOG_DAEMON, "DebugUntil")
    assert 0 < until - time.time() * 1e6 < 60e6
    assert libvirts_log() == ("1:*util* ", f"{before[1]} 1:file:{DEBUG_LOG}")
    assert DEBUG_LOG.exists()
    await client.call(LIBVIRTD, LOG_DAEMON, "StopDebug")
    assert await client.get(LIBVIRTD, LOG_DAEMON, "DebugUntil") == 0
    assert libvirts_log() == before


async def plan_filters(client: Client) -> None:
    before = CONFIG.read_bytes()
    found = await client.call(LIBVIRTD, LOG_DAEMON, "Plan", "sa{sv}", "1:qemu", {})
    assert '+log_filters = "1:qemu"\n' in found["diff"].value
    assert CONFIG.read_bytes() == before


async def log_daemon_properties(client: Client) -> None:
    outputs = Variant("s", "1:journald")
    await _set_filters(client, "1:qemu 3:remote", "start", outputs=outputs)
    await _compare(
        client,
        LIBVIRTD,
        LOG_DAEMON,
        {
            "Name": "libvirtd",
            "ConfigFile": str(CONFIG),
            "Active": True,
            "Filters": "1:qemu 3:remote",
            "Outputs": "1:journald",
            "Level": 0,
            "OverriddenBy": "",
            "DebugUntil": 0,
            "ConfigError": "",
            "Activation": "running",
            "Warnings": [],
            "DebugFilters": "",
            "DebugFile": "",
            "DebugBytes": 0,
        },
    )


# Standard D-Bus interfaces


async def log_control_properties(client: Client) -> None:
    expected = {"LogLevel": "info", "LogTarget": "journal", "SyslogIdentifier": "nestd"}
    await _compare(client, LOG_CONTROL_PATH, LOG_CONTROL, expected)


async def set_property(client: Client) -> None:
    async def put(level: str) -> None:
        args = (LOG_CONTROL, "LogLevel", Variant("s", level))
        await client.call(LOG_CONTROL_PATH, PROPERTIES, "Set", "ssv", *args)

    await put("debug")
    try:
        assert await client.get(LOG_CONTROL_PATH, LOG_CONTROL, "LogLevel") == "debug"
    finally:
        await put("info")
    assert await client.get(LOG_CONTROL_PATH, LOG_CONTROL, "LogLevel") == "info"


async def get_property(client: Client) -> None:
    answer = await client.call(AMD, PROPERTIES, "Get", "ss", MODULE, "Nested")
    assert answer == Variant("s", "yes")


async def get_all_properties(client: Client) -> None:
    answer = await client.call(AMD, PROPERTIES, "GetAll", "s", MODULE)
    signatures = {name: value.signature for name, value in answer.items()}
    specs = contract(MODULE).properties
    assert signatures == {name: spec.signature for name, spec in specs.items()}


async def get_managed_objects(client: Client) -> None:
    found = await client.call(ROOT, f"{FREEDESKTOP}.ObjectManager", "GetManagedObjects")
    assert found[AMD][MODULE]["Nested"] == Variant("s", "yes")
    assert found[LIBVIRTD][LOG_DAEMON]["Active"] == Variant("b", True)


async def introspect(client: Client) -> None:
    text = await client.call(ROOT, f"{FREEDESKTOP}.Introspectable", "Introspect")
    assert contract(MANAGER).xml in text
    assert all(f'<node name="{child}"/>' in text for child in ("log", "module"))


async def ping(client: Client) -> None:
    assert await client.call(ROOT, f"{FREEDESKTOP}.Peer", "Ping") == ()


async def get_machine_id(client: Client) -> None:
    answer = await client.call(ROOT, f"{FREEDESKTOP}.Peer", "GetMachineId")
    assert answer == Path("/etc/machine-id").read_text().strip()


async def _compare(
    client: Client, path: str, interface: str, expected: Mapping[str, object]
) -> None:
    """Compare all properties of the interface, from Get and GetAll, with EXPECTED."""
    specs = contract(interface).properties
    values = {name: Variant(specs[name].signature, value) for name, value in expected.items()}
    assert values.keys() == specs.keys()
    assert await client.call(path, PROPERTIES, "GetAll", "s", interface) == values
    for name, value in values.items():
        assert await client.call(path, PROPERTIES, "Get", "ss", interface, name) == value


METHODS: Mapping[str, Operation] = {
    f"{MANAGER}.ListMachines": list_machines,
    f"{MANAGER}.GetModule": get_module,
    f"{MANAGER}.GetLogDaemon": get_log_daemon,
    f"{MANAGER}.Validate": validate,
    f"{MANAGER}.CheckGuest": check_guest,
    f"{MANAGER}.Describe": describe,
    f"{MANAGER}.CollectLogs": collect_logs,
    f"{MANAGER}.ListGuests": list_guests,
    f"{MANAGER}.Posture": posture,
    f"{MANAGER}.ListPresets": list_presets,
    f"{MANAGER}.ListHistory": list_history,
    f"{MANAGER}.CheckAccess": check_access,
    f"{MANAGER}.Inhibit": inhibit,
    f"{MANAGER}.ListInhibitors": list_inhibitors,
    f"{MANAGER}.GetJob": get_job,
    f"{MODULE}.SetNested": set_nested,
    f"{MODULE}.SetParameters": set_parameters,
    f"{MODULE}.Reload": reload_,
    f"{MODULE}.Unload": unload_and_load,
    f"{MODULE}.Load": unload_and_load,
    f"{MODULE}.Plan": plan,
    f"{MODULE}.ListBlockers": list_blockers,
    f"{MODULE}.CanReload": can_reload,
    f"{JOB}.Cancel": cancel,
    f"{LOG_DAEMON}.GetRunning": get_running,
    f"{LOG_DAEMON}.SetFilters": set_filters,
    f"{LOG_DAEMON}.CheckFilters": check_filters,
    f"{LOG_DAEMON}.StartDebug": start_and_stop_debug,
    f"{LOG_DAEMON}.StopDebug": start_and_stop_debug,
    f"{LOG_DAEMON}.Plan": plan_filters,
    f"{PROPERTIES}.Get": get_property,
    f"{PROPERTIES}.GetAll": get_all_properties,
    f"{PROPERTIES}.Set": set_property,
    f"{FREEDESKTOP}.ObjectManager.GetManagedObjects": get_managed_objects,
    f"{FREEDESKTOP}.Introspectable.Introspect": introspect,
    f"{FREEDESKTOP}.Peer.Ping": ping,
    f"{FREEDESKTOP}.Peer.GetMachineId": get_machine_id,
}
# By interface; _compare() checks that none is missing.
VALUES: Mapping[str, Operation] = {
    MANAGER: manager_properties,
    MODULE: module_properties,
    JOB: job_properties,
    LOG_DAEMON: log_daemon_properties,
    LOG_CONTROL: log_control_properties,
}


def test_nothing_of_the_api_is_left_out() -> None:
    specs = [contract(name) for name in FILES]
    assert METHODS.keys() == {f"{spec.name}.{name}" for spec in specs for name in spec.methods}
    assert VALUES.keys() == {spec.name for spec in specs if spec.properties}


def _name(operation: Operation) -> str:
    return operation.__name__


# Each once, even if it covers two members.
@pytest.mark.parametrize(
    "operation", dict.fromkeys(METHODS.values()), ids=lambda each: each.__name__
)
def test_each_method_works(operation: Operation) -> None:
    run(operation)


@pytest.mark.parametrize("interface", VALUES)
def test_each_property_is_true(interface: str) -> None:
    run(VALUES[interface])
