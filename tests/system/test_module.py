# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Module on simulated hosts: read, change, reload, refuse."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, MODULE, ROOT, Client, Nestd, client_of, running_nestd

from nestd.dbus.errors import BusError
from nestd.dbus.values import Variant

INTEL = f"{ROOT}/module/kvm_intel"
OWN = "org.nestd1.Error."


def run(nestd: Nestd, test: Callable[[Client], Awaitable[None]]) -> None:
    async def body() -> None:
        async with client_of(nestd) as client:
            await test(client)

    asyncio.run(body())


async def refused(call: Awaitable[object]) -> BusError:
    with pytest.raises(BusError) as caught:
        await call
    text = caught.value.text
    assert text.endswith("."), text
    assert "\n" not in text
    assert "Traceback" not in text
    return caught.value


def test_set_now_reloads_and_is_read_back(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        before = intel.kvm_conf.read_bytes()
        job = await client.set_nested("kvm_intel", False, "now")
        assert job == f"{ROOT}/job/1"
        assert await client.module("kvm_intel", "Nested", "NestedNext", "State") == [
            "no",
            "no",
            "in-sync",
        ]
        assert intel.kvm_conf.read_bytes() == before + b"options kvm_intel nested=0\n"
        await client.wait_for_property(INTEL, "Nested", "no")
        assert await client.wait_for_job_end(job) == "done"

    run(intel, test)


def test_setting_and_unsetting_gives_the_original_bytes(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        before = intel.kvm_conf.read_bytes()
        await client.set_nested("kvm_intel", True, "boot")
        assert intel.kvm_conf.read_bytes() != before
        await client.set_parameters("kvm_intel", {"nested": ""}, "boot")
        assert intel.kvm_conf.read_bytes() == before

    run(intel, test)


def test_boot_writes_and_does_not_reload(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        assert await client.set_nested("kvm_intel", False, "boot") == "/"
        assert await client.module("kvm_intel", "Nested", "NestedNext", "State") == [
            "yes",
            "no",
            "reload-pending",
        ]

    run(intel, test)


def test_what_is_so_already_is_no_job(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        await client.set_nested("kvm_intel", False, "now")
        assert await client.set_nested("kvm_intel", False, "now") == "/"
        assert await client.set_nested("kvm_intel", False, "idle") == "/"

    run(intel, test)


def test_a_machine_blocks_and_nothing_is_written(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        before = intel.kvm_conf.read_bytes()
        intel.start_machine("web01")
        await client.wait_for_property(ROOT, "MachineCount", 1)
        error = await refused(client.set_nested("kvm_intel", False, "now"))
        assert error.name == OWN + "Busy"
        assert "machine web01 (pid " in error.text
        assert intel.kvm_conf.read_bytes() == before
        assert sorted(path.name for path in intel.kvm_conf.parent.iterdir()) == [
            "kvm.conf",
            "vhost.conf",
        ]
        [blockers] = await client.call(INTEL, MODULE, "ListBlockers")
        assert [each[:2] for each in blockers] == [("machine", "web01")]  # type: ignore[attr-defined]
        assert await client.call(INTEL, MODULE, "CanReload") == ("blocked",)
        [machines] = await client.call(ROOT, MANAGER, "ListMachines")
        assert [each[1:] for each in machines] == [  # type: ignore[attr-defined]
            ("web01", "qemu-kvm", "machine-qemu-web01.scope")
        ]
        intel.end_machine("web01")
        await client.wait_for_property(ROOT, "MachineCount", 0)
        assert await client.call(INTEL, MODULE, "CanReload") == ("yes",)

    run(intel, test)


def test_another_file_decides(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        other = intel.kvm_conf.with_name("zz.conf")
        other.write_text("# somebody's\noptions kvm_intel nested=0\n")
        await client.wait_for_property(INTEL, "NestedNext", "no")
        error = await refused(client.set_nested("kvm_intel", True, "now"))
        assert error.name == OWN + "Overridden"
        assert "/etc/modprobe.d/zz.conf:2 sets nested=0" in error.text
        assert await client.set_nested("kvm_intel", True, "boot") == "/"
        assert intel.kvm_conf.read_bytes().endswith(b"options kvm_intel nested=1\n")
        assert await client.module("kvm_intel", "State", "NestedConfigured", "NestedNext") == [
            "overridden",
            "yes",
            "no",
        ]
        assert await client.module("kvm_intel", "Assignments") == [
            [
                ("nested", "1", "/etc/modprobe.d/kvm.conf", 13),
                ("nested", "0", "/etc/modprobe.d/zz.conf", 2),
            ]
        ]
        plan = await client.plan("kvm_intel", {"nested": "1"}, "now")
        assert any("zz.conf:2" in str(each) for each in plan["warnings"])  # type: ignore[attr-defined]

    run(intel, test)


def test_a_load_that_fails_is_rolled_back(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        before = intel.kvm_conf.read_bytes()
        intel.kvm_conf.with_name("a.conf").write_text("install kvm_intel /bin/true\n")
        error = await refused(client.set_nested("kvm_intel", False, "now"))
        assert error.name == OWN + "RolledBack"
        assert "modprobe loaded nothing" in error.text
        assert intel.kvm_conf.read_bytes() == before
        assert await client.module("kvm_intel", "Loaded", "Nested") == [True, "yes"]
        assert await client.wait_for_job_end(f"{ROOT}/job/1") == "rolled-back"

    run(intel, test)


def test_a_configuration_that_cannot_load_is_not_reloaded(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        intel.kvm_conf.with_name("a.conf").write_text("options kvm_intel ept=maybe\n")
        await client.wait_for_property(INTEL, "State", "config-error")
        error = await refused(client.set_nested("kvm_intel", False, "now"))
        assert error.name == OWN + "Conflict"
        assert "/etc/modprobe.d/a.conf:1 sets ept=maybe" in error.text
        reload = client.call(INTEL, MODULE, "Reload", "sa{sv}", "now", {})
        assert (await refused(reload)).name == OWN + "Conflict"

    run(intel, test)


def test_a_stale_plan_is_refused(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        plan = await client.plan("kvm_intel", {"nested": "0"}, "now")
        assert plan["steps"] == [
            "unload kvm_intel",
            "write /etc/modprobe.d/kvm.conf",
            "load kvm_intel with modprobe",
            "verify that kvm_intel runs with nested=0",
        ]
        assert "+options kvm_intel nested=0\n" in str(plan["diff"])
        token = Variant("s", str(plan["token"]))
        intel.kvm_conf.write_bytes(intel.kvm_conf.read_bytes() + b"# a line\n")
        error = await refused(client.set_nested("kvm_intel", False, "now", token=token))
        assert error.name == OWN + "StalePlan"
        empty = Variant("s", "")
        error = await refused(client.set_nested("kvm_intel", False, "now", token=empty))
        assert error.name == OWN + "StalePlan"
        token = Variant("s", str((await client.plan("kvm_intel", {"nested": "0"}, "now"))["token"]))
        assert await client.set_nested("kvm_intel", False, "now", token=token) != "/"

    run(intel, test)


def test_a_plan_does_nothing_where_the_change_would_be_refused(intel: Nestd) -> None:
    (intel.root / "etc/modprobe.d/zz.conf").write_text("options kvm_intel nested=1\n")

    async def test(client: Client) -> None:
        asked = {"nested": "0"}
        error = await refused(client.set_parameters("kvm_intel", asked, "now"))
        assert error.name == OWN + "Overridden"
        plan = await client.plan("kvm_intel", asked, "now")
        assert (plan["diff"], plan["steps"]) == ("", [])
        first, second = plan["warnings"]  # type: ignore[misc]
        assert first == "As things are, this would be refused."
        assert "/etc/modprobe.d/zz.conf:1 sets nested=1" in second
        plan = await client.plan("kvm_intel", asked, "boot")
        assert plan["steps"] == ["write /etc/modprobe.d/kvm.conf"]

    run(intel, test)


def test_changes_at_once_are_served_in_turn(intel: Nestd) -> None:
    """Each is planned on the result of the one before; none is refused for an outdated plan."""

    async def test(client: Client) -> None:
        asked = [client.set_nested("kvm_intel", number % 2 == 0, "now") for number in range(13)]
        await asyncio.gather(*asked)
        assert await client.module("kvm_intel", "State") == ["in-sync"]

    run(intel, test)


@pytest.mark.parametrize(
    ("parameters", "when", "name"),
    [
        ({"nosuch": "1"}, "boot", OWN + "InvalidParameter"),
        ({"nested": "maybe"}, "boot", OWN + "InvalidParameter"),
        ({"nested": "1 ept=0"}, "boot", OWN + "InvalidParameter"),
        ({"nested": '"1"'}, "boot", OWN + "InvalidParameter"),
        ({"nested": "1\n"}, "boot", OWN + "InvalidParameter"),
        ({"nested": "1\noptions kvm_amd nested=0"}, "boot", OWN + "InvalidParameter"),
        ({"nested": "9" * 10_000}, "boot", OWN + "InvalidParameter"),
        ({"n" * 10_000: "1"}, "boot", OWN + "InvalidParameter"),
        ({"nes ted": "1"}, "boot", OWN + "InvalidParameter"),
        ({"enable-shadow-vmcs": "1", "enable_shadow_vmcs": "0"}, "boot", OWN + "InvalidParameter"),
        ({}, "boot", OWN + "InvalidParameter"),
        ({"nested": "1"}, "sometime", "org.freedesktop.DBus.Error.InvalidArgs"),
        ({"nested": "1"}, "", "org.freedesktop.DBus.Error.InvalidArgs"),
    ],
)
def test_bad_input_is_one_sentence(
    intel: Nestd, parameters: dict[str, str], when: str, name: str
) -> None:
    async def test(client: Client) -> None:
        before = intel.kvm_conf.read_bytes()
        error = await refused(client.set_parameters("kvm_intel", parameters, when))
        assert error.name == name
        assert len(error.text) < 300
        assert intel.kvm_conf.read_bytes() == before
        assert await client.module("kvm_intel", "Nested") == ["yes"]

    run(intel, test)


def test_unknown_modules_and_options(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        for name in ("nosuch", "", "kvm_intel\n", "k" * 10_000):
            error = await refused(client.call(ROOT, MANAGER, "GetModule", "s", name))
            assert error.name == "org.freedesktop.DBus.Error.InvalidArgs"
        assert await client.call(ROOT, MANAGER, "GetModule", "s", "kvm-intel") == (INTEL,)
        error = await refused(client.set_nested("kvm_intel", True, "now", force=Variant("b", True)))
        assert error.name == "org.freedesktop.DBus.Error.InvalidArgs"
        error = await refused(client.set_nested("kvm_intel", True, "now", token=Variant("u", 1)))
        assert error.name == "org.freedesktop.DBus.Error.InvalidArgs"

    run(intel, test)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to("/nowhere/at/all"), "leads nowhere"),
        (lambda path: __import__("os").mkfifo(path), "not a regular file"),
    ],
    ids=["directory", "dangling link", "fifo"],
)
def test_something_else_in_the_place_of_kvm_conf(
    intel: Nestd, make: Callable[[Path], None], words: str
) -> None:
    async def test(client: Client) -> None:
        intel.kvm_conf.unlink()
        make(intel.kvm_conf)
        error = await refused(client.set_nested("kvm_intel", False, "now"))
        assert error.name == OWN + "ConfigUnparsable"
        assert words in error.text
        assert await client.module("kvm_intel", "Nested", "Loaded") == ["yes", True]

    run(intel, test)


def test_a_missing_file_and_directory_are_made(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        for path in intel.kvm_conf.parent.iterdir():
            path.unlink()
        intel.kvm_conf.parent.rmdir()
        await client.set_nested("kvm_intel", False, "now")
        assert intel.kvm_conf.read_bytes() == b"options kvm_intel nested=0\n"
        assert intel.kvm_conf.stat().st_mode & 0o7777 == 0o644
        assert await client.module("kvm_intel", "Nested") == ["no"]

    run(intel, test)


def test_a_file_of_the_same_name_in_a_lower_directory_is_not_lost(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        vendor = intel.root / "lib/modprobe.d/kvm.conf"
        vendor.parent.mkdir(parents=True)
        vendor.write_text("options kvm ignore_msrs=1\n")
        intel.kvm_conf.unlink()
        await client.set_nested("kvm_intel", False, "boot")
        assert intel.kvm_conf.read_text() == (
            "options kvm ignore_msrs=1\noptions kvm_intel nested=0\n"
        )

    run(intel, test)


def test_a_binary_file_is_edited_without_loss(intel: Nestd) -> None:
    async def test(client: Client) -> None:
        binary = bytes(range(256)) * 8 + b"\n"
        intel.kvm_conf.write_bytes(binary)
        await client.set_nested("kvm_intel", False, "now")
        assert intel.kvm_conf.read_bytes() == binary + b"options kvm_intel nested=0\n"
        assert await client.module("kvm_intel", "Nested") == ["no"]

    run(intel, test)


def test_power_changes_in_place(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        nestd.start_machine("aix")
        await client.wait_for_property(ROOT, "MachineCount", 1)
        assert await client.set_nested("kvm_hv", False, "now") == "/"
        assert await client.module("kvm_hv", "Nested", "State") == ["no", "in-sync"]
        assert b"options kvm_hv nested=0\n" in nestd.kvm_conf.read_bytes()
        plan = await client.plan("kvm_hv", {"nested": "1"}, "now")
        assert plan["steps"] == [
            "write /etc/modprobe.d/kvm.conf",
            "set nested=1 on the running kvm_hv; running guests keep what they have",
        ]

    with running_nestd(bus.address, tmp_path, "--simulate", "power") as nestd:
        run(nestd, test)


def test_s390_refuses_nested_with_huge_pages(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        await client.set_parameters("kvm", {"hpage": "1"}, "now")
        before = nestd.kvm_conf.read_bytes()
        for when in ("now", "boot", "idle"):
            error = await refused(client.set_nested("kvm", True, when))
            assert error.name == OWN + "Conflict"
            assert "huge pages" in error.text
        assert nestd.kvm_conf.read_bytes() == before
        await client.set_parameters("kvm", {"hpage": "", "nested": "1"}, "now")
        assert await client.module("kvm", "Nested", "Parameters") == [
            "yes",
            {"halt_poll_max_steal": "10", "halt_poll_ns": "50000", "hpage": "0", "nested": "1"},
        ]

    with running_nestd(bus.address, tmp_path, "--simulate", "s390") as nestd:
        run(nestd, test)


def test_files_of_another_machine_are_edited_but_nothing_is_reloaded(
    bus: PrivateBus, tmp_path: Path
) -> None:
    async def test(client: Client) -> None:
        job = await client.set_nested("kvm_intel", True, "boot")
        assert job == "/"
        assert nestd.kvm_conf.read_bytes() == b"options kvm_intel nested=1\n"
        error = await refused(client.call(INTEL, MODULE, "Reload", "sa{sv}", "now", {}))
        assert error.name == OWN + "NotSupported"

    modules = tmp_path / "root/lib/modules/6.1.0"
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text("kernel/arch/x86/kvm/kvm-intel.ko: kernel/kvm.ko\n")
    (tmp_path / "root/sys/module/kvm_intel").mkdir(parents=True)
    (tmp_path / "root/sys/module/kvm_intel/initstate").write_text("live\n")
    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, test)


def test_no_kvm_is_readable_and_refuses_changes(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        assert await client.get(ROOT, MANAGER, "Vendor") == "none"
        assert await client.get(ROOT, MANAGER, "HostModule") == "/"
        assert await client.module("kvm_intel", "Availability", "State") == ["missing", "missing"]
        error = await refused(client.set_nested("kvm_intel", True, "boot"))
        assert error.name == OWN + "Missing"

    (tmp_path / "root").mkdir()
    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, test)


def test_vendor_and_host_module_are_constant(intel: Nestd) -> None:
    """Even if the module is unloaded for good: clients read a "const" property only once."""

    async def test(client: Client) -> None:
        [listed] = intel.root.glob("lib/modules/*/modules.dep")
        listed.write_text("")
        shutil.rmtree(intel.root / "sys/module/kvm_intel")
        await client.wait_for_property(INTEL, "State", "missing")
        assert await client.get(ROOT, MANAGER, "Vendor") == "intel"
        assert await client.get(ROOT, MANAGER, "HostModule") == INTEL

    run(intel, test)


def test_built_in_kvm_names_the_kernel_command_line(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        assert await client.module("kvm_intel", "Availability", "Nested", "State") == [
            "builtin",
            "yes",
            "builtin",
        ]
        error = await refused(client.set_nested("kvm_intel", False, "now"))
        assert error.name == OWN + "BuiltIn"
        assert "boot with kvm_intel.nested=0 on the kernel command line" in error.text
        asked = {"nested": "", "ept": "0", "enable-apicv": "0"}
        error = await refused(client.set_parameters("kvm_intel", asked, "boot"))
        assert error.name == OWN + "BuiltIn"
        assert (
            "boot with kvm_intel.ept=0 kvm_intel.enable_apicv=0 and without kvm_intel.nested on"
            in error.text
        )
        error = await refused(client.set_parameters("kvm_intel", {"nested": ""}, "boot"))
        assert "boot without kvm_intel.nested on the kernel command line" in error.text
        error = await refused(client.set_parameters("kvm_intel", {"no-such": "1"}, "boot"))
        assert error.name == OWN + "InvalidParameter"
        error = await refused(client.call(INTEL, MODULE, "Reload", "sa{sv}", "now", {}))
        assert error.name == OWN + "BuiltIn"
        assert "boot with kvm_intel.nested=1 (or =0) on" in error.text
        [blockers] = await client.call(INTEL, MODULE, "ListBlockers")
        assert [each[0] for each in blockers] == ["builtin"]  # type: ignore[attr-defined]
        assert await client.call(INTEL, MODULE, "CanReload") == ("na",)

    parameters = tmp_path / "root/sys/module/kvm_intel/parameters"
    parameters.mkdir(parents=True)
    for name in ("nested", "ept", "enable_apicv"):
        (parameters / name).write_text("Y\n")
    with running_nestd(bus.address, tmp_path) as nestd:
        run(nestd, test)
