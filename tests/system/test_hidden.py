# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd hides from a user whatever a file's mode or hidepid hides from that user."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import polkit
import pytest
from callers import INTEL, User, user
from private_bus import PrivateBus, private_bus
from running_nestd import BUS_NAME, MANAGER, MODULE, PROPERTIES, ROOT, Nestd, running_nestd
from users import nobody

from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

LOG_DAEMON = "org.nestd1.LogDaemon"
LIBVIRTD = f"{ROOT}/log/libvirtd"
SECRET = "hunter2"
KVM_CONF = f"""# the password of the site is {SECRET}
options kvm_intel ept=1 token={SECRET} # {SECRET}
options kvm_intel {SECRET}={SECRET}
optoins kvm_intel nested={SECRET}

"""
INSTALL = f"install kvm_intel /bin/true --password {SECRET}\n"
LIBVIRTD_CONF = f"""auth_password = "{SECRET}"
log_filters = "3:qemu" # {SECRET}
admin = "{SECRET}"
"""
HIDEPID = "proc /proc proc rw,nosuid,hidepid=invisible 0 0\n"
MACHINE = "secretsite"


@pytest.fixture(scope="module")
def bus() -> Iterator[PrivateBus]:
    """A separate bus, since polkit starts and stops on it."""
    with private_bus("dbus-daemon") as bus:
        yield bus


@pytest.fixture
def nestd(bus: PrivateBus, tmp_path: Path) -> Iterator[Nestd]:
    root = tmp_path / "root"
    for path, text in (
        ("etc/modprobe.d/kvm.conf", KVM_CONF),
        ("etc/modprobe.d/site.conf", INSTALL),
        ("etc/libvirt/libvirtd.conf", LIBVIRTD_CONF),
        ("usr/sbin/libvirtd", ""),
        ("proc/1/mounts", HIDEPID),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o600)
    (root / "var/log/libvirt").mkdir(parents=True)
    (root / "var/log/libvirt/there").mkdir()
    (root / "var/log/libvirt").chmod(0o700)
    with running_nestd(bus.address, tmp_path, "--simulate", "intel") as nestd:
        nestd.start_machine(MACHINE)
        yield nestd


async def everything(caller: User) -> dict[str, object]:
    """Everything that can be read from nestd, by the name of its source."""

    async def call(path: str, interface: str, member: str, types: str = "", *args: object) -> None:
        try:
            found[member] = await caller.connection.call(
                BUS_NAME, path, interface, member, types, args
            )
        except BusError as error:
            found[member] = str(error)

    found: dict[str, object] = {}
    for member in ("Describe", "Validate", "ListMachines", "ListGuests", "ListHistory"):
        await call(ROOT, MANAGER, member)
    await call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    await call(ROOT, PROPERTIES, "GetAll", "s", "")
    await call(INTEL, MODULE, "ListBlockers")
    plan = ({"nested": "1"}, "now")
    await call(INTEL, MODULE, "Plan", "a{ss}s", *plan)
    found["module plan"] = found.pop("Plan")
    await call(LIBVIRTD, LOG_DAEMON, "Plan", "sa{sv}", "1:qemu 3:util", {})
    return found


async def machine_is_seen(caller: User) -> None:
    while not (await caller.connection.call(BUS_NAME, ROOT, MANAGER, "ListMachines"))[0]:
        await asyncio.sleep(0.02)


def diff(found: dict[str, object], name: str) -> list[str]:
    [plan] = found[name]  # type: ignore[misc]
    return plan["diff"].value.splitlines()[2:]  # type: ignore[index]


def test_a_user_without_rights_reads_no_text_of_private_files(
    bus: PrivateBus, nestd: Nestd
) -> None:
    async def body() -> None:
        async with user(bus, nobody()) as stranger:
            await machine_is_seen(stranger)
            found = await everything(stranger)
        for name, answer in found.items():
            assert SECRET not in str(answer), name
            assert MACHINE not in str(answer), name
        hidden = "# (not shown: not everybody may read this file)"
        assert diff(found, "module plan") == [
            "@@ -3,3 +3,4 @@",
            f" {hidden}",
            f" {hidden}",
            " ",
            "+options kvm_intel nested=1",
        ]
        assert diff(found, "Plan") == [
            "@@ -1,3 +1,3 @@",
            f" {hidden}",
            '-log_filters = "3:qemu" ...',
            '+log_filters = "1:qemu 3:util" ...',
            f" {hidden}",
        ]
        description = json.loads(found["Describe"][0])  # type: ignore[index]
        module = description["modules"]["kvm_intel"]
        assert module["assignments"] == [
            {"parameter": "ept", "value": "1", "file": "/etc/modprobe.d/kvm.conf", "line": 2}
        ]
        assert [each["line"] for each in module["load_obstacles"]][:1] == [1]
        # The count is not secret, and neither is the fact that something blocks the reload.
        assert description["machine_count"] == 1
        assert found["ListMachines"] == ([(0, "", "", "")],)
        assert found["ListBlockers"] == ([("machine", "", 0, "machine of another user")],)

    asyncio.run(body())


def check_all_is_seen(found: dict[str, object]) -> None:
    for name in ("Describe", "Validate", "module plan", "Plan"):
        assert SECRET in str(found[name]), name
    for name in ("Describe", "ListMachines", "ListGuests", "ListBlockers"):
        assert MACHINE in str(found[name]), name
    # Properties are the same for all clients.
    for name in ("GetManagedObjects", "GetAll"):
        assert SECRET not in str(found[name]), name


def test_root_reads_all_of_it(bus: PrivateBus, nestd: Nestd) -> None:
    async def body() -> None:
        nobody()  # this is for root
        async with user(bus, 0) as root:
            await machine_is_seen(root)
            check_all_is_seen(await everything(root))

    asyncio.run(body())


@pytest.mark.needs("python3 -m dbusmock")
def test_a_user_whom_polkit_allows_without_a_question_reads_all_of_it(
    bus: PrivateBus, nestd: Nestd, tmp_path: Path
) -> None:
    async def seen() -> dict[str, object]:
        async with user(bus, nobody()) as caller:
            await machine_is_seen(caller)
            return await everything(caller)

    with polkit.recorder(bus.address, tmp_path / "polkit.log"):
        polkit.add_method(bus.address, polkit.QUESTION, "ret = (True, False, {})")
        check_all_is_seen(asyncio.run(seen()))
        # Authorization with a password needs a prompt, and no user is prompted here.
        polkit.add_method(bus.address, polkit.QUESTION, "ret = (False, True, {})")
        assert SECRET not in str(asyncio.run(seen()))


@pytest.mark.parametrize("where", ["there", "missing"])
def test_what_is_below_a_closed_directory_is_not_told(
    bus: PrivateBus, nestd: Nestd, where: str
) -> None:
    """Nothing that an unprivileged client can query reveals whether such a directory exists."""
    outputs = f"1:file:/var/log/libvirt/{where}/libvirtd.log 1:file:/var/log/libvirt/{where}"

    async def answers(uid: int) -> list[str]:
        found = []
        async with user(bus, uid) as caller:
            for member, types, args in (
                ("CheckFilters", "ss", ("1:qemu", outputs)),
                ("Plan", "sa{sv}", ("1:qemu", {"outputs": Variant("s", outputs)})),
                ("SetFilters", "ssa{sv}", ("1:qemu", "start", {"outputs": Variant("s", outputs)})),
                ("StartDebug", "sua{sv}", ("1:qemu", 60, {"outputs": Variant("s", outputs)})),
            ):
                try:
                    answer = await caller.connection.call(
                        BUS_NAME, LIBVIRTD, LOG_DAEMON, member, types, args
                    )
                    found.append(str(answer).replace(where, "WHERE"))
                except BusError as error:
                    found.append(error.name)
        return found

    stranger = asyncio.run(answers(nobody()))
    assert stranger[0] == "('1:qemu', [])"
    assert "WHERE" in stranger[1]
    assert stranger[2:] == ["org.freedesktop.DBus.Error.AccessDenied"] * 2
    refused = "org.nestd1.Error.InvalidOutput"
    assert asyncio.run(answers(0))[1:] == [refused] * 3
