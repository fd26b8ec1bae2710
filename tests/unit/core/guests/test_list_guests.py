# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which machines could run a hypervisor, and which do: answers, sources and reasons."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from machines_by_hand import BOOT, add_domain, add_machine, loaded_at, write

from nestd.core.guests.guest import Guest
from nestd.core.guests.guests import Guests
from nestd.core.modules.view import HostView
from nestd.host.guests import nested_runs
from nestd.host.root import Root
from nestd.host.simulated.host import KINDS
from nestd.host.simulated.kernel import KMOD, SimulatedKernel

MODULES = {"intel": "kvm_intel", "amd": "kvm_amd", "power": "kvm_hv", "s390": "kvm"}


class Host:
    """A host made of files, to which machines are added."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.root = Root(directory)
        self.kernel = SimulatedKernel(self.root, KINDS[kind])
        self.module = MODULES[kind]
        loaded_at(self.root, self.module, BOOT + 10)

    def nested(self, value: str) -> None:
        write(self.root, f"/sys/module/{self.module}/parameters/nested", value)

    def guests(self) -> dict[int, Guest]:
        async def look() -> tuple[Guest, ...]:
            return await Guests(HostView(self.root, self.kernel, KMOD, "none")).list()

        return {guest.machine.pid: guest for guest in asyncio.run(look())}

    def exposed(self, pid: int = 7) -> tuple[str, str]:
        exposure = self.guests()[pid].exposure
        return exposure.answer.value, exposure.by

    def nesting(self, pid: int = 7) -> tuple[str, int, str]:
        usage = self.guests()[pid].usage
        return usage.nesting.value, usage.runs, usage.by


@pytest.fixture
def intel(tmp_path: Path) -> Host:
    return Host(tmp_path, "intel")


@pytest.fixture
def amd(tmp_path: Path) -> Host:
    return Host(tmp_path, "amd")


def custom(policy: str, name: str, check: str = "full") -> str:
    feature = f"<feature policy='{policy}' name='{name}'/>" if policy else ""
    return f"<cpu mode='custom' match='exact' check='{check}'><model>EPYC</model>{feature}</cpu>"


@pytest.mark.parametrize(
    ("inside", "answer", "by"),
    [
        (custom("require", "svm"), "yes", "libvirt's live XML: svm require"),
        (custom("force", "svm"), "yes", "libvirt's live XML: svm force"),
        (custom("disable", "svm"), "no", "libvirt's live XML: svm disable"),
        (custom("forbid", "svm"), "no", "libvirt's live XML: svm forbid"),
        ("<cpu mode='host-passthrough'/>", "yes", "kvm_amd has nested on"),
        (
            "<cpu mode='host-passthrough'><feature policy='disable' name='svm'/></cpu>",
            "no",
            "svm disable",
        ),
        ("<cpu mode='maximum'/>", "yes", "maximum"),
        (custom("", "svm"), "unknown", "does not tell whether it has svm"),
        (custom("require", "vmx"), "unknown", "does not tell whether it has svm"),
    ],
)
def test_libvirts_live_xml(amd: Host, inside: str, answer: str, by: str) -> None:
    add_machine(amd.root, 7, ["/usr/bin/qemu-system-x86_64", "-cpu", "EPYC"])
    add_domain(amd.root, 7, "web1", inside)
    found, source = amd.exposed()
    assert (found, by in source) == (answer, True), source
    assert amd.guests()[7].machine.name == "web1"


@pytest.mark.parametrize(
    ("cpu", "answer", "by"),
    [
        ("host", "yes", "QEMU's -cpu: host, and kvm_intel has nested on"),
        ("host,migratable=on,vmx=off", "no", "vmx=off"),
        ("host,-vmx", "no", "vmx=off"),
        ("host,vmx=on,-vmx", "no", "vmx=off"),  # "-" is applied last
        ("host,-vmx,+vmx", "no", "vmx=off"),
        ("max", "yes", "max"),
        ("Skylake-Client,vmx=on", "yes", "vmx=on"),
        ("Skylake-Client,+vmx", "yes", "vmx=on"),
        ("Skylake-Client,vmx", "yes", "vmx=on"),
        ("Skylake-Client,vmx=off", "no", "vmx=off"),
        ("Skylake-Client", "unknown", "Skylake-Client does not tell"),
        ("Skylake-Client,vmx-ept=on", "unknown", "does not tell"),
    ],
)
def test_the_command_line_of_a_qemu_without_libvirt(
    intel: Host, cpu: str, answer: str, by: str
) -> None:
    add_machine(intel.root, 7, ["qemu-system-x86_64", "-cpu", cpu, "-m", "1G"])
    found, source = intel.exposed()
    assert (found, by in source) == (answer, True), source


def test_the_last_cpu_of_several_decides_also_against_the_xml(intel: Host) -> None:
    words = ["qemu-kvm", "-cpu", "host", "-name", "guest=a", "--cpu", "Penryn,vmx=off"]
    add_machine(intel.root, 7, words, executable="/usr/libexec/qemu-kvm")
    add_domain(intel.root, 7, "a", "<cpu mode='host-passthrough'/>")
    assert intel.exposed() == ("no", "QEMU's -cpu: vmx=off")


def test_a_machine_without_a_cpu_argument_is_not_guessed(intel: Host) -> None:
    add_machine(intel.root, 7, ["kvm", "-m", "1G"], executable="/usr/bin/kvm")
    found, by = intel.exposed()
    assert (found, "no -cpu" in by) == ("unknown", True)


def test_an_intel_model_that_libvirt_gave_no_vmx_has_none(intel: Host) -> None:
    add_machine(intel.root, 7, ["qemu-kvm", "-cpu", "Skylake-Client,hypervisor=on"])
    add_domain(intel.root, 7, "a", "<cpu mode='custom' check='full'><model>Skylake</model></cpu>")
    found, by = intel.exposed()
    assert (found, "live XML" in by) == ("no", True)


@pytest.mark.parametrize("model", ["core2duo", "coreduo-v1", "Snowridge-v1", "Snowridge"])
def test_an_intel_model_that_once_had_vmx_is_not_guessed(intel: Host, model: str) -> None:
    add_machine(intel.root, 7, ["qemu-kvm", "-cpu", model])
    add_domain(intel.root, 7, "a", "<cpu mode='custom' check='full'><model>x</model></cpu>")
    assert intel.exposed() == ("unknown", f"QEMU's -cpu {model} does not tell whether it has vmx")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["-global", "cpu.vmx=on"], "unknown"),
        (["-global", "driver=host-x86_64-cpu,property=vmx,value=on"], "unknown"),
        (["-readconfig", "/etc/qemu.conf"], "unknown"),
        (["-global", "ICH9-LPC.disable_s3=1"], "no"),
    ],
)
def test_what_stands_elsewhere_may_decide(intel: Host, words: list[str], answer: str) -> None:
    add_machine(intel.root, 7, ["qemu-kvm", "-cpu", "Skylake-Client,vmx=off", *words])
    add_domain(intel.root, 7, "a", custom("disable", "vmx"))
    found, by = intel.exposed()
    assert (found, "-global or -readconfig" in by) == (answer, answer == "unknown")


@pytest.mark.parametrize("cpu", ["host", "Skylake-Client,vmx=on"])
def test_where_the_host_does_not_nest_nobody_has_it(intel: Host, cpu: str) -> None:
    intel.nested("N\n")
    add_machine(intel.root, 7, ["qemu-kvm", "-cpu", cpu])
    found, by = intel.exposed()
    assert (found, "kvm_intel has nested off" in by) == ("no", True)


@pytest.mark.parametrize("value", ["Y\n", "N\n"])
def test_a_module_that_was_reloaded_since_tells_nothing(intel: Host, value: str) -> None:
    intel.nested(value)
    add_machine(intel.root, 7, ["qemu-kvm", "-cpu", "host"], started=BOOT + 100)
    add_machine(intel.root, 8, ["qemu-kvm", "-cpu", "host"], started=BOOT + 900)
    loaded_at(intel.root, "kvm_intel", BOOT + 500)
    found, by = intel.exposed()
    assert (found, "kvm_intel was loaded after the machine started" in by) == ("unknown", True)
    assert intel.exposed(8)[0] == ("yes" if value == "Y\n" else "no")


def test_what_the_xml_says_outright_holds_over_a_reload(amd: Host) -> None:
    add_machine(amd.root, 7, ["qemu-kvm", "-cpu", "EPYC,svm=on"], started=BOOT + 100)
    add_domain(amd.root, 7, "a", custom("require", "svm"))
    loaded_at(amd.root, "kvm_amd", BOOT + 500)
    assert amd.exposed()[0] == "yes"


def test_a_policy_that_libvirt_has_not_compared_depends_on_the_host(amd: Host) -> None:
    add_machine(amd.root, 7, ["qemu-kvm", "-cpu", "EPYC,svm=on"])
    add_domain(amd.root, 7, "a", custom("require", "svm", check="none"))
    assert amd.exposed()[0] == "yes"
    amd.nested("0\n")
    assert amd.exposed()[0] == "no"


def test_a_parameter_that_cannot_be_read(amd: Host) -> None:
    amd.root.at("/sys/module/kvm_amd/parameters/nested").unlink()
    add_machine(amd.root, 7, ["qemu-kvm", "-cpu", "host"])
    found, by = amd.exposed()
    assert (found, "whether kvm_amd has nested on is not known" in by) == ("unknown", True)


@pytest.mark.parametrize(
    ("machine", "answer"),
    [
        ("pseries,cap-nested-hv=on", "yes"),
        ("pseries,cap-nested-hv=true", "yes"),
        ("pseries,cap-nested-papr=on", "yes"),
        ("pseries,cap-nested-hv=off", "no"),
        ("pseries,accel=kvm", "no"),
    ],
)
def test_power_by_the_capability_of_its_machine(tmp_path: Path, machine: str, answer: str) -> None:
    power = Host(tmp_path, "power")
    words = ["qemu-system-ppc64", "-machine", machine, "-M", "usb=off"]
    add_machine(power.root, 7, words, counts={"halt_exits": "1\n"})
    found, by = power.exposed()
    assert found == answer
    assert "-machine" in by
    assert power.nesting() == ("unknown", 0, "this kernel's KVM does not count it")


def test_ibm_z_by_sief2_and_its_own_count(tmp_path: Path) -> None:
    host = Host(tmp_path, "s390")
    host.nested("1\n")
    cpus = {7: "host", 8: "z15,sief2=on", 9: "z15,sief2=off", 10: "z15"}
    for pid, cpu in cpus.items():
        count = "12\n" if pid == 8 else "0\n"
        words = ["qemu-system-s390x", "-cpu", cpu]
        add_machine(host.root, pid, words, counts={"instruction_sie": count})
    found = {pid: guest.exposure.answer.value for pid, guest in host.guests().items()}
    assert found == {7: "yes", 8: "yes", 9: "no", 10: "unknown"}
    assert host.nesting(8) == ("used", 12, "instruction_sie in debugfs")
    assert host.nesting(7)[0] == "not-used"


@pytest.mark.parametrize(
    ("executable", "words", "answer"),
    [
        ("cloud-hypervisor", ["--cpus", "boot=2,nested=off"], "no"),
        ("cloud-hypervisor", ["--cpus=boot=2,nested=on"], "yes"),
        ("cloud-hypervisor", ["--cpus", "boot=2"], "unknown"),
        ("cloud-hypervisor", ["--api-socket", "/run/ch"], "unknown"),
        ("firecracker", ["--api-sock", "/run/fc"], "unknown"),
        ("crosvm", ["run", "--cpus", "2"], "unknown"),
    ],
)
def test_other_monitors(intel: Host, executable: str, words: list[str], answer: str) -> None:
    path = f"/usr/bin/{executable}"
    add_machine(intel.root, 7, [path, *words], executable=path, counts={"nested_run": "0\n"})
    found, by = intel.exposed()
    assert found == answer
    if answer == "unknown":
        assert by == f"the command line of {executable} does not tell"
    assert intel.nesting()[0] == "unknown", "it may have been restored from a saved state"


def test_a_command_line_that_cannot_be_read(intel: Host) -> None:
    add_machine(intel.root, 7, [], counts={"nested_run": "0\n"})
    assert intel.exposed() == ("unknown", "its command line cannot be read")
    assert intel.nesting()[0] == "unknown"


class TestUsage:
    """Whether a machine has run guests of its own."""

    QEMU = ("qemu-kvm", "-cpu", "host")

    def test_the_count(self, intel: Host) -> None:
        add_machine(intel.root, 7, self.QEMU, counts={"nested_run": "41\n", "guest_mode": "0\n"})
        add_machine(intel.root, 8, self.QEMU, counts={"nested_run": "0\n", "guest_mode": "0\n"})
        assert intel.nesting(7) == ("used", 41, "nested_run in debugfs")
        assert intel.nesting(8) == ("not-used", 0, "nested_run in debugfs")

    def test_all_virtual_machines_of_a_process_count(self, intel: Host) -> None:
        add_machine(intel.root, 7, self.QEMU, counts={"nested_run": "1\n"})
        write(intel.root, "/sys/kernel/debug/kvm/7-30/nested_run", "2\n")
        assert intel.nesting()[:2] == ("used", 3)

    def test_who_has_run_one_has_what_it_takes(self, intel: Host) -> None:
        words = ["qemu-kvm", "-cpu", "Skylake-Client"]
        add_machine(intel.root, 7, words, counts={"nested_run": "1\n"})
        assert intel.exposed()[0] == "yes"

    def test_a_kernel_without_the_count(self, intel: Host) -> None:
        """Linux 5.10."""
        add_machine(intel.root, 7, self.QEMU, counts={"halt_exits": "9\n"})
        assert intel.nesting() == ("unknown", 0, "this kernel's KVM does not count it")

    def test_a_machine_that_another_thread_made(self, intel: Host) -> None:
        """As in Cloud Hypervisor: KVM names its directory after the thread."""
        path = "/usr/bin/cloud-hypervisor"
        add_machine(intel.root, 7, [path, "--cpus", "boot=1"], executable=path)
        write(intel.root, "/proc/7/task/7/comm", "")
        write(intel.root, "/proc/7/task/12/comm", "")
        write(intel.root, "/sys/kernel/debug/kvm/12-9/nested_run", "3\n")
        assert intel.nesting() == ("used", 3, "nested_run in debugfs")

    def test_no_debugfs(self, intel: Host) -> None:
        add_machine(intel.root, 7, self.QEMU)
        assert intel.nesting() == (
            "unknown",
            0,
            "debugfs, which has KVM's counts, cannot be read",
        )

    def test_no_directory_of_this_machine(self, intel: Host) -> None:
        add_machine(intel.root, 7, self.QEMU)
        write(intel.root, "/sys/kernel/debug/kvm/8-9/nested_run", "5\n")
        assert intel.nesting()[0] == "unknown"

    @pytest.mark.parametrize(("sample", "nesting"), [("0\n", "unknown"), ("1\n", "used")])
    def test_lockdown(
        self, intel: Host, sample: str, nesting: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kernel denies reading nested_run (0644), not guest_mode (0444)."""
        counts = {"nested_run": "9\n", "guest_mode": sample}
        add_machine(intel.root, 7, self.QEMU, counts=counts)
        number = nested_runs._number

        def locked_down(path: str) -> int:
            if path.endswith("nested_run"):
                raise PermissionError(1, os.strerror(1))
            return number(path)

        monkeypatch.setattr(nested_runs, "_number", locked_down)
        found, runs, by = intel.nesting()
        assert (found, runs) == (nesting, 0)
        assert ("lockdown" in by) == (nesting == "unknown")

    @pytest.mark.parametrize("option", ["-incoming", "-loadvm"])
    def test_a_restored_machine_began_to_count_again(self, intel: Host, option: str) -> None:
        words = [*self.QEMU, option, "fd:31"]
        add_machine(intel.root, 7, words, counts={"nested_run": "0\n"})
        add_machine(intel.root, 8, words, counts={"nested_run": "5\n"})
        found, _, by = intel.nesting(7)
        assert (found, "restored" in by) == ("unknown", True)
        assert intel.nesting(8)[0] == "used"


def test_what_is_read_follows_the_files(amd: Host) -> None:
    """A cached result is read again once the file or the process is a different one."""
    add_machine(amd.root, 7, ["qemu-kvm", "-cpu", "EPYC"], counts={"nested_run": "0\n"})
    add_domain(amd.root, 7, "a", custom("disable", "svm"))

    async def look() -> list[str]:
        guests = Guests(HostView(amd.root, amd.kernel, KMOD, "none"))
        answers = [(await guests.list())[0].exposure.answer.value]
        new = amd.root.at("/run/libvirt/qemu/a.xml.new")
        old = amd.root.at("/run/libvirt/qemu/a.xml")
        new.write_text(old.read_text().replace("disable", "require"))
        new.rename(old)
        answers.append((await guests.list())[0].exposure.answer.value)
        amd.root.at("/run/libvirt/qemu/a.pid").unlink()
        for path in (amd.root.at("/proc/7/fd/9"), amd.root.at("/proc/7/fd/10")):
            path.unlink()
        for name in ("exe", "cmdline", "stat"):
            amd.root.at(f"/proc/7/{name}").unlink()
        amd.root.at("/proc/7/fd").rmdir()
        amd.root.at("/proc/7").rmdir()
        add_machine(amd.root, 7, ["qemu-kvm", "-cpu", "EPYC,svm=off"], started=BOOT + 200)
        answers.append((await guests.list())[0].exposure.answer.value)
        return answers

    assert asyncio.run(look()) == ["no", "yes", "no"]


@pytest.mark.parametrize("instead", ["/dev/null", "/dev/kvm", ""])
def test_a_process_that_closes_its_machine_is_none_any_more(amd: Host, instead: str) -> None:
    """The number of its descriptor is cached between two looks."""
    add_machine(amd.root, 7, ["qemu-kvm", "-cpu", "EPYC"])
    add_machine(amd.root, 8, ["qemu-kvm", "-cpu", "EPYC"])

    async def look() -> list[list[int]]:
        guests = Guests(HostView(amd.root, amd.kernel, KMOD, "none"))
        found = [[each.machine.pid for each in await guests.list()]]
        descriptor = amd.root.at("/proc/7/fd/10")
        descriptor.unlink()
        if instead:
            descriptor.symlink_to(instead)
        found.append([each.machine.pid for each in await guests.list()])
        amd.root.at("/proc/7/fd/12").symlink_to("anon_inode:kvm-vcpu:0")
        found.append([each.machine.pid for each in await guests.list()])
        return found

    assert asyncio.run(look()) == [[7, 8], [8], [7, 8]]


def test_no_password_is_read() -> None:
    from nestd.formats.libvirt_xml import live_domain

    text = "<domstatus><domain type='kvm'><name>a</name><devices><graphics passwd='s'"
    assert live_domain.parse(text).name == "a", "reading ends at <devices>"
