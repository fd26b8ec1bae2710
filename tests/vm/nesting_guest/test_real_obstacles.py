# SPDX-License-Identifier: LGPL-2.1-or-later
"""Obstacles to loading the module: nestd's report against the kernel, modprobe and udev.

The boot is simulated through udev, which is triggered to add the processors again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from client import MANAGER, ROOT, Client, refused, run

SYS_MODULE = Path("/sys/module")
LINES = Path("/etc/modprobe.d/zz-test.conf")
AMD = f"{ROOT}/module/kvm_amd"


def command(*words: str) -> None:
    subprocess.run(words, check=True, timeout=60)


def unload() -> None:
    for name in ("kvm_amd", "kvm"):
        if is_loaded(name):
            command("rmmod", name)


def is_loaded(name: str = "kvm_amd") -> bool:
    return (SYS_MODULE / name / "initstate").exists()


def loads_at_boot() -> bool:
    """Whether udev loads the module for the processor."""
    unload()
    command("udevadm", "trigger", "--action=add", "--subsystem-match=cpu")
    command("udevadm", "settle", "--timeout=50")
    return is_loaded()


def modprobe_loads() -> bool:
    unload()
    subprocess.run(["modprobe", "kvm_amd"], timeout=60)
    return is_loaded()


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    yield
    LINES.unlink(missing_ok=True)
    Path("/etc/modprobe.d/kvm.conf").unlink(missing_ok=True)
    unload()
    command("modprobe", "kvm_amd", "nested=1")


async def obstacles(client: Client) -> list[tuple[str, str, str, int]]:
    return [tuple(each) for each in await client.module("kvm_amd", "LoadObstacles")]


def test_a_blacklist_line_is_heeded_by_udev_and_not_by_modprobe() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("blacklist kvm-amd\n")
        await client.becomes(ROOT, MANAGER, "NestedAtBoot", "no")
        assert await obstacles(client) == [("blacklist", "blacklist kvm_amd", str(LINES), 1)]
        assert not loads_at_boot()
        assert modprobe_loads()

    assert loads_at_boot()  # without the line
    run(test)


def test_a_blacklist_line_of_a_module_that_is_needed_has_no_effect() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("blacklist kvm\nblacklist irqbypass\nblacklist ccp\n")
        assert await client.get(ROOT, MANAGER, "NestedAtBoot") == "yes"
        assert await obstacles(client) == []
        assert loads_at_boot()

    run(test)


@pytest.mark.parametrize("line", ["install kvm_amd /bin/false", "install kvm /bin/true"])
def test_an_install_line_keeps_it_out_of_the_next_boot(line: str) -> None:
    async def test(client: Client) -> None:
        LINES.write_text(f"# a comment\n{line}\n")
        await client.becomes(ROOT, MANAGER, "NestedAtBoot", "no")
        assert await client.get(ROOT, MANAGER, "NestedDecidedBy") == f"{LINES}:2"
        assert not loads_at_boot()
        assert not modprobe_loads()

    run(test)


def test_an_install_line_of_kvm_does_not_keep_its_vendors_module_from_a_reload() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("install kvm /bin/true\n")
        await client.becomes(ROOT, MANAGER, "NestedAtBoot", "no")
        assert await client.set_nested("kvm_amd", False, "now") != "/"
        assert (SYS_MODULE / "kvm_amd/parameters/nested").read_text() == "0\n"

    run(test)


def test_an_alias_stands_in_the_way_of_modprobe() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("alias kvm_amd off\n")
        await client.becomes(ROOT, MANAGER, "NestedAtBoot", "unknown")
        error = await refused(client.set_nested("kvm_amd", False, "now"))
        assert f"{LINES}:1" in error.text
        assert is_loaded()
        assert not modprobe_loads()
        assert loads_at_boot()  # udev requests it by an alias of the processor

    run(test)


def test_a_value_that_kvm_refuses_keeps_its_vendors_module_out() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("options kvm halt_poll_ns=off\n")
        await client.becomes(ROOT, MANAGER, "NestedAtBoot", "no")
        [(kind, text, file, line)] = await obstacles(client)
        assert (kind, text) == ("dependency", "kvm value: halt_poll_ns=off")
        assert (file, line) == (str(LINES), 1)
        assert not loads_at_boot()
        assert not modprobe_loads()

    run(test)


def test_unknown_parameters_of_kvm_are_told_and_ignored() -> None:
    async def test(client: Client) -> None:
        LINES.write_text("options kvm halt_poll_us=5\n")
        findings = await client.call(ROOT, MANAGER, "Validate")
        said = " ".join(f"{summary} {hint}" for _, _, summary, hint in findings)
        assert f"{LINES}:1 sets halt_poll_us" in said
        assert await client.get(ROOT, MANAGER, "NestedAtBoot") == "yes"
        assert loads_at_boot()

    run(test)


def test_a_comma_is_taken_into_a_value() -> None:
    LINES.write_text("options kvm_amd avic=0,npt=0\n")
    assert modprobe_loads()
    assert (SYS_MODULE / "kvm_amd/parameters/npt").read_text() == "Y\n"
    LINES.write_text("options kvm_amd nested=0,npt=0\n")
    assert not modprobe_loads()
