# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.Validate and Manager.CheckGuest over D-Bus, on simulated hosts of all vendors."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import cast

import pytest
from private_bus import PrivateBus
from running_nestd import MANAGER, ROOT, Client, Nestd, client_of, on_host, running_nestd

from nestd.dbus.errors import BusError

INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
LIMITS_EXCEEDED = "org.freedesktop.DBus.Error.LimitsExceeded"
GUESTS = Path(__file__).parent.parent / "unit" / "guests"
HOST_MODULES = {"intel": "kvm_intel", "amd": "kvm_amd", "power": "kvm_hv", "s390": "kvm"}
VERDICTS = {"pass", "note", "warn", "fail"}

Findings = dict[str, tuple[str, str, str]]


def guest(name: str) -> str:
    return (GUESTS / f"{name}.xml").read_text()


def by_id(found: object) -> Findings:
    """a(ssss) as verdict, summary and hint by id."""
    rows = cast("list[tuple[str, str, str, str]]", found)
    findings = {id_: (verdict, summary, hint) for id_, verdict, summary, hint in rows}
    assert len(findings) == len(rows)
    assert {verdict for verdict, _, _ in findings.values()} <= VERDICTS
    return findings


async def validate(client: Client) -> Findings:
    [found] = await client.call(ROOT, MANAGER, "Validate")
    return by_id(found)


async def check_guest(client: Client, xml: str) -> tuple[bool, Findings]:
    ready, found = await client.call(ROOT, MANAGER, "CheckGuest", "s", xml)
    assert isinstance(ready, bool)
    return ready, by_id(found)


@pytest.mark.parametrize("vendor", HOST_MODULES)
def test_validate_follows_what_runs(vendor: str, bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        module = HOST_MODULES[vendor]
        await client.set_nested(module, True, "now")
        on = await validate(client)
        assert not [each for each in on.items() if each[1][0] in ("warn", "fail")]
        assert on["nested"][0] == on["next-load"][0] == "pass"
        await client.set_nested(module, False, "now")
        off = await validate(client)
        assert off["nested"][0] == "fail"
        assert off["nested"][2] == "Switch it on with: nestctl nested on"
        await client.set_nested(module, True, "boot")
        drifting = await validate(client)
        assert drifting["next-load"][0] == "warn"
        assert "kvm.conf" in drifting["next-load"][1]

    on_host(bus, tmp_path, vendor, test)


@pytest.mark.parametrize(
    ("vendor", "ready_guest", "unready_guest"),
    [
        ("intel", "intel-host-model", "intel-skylake"),
        ("amd", "amd-epyc-rome-svm", "amd-epyc"),
        ("power", "power-nested-hv", "power-without-nested-hv"),
        ("s390", "s390-host-passthrough", "s390-huge-pages"),
    ],
)
def test_check_guest(
    vendor: str, ready_guest: str, unready_guest: str, bus: PrivateBus, tmp_path: Path
) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        await client.set_nested(HOST_MODULES[vendor], True, "now")
        ready, findings = await check_guest(client, guest(ready_guest))
        assert ready
        assert findings["host"][0] == "pass"
        assert "fail" not in {verdict for verdict, _, _ in findings.values()}
        ready, findings = await check_guest(client, guest(unready_guest))
        assert not ready
        assert "fail" in {verdict for verdict, _, _ in findings.values()}
        await client.set_nested(HOST_MODULES[vendor], False, "now")
        ready, findings = await check_guest(client, guest(ready_guest))
        assert not ready
        assert findings["host"][0] == "fail"

    on_host(bus, tmp_path, vendor, test)


def test_bad_xml_is_refused_in_one_sentence(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(client: Client, nestd: Nestd) -> None:
        before = nestd.resident()
        for xml in (
            "",
            "<network/>",
            "<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>",
            "<domain>" + "<a>" * 300_000,
            "<domain>" + "<a/>" * 200_000 + "</domain>",
            "<domain>" + "x" * 1_000_000,
        ):
            with pytest.raises(BusError) as caught:
                await check_guest(client, xml)
            assert caught.value.name == INVALID_ARGS
            assert caught.value.text.endswith(".")
            assert "\n" not in caught.value.text
        with pytest.raises(BusError) as caught:
            await check_guest(client, f"<domain><name>{'x' * (10 << 20)}</name></domain>")
        assert caught.value.name == LIMITS_EXCEEDED
        ready, _ = await check_guest(client, guest("amd-host-passthrough"))
        assert ready
        assert nestd.resident() - before < 20 << 20

    on_host(bus, tmp_path, "amd", test)


def test_many_at_once_keep_nobody_waiting(bus: PrivateBus, tmp_path: Path) -> None:
    """The largest accepted XML, and full validations, while another client sends small requests."""

    async def test(client: Client, nestd: Nestd) -> None:
        large = guest("amd-host-passthrough").replace("</domain>", "<a/>" * 4_500 + "</domain>")
        async with client_of(nestd) as other:
            calls = [asyncio.ensure_future(check_guest(client, large)) for _ in range(12)]
            looks = [asyncio.ensure_future(validate(client)) for _ in range(4)]
            slowest = 0.0
            while not all(each.done() for each in calls):
                started = time.monotonic()
                await other.get(ROOT, MANAGER, "MachineCount")
                slowest = max(slowest, time.monotonic() - started)
            answers = await asyncio.gather(*calls)
            found = await asyncio.gather(*looks)
        assert all(ready for ready, _ in answers)
        assert all(each == found[0] for each in found)
        assert slowest < 5

    on_host(bus, tmp_path, "amd", test)


def test_files_of_another_machine(bus: PrivateBus, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with running_nestd(bus.address, tmp_path) as nestd:

        async def test() -> None:
            async with client_of(nestd) as client:
                found = await validate(client)
                assert found["cpu"][0] == "note"
                ready, _ = await check_guest(client, guest("intel-host-passthrough"))
                assert not ready

        asyncio.run(test())


def test_reading_leaves_the_host_as_it_is(bus: PrivateBus, tmp_path: Path) -> None:
    def files(root: Path) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    async def test(client: Client, nestd: Nestd) -> None:
        # The start records the state of kvm.conf in a thread that READY=1 does not wait for.
        noted = nestd.root / "var/lib/nestd/kvm.conf.json"
        for _ in range(200):
            if noted.exists():
                break
            await asyncio.sleep(0.05)
        before = files(nestd.root)
        assert noted in map(Path, before)
        for _ in range(3):
            await validate(client)
            await check_guest(client, guest("s390-host-model"))
        assert files(nestd.root) == before
        assert not client.signals

    on_host(bus, tmp_path, "s390", test)
