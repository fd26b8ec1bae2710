# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each situation of a simulated host is visible in the host's files."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from nestd.core.model import Answer, Module, ModuleState, Snapshot, Vendor
from nestd.core.modules.view import HostView
from nestd.formats import simulation
from nestd.formats.libvirt_xml import domain_xml
from nestd.host.kernel import kvm_holders
from nestd.host.kernel.interface import LoadError
from nestd.host.libvirt import domains
from nestd.host.root import Root
from nestd.host.simulated import kernel as simulated_kernel
from nestd.host.simulated import situations
from nestd.host.simulated.domain import Nesting
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel
from nestd.host.simulated.machines import Machines

FEATURES = (b"vmx", b"svm", b"sief2", b"cap-nested-hv", b"virtualization")
WITH_MODULES = [name for name, kind in KINDS.items() if kind.modules]


def host(root: Path, text: str) -> SimulatedKernel:
    asked = simulation.parse(text)
    return SimulatedKernel(Root(root), KINDS[asked.kind], asked)


def look(root: Path, text: str) -> Snapshot:
    async def body() -> Snapshot:
        view = HostView(Root(root), host(root, text), KMOD, situations.virtualization(Root(root)))
        await view.read_types()
        return view.snapshot()

    return asyncio.run(body())


def main_module(root: Path, text: str) -> Module:
    snapshot = look(root, text)
    return snapshot.modules[snapshot.host_module]


@pytest.mark.parametrize("kind", WITH_MODULES)
@pytest.mark.parametrize(
    ("situation", "state"),
    [
        ("overridden", ModuleState.OVERRIDDEN),
        ("blacklisted", ModuleState.NOT_LOADED),
        ("builtin", ModuleState.BUILTIN),
        ("config-error", ModuleState.CONFIG_ERROR),
    ],
)
def test_the_module_is_in_that_state(
    tmp_path: Path, kind: str, situation: str, state: ModuleState
) -> None:
    module = main_module(tmp_path, f"{kind},{situation}")
    assert module.state is state
    if situation == "overridden":
        assert module.nested is Answer.NO


@pytest.mark.parametrize("kind", WITH_MODULES)
def test_the_kernel_command_line_decides(tmp_path: Path, kind: str) -> None:
    module = main_module(tmp_path, f"{kind},cmdline")
    assert module.nested is Answer.NO
    assert module.assignments[-1].file == "/proc/cmdline"


def test_a_host_without_kvm(tmp_path: Path) -> None:
    assert look(tmp_path, "intel,missing,guests=2").vendor is Vendor.NONE
    assert kvm_holders.scan(Root(tmp_path), {}) == ()  # a program that cannot run does not


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hypervisor", simulation.HYPERVISORS)
def test_a_host_that_is_itself_a_machine(tmp_path: Path, kind: str, hypervisor: str) -> None:
    kernel = host(tmp_path, f"{kind},guest-of={hypervisor}")
    flags = Root(tmp_path).at("/proc/cpuinfo").read_text().split()
    assert not {"vmx", "svm", "sie", "PowerNV"} & set(flags)
    assert situations.virtualization(Root(tmp_path)) not in ("", "none")
    if not KINDS[kind].modules:
        assert not (tmp_path / "dev/kvm").exists()
        return
    assert not kernel.read_module(KINDS[kind].loaded[-1]).loaded
    with pytest.raises(LoadError):
        asyncio.run(kernel.load(KINDS[kind].loaded[-1]))


@pytest.mark.parametrize(
    ("text", "has_kvm", "nested", "decides"),
    [
        ("arm64", True, Answer.NO, "kernel default"),
        ("arm64,cmdline", True, Answer.NO, "kernel command line"),
        ("arm64,blacklisted", True, Answer.NO, "kernel default"),
        ("arm64,gicv2", True, Answer.NO, "kernel default"),
        ("arm64,kvm-arm-mode=nested", True, Answer.YES, "kernel command line"),
        ("arm64,kvm-arm-mode=nested,no-nv2", True, Answer.NO, "kernel command line"),
        ("arm64,kvm-arm-mode=nested,gicv2", False, Answer.NO, "kernel command line"),
        ("arm64,kvm-arm-mode=none", False, Answer.NO, "kernel command line"),
        ("arm64,kvm-arm-mode=nestd", True, Answer.NO, "kernel default"),
        ("arm64,missing", False, Answer.NO, "kernel default"),
    ],
)
def test_arm64_nests_as_it_was_booted(
    tmp_path: Path, text: str, has_kvm: bool, nested: Answer, decides: str
) -> None:
    found = look(tmp_path, text)
    assert (found.nested, found.nested_at_boot) == (nested, nested)
    assert (found.nested_decided_by, found.backend) == (decides, "builtin" if has_kvm else "")
    assert (found.vendor, found.host_module, dict(found.modules)) == (Vendor.NONE, "", {})


@pytest.mark.parametrize("kind", KINDS)
def test_debugfs_counts_the_guests_of_every_kind(tmp_path: Path, kind: str) -> None:
    kernel = host(tmp_path, f"{kind},guests=3")
    assert len(kvm_holders.machine_ids(Root(tmp_path))) == 3
    counted = list((tmp_path / "sys/kernel/debug/kvm").glob("*/nested_run"))
    assert len(counted) == (3 if kind in ("intel", "amd") else 0)
    assert kernel.nests() in (None, False)


def test_loads_that_fail(tmp_path: Path) -> None:
    async def change(kernel: SimulatedKernel, value: str) -> str:
        await kernel.unload("kvm_amd")
        try:
            await kernel.load("kvm_amd", [("nested", value)])
        except LoadError as error:
            return str(error)
        return ""

    failing, gone = (
        host(tmp_path / "a", "amd,load-fails"),
        host(tmp_path / "b", "amd,rollback-fails"),
    )
    assert asyncio.run(change(failing, "0"))
    asyncio.run(failing.load("kvm_amd", [("nested", "1")]))
    assert failing.read_module("kvm_amd").loaded
    assert asyncio.run(change(gone, "0"))
    with pytest.raises(LoadError):
        asyncio.run(gone.load("kvm_amd", [("nested", "1")]))


def test_each_step_takes_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_kernel, "SLOW_SECONDS", 0.2)
    kernel = host(tmp_path, "intel,slow")
    before = time.monotonic()
    asyncio.run(kernel.unload("kvm_intel"))
    asyncio.run(kernel.load("kvm_intel"))
    assert time.monotonic() - before >= 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_guests_as_libvirt_shows_them(tmp_path: Path, kind: str) -> None:
    root = Root(tmp_path)
    asked = ",kvm-arm-mode=nested" if kind == "arm64" else ""
    host(tmp_path, f"{kind},guests=3{asked}")
    found = kvm_holders.scan(root, domains.names_by_pid(root))
    assert sorted(each.guest for each in found) == ["guest1", "guest2", "guest3"]
    assert len(kvm_holders.machine_ids(root)) == 3
    for number in (1, 2, 3):
        live = root.at(f"/run/libvirt/qemu/guest{number}.xml").read_text()
        text = live[live.index("<domain ") : live.index("</domstatus>")]
        exposed = number < 3 and kind != "s390"  # if nested is off by default
        parsed = domain_xml.parse(text)
        assert parsed.running
        assert parsed.name == f"guest{number}"
        if kind == "power":
            assert parsed.nested_hv == ("on" if exposed else "off")
        elif kind == "arm64":
            words = ("-machine", "virtualization=on") if exposed else ()
            assert parsed.qemu_arguments == words
        else:
            assert parsed.cpu is not None
            policies = parsed.cpu.policies("vmx", "svm", "sief2")
            assert policies == (("require",) if exposed else ("disable",))
        pid = next(each.pid for each in found if each.guest == f"guest{number}")
        line = root.at(f"/proc/{pid}/cmdline").read_bytes()
        assert any(each + b"=on" in line for each in FEATURES) is exposed
        assert live.splitlines()[4].endswith(f"pid='{pid}'>")


@pytest.mark.parametrize("situation", ["overridden", "cmdline"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_host_without_nesting_gives_it_to_no_machine(
    tmp_path: Path, kind: str, situation: str
) -> None:
    root = Root(tmp_path)
    host(tmp_path, f"{kind},{situation},guests=2")
    for command_line in root.at("/proc").glob("[0-9]*/cmdline"):
        assert not any(each + b"=on" in command_line.read_bytes() for each in FEATURES)
    assert not Machines(root, kind).run_nested()


def test_a_machine_has_what_the_host_gives_at_its_start(tmp_path: Path) -> None:
    root = Root(tmp_path)
    kernel = host(tmp_path, "s390,guests=1")
    root.at("/simulated/machines/guest1").unlink()
    root.at("/etc/modprobe.d/kvm.conf").write_text("options kvm nested=1\n")
    host(tmp_path, "s390")
    asyncio.run(kernel.unload("kvm"))
    asyncio.run(kernel.load("kvm"))
    Machines(root, "s390").start("web1", Nesting.EXPOSED)
    host(tmp_path, "s390")
    assert "policy='require' name='sief2'" in root.at("/run/libvirt/qemu/web1.xml").read_text()


def test_what_a_machine_runs_is_counted(tmp_path: Path) -> None:
    root = Root(tmp_path)
    host(tmp_path, "intel,guests=2")

    def counts() -> list[int]:
        places = root.at("/sys/kernel/debug/kvm").glob("*/nested_run")
        return sorted(int(place.read_text()) for place in places)

    before = counts()
    assert before[0] == 0
    assert before[1] > 0
    assert Machines(root, "intel").run_nested()
    assert counts()[0] == 0
    assert counts()[1] > before[1]
    root.at("/simulated/machines/guest2").unlink()
    host(tmp_path, "intel")
    assert counts() == [0]
    assert root.at("/etc/libvirt/qemu/guest2.xml").exists()  # it is shut off, not gone
    assert not root.at("/run/libvirt/qemu/guest2.pid").exists()


def test_a_situation_can_be_added_later_and_stays(tmp_path: Path) -> None:
    host(tmp_path, "intel")
    host(tmp_path, "intel,slow,config-error")
    assert main_module(tmp_path, "intel").state is ModuleState.CONFIG_ERROR
    assert "slow" in Root(tmp_path).at("/simulated/situations").read_text().split()
