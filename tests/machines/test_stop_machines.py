# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl nested --stop-machines and machines resume, with guests of the real libvirt.

nestd is scripted, since this machine's KVM is not a module; tests/vm has the real one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping

import pytest
from private_bus import PrivateBus
from real_guests import Guests, Result
from scripted_nestd import OWN, Script, scripted_nestd

from nestd.dbus.errors import BusError

pytestmark = pytest.mark.machines
NAMES = ("alpha", "beta")
RUNS = dict.fromkeys(NAMES, "running (booted)")
OFF = ("nested", "off", "--stop-machines")


def described(name: str, pid: int, **more: str) -> Mapping[str, object]:
    told = {"vmm": "qemu-system-x86", "unit": "", "exposed": "no", "exposed_by": "x"}
    return {"pid": pid, "name": name, **told, "nesting": "not-used", "nesting_by": "x", **more}


def blocker(name: str, pid: int) -> tuple[str, str, int, str]:
    return ("machine", name, pid, "virtual machine of qemu-system-x86")


def states(guests: Guests) -> dict[str, str]:
    return {name: guests.state(name) for name in NAMES}


@pytest.fixture
def script(guests: Guests) -> Iterator[Script]:
    """Two running guests, and a nestd that knows them."""
    pids = {name: guests.define(name) for name in NAMES}
    yield Script(
        guests=[described(name, pid) for name, pid in pids.items()],
        blockers=[blocker(name, pid) for name, pid in pids.items()],
    )
    for name in NAMES:
        if guests.state(name).startswith("running"):
            guests.virsh("destroy", name)
        guests.virsh("undefine", name, "--managed-save")
    assert guests.record() == ""


def stop(bus: PrivateBus, guests: Guests, script: Script, *words: str) -> Result:
    with scripted_nestd(bus.address, script):
        return guests.nestctl(*OFF, *words)


@pytest.mark.parametrize(
    ("how", "off", "back", "told"),
    [
        ("save", "shut off (saved)", "running (restored)", "goes on where it was"),
        ("shutdown", "shut off (shutdown)", "running (booted)", "has booted again"),
    ],
)
def test_all_are_stopped_for_the_change_and_come_back(
    how: str, off: str, back: str, told: str, bus: PrivateBus, guests: Guests, script: Script
) -> None:
    meanwhile: list[dict[str, str]] = []
    script.before = {"SetNested": lambda: meanwhile.append(states(guests))}
    plan = stop(bus, guests, script, how, "--dry-run")
    assert (plan.code, script.calls_of("SetNested"), states(guests)) == (0, [], RUNS)
    done = stop(bus, guests, script, how, "--yes")
    assert done.code == 0, done.out + done.err
    assert meanwhile == [dict.fromkeys(NAMES, off)]
    assert states(guests) == dict.fromkeys(NAMES, back)
    for name in NAMES:
        assert name in plan.out
        assert f"{name} {told}." in done.out


def test_nothing_is_stopped_without_an_answer(
    bus: PrivateBus, guests: Guests, script: Script
) -> None:
    done = stop(bus, guests, script, "save")
    assert (done.code, states(guests)) == (2, RUNS)
    assert "nested off --stop-machines save --yes" in done.err


def test_one_that_does_not_shut_down_in_time_ends_the_whole(
    bus: PrivateBus, guests: Guests, script: Script
) -> None:
    pid = guests.define("deaf", deaf=True)
    script.guests = [*script.guests, described("deaf", pid)]
    done = stop(bus, guests, script, "shutdown", "--yes", "--time-limit", "5s")
    left = guests.record()
    guests.virsh("destroy", "deaf")
    with scripted_nestd(bus.address, script):
        resumed = guests.nestctl("machines", "resume")
    guests.virsh("destroy", "deaf")
    guests.virsh("undefine", "deaf")
    assert (done.code, script.calls_of("SetNested"), states(guests)) == (1, [], RUNS)
    assert "Not shut down within 5 s: deaf. No setting was changed." in done.err
    assert "Shut down already, and booted again: alpha, beta." in done.err
    assert "deaf still runs, and may yet shut down as it was asked to." in done.err
    assert [each["name"] for each in json.loads(left)["machines"]] == ["deaf"]
    assert (resumed.code, resumed.out.splitlines()[-1]) == (0, "deaf has booted again.")


@pytest.mark.parametrize(
    ("instead", "told"),
    [
        ("echo 'error: no space' >&2; exit 1", "beta cannot be saved: no space."),
        ("exec sleep 600", "beta could not be saved within 45 s."),
    ],
)
def test_one_that_cannot_be_saved_ends_the_whole(
    instead: str, told: str, bus: PrivateBus, guests: Guests, script: Script
) -> None:
    saves = guests.libvirtd.root / "saves"
    saves.unlink(missing_ok=True)
    wrapper = f"""\
case " $* " in *" managedsave "*)
    echo x >> {saves}
    if [ "$(wc -l < {saves})" = 2 ]; then {instead}; fi;;
esac"""
    # Long enough to save the first of them on a busy machine too.
    limit = ("--time-limit", "45s") if "sleep" in instead else ()
    with guests.virsh_that(wrapper):
        done = stop(bus, guests, script, "save", "--yes", *limit)
    assert (done.code, script.calls_of("SetNested")) == (1, [])
    assert f"nestctl: {told} No setting was changed." in done.err
    assert states(guests) == {"alpha": "running (restored)", "beta": "running (booted)"}
    assert "alpha goes on where it was." in done.out
    assert "beta runs, and was not stopped." in done.out


def test_a_change_that_fails_brings_them_back(
    bus: PrivateBus, guests: Guests, script: Script
) -> None:
    script.failures = {"SetNested": BusError(OWN + "RolledBack", "The load failed.")}
    done = stop(bus, guests, script, "save", "--yes")
    assert done.code == 1
    assert "nestctl: The load failed. No setting was changed." in done.err
    assert states(guests) == dict.fromkeys(NAMES, "running (restored)")


def test_what_cannot_be_stopped_is_named_and_nothing_is(
    bus: PrivateBus, guests: Guests, script: Script
) -> None:
    guests.define("passing")
    guests.virsh("undefine", "passing")  # it continues to run
    guests.virsh("suspend", "beta")
    known = {str(each["name"]): each for each in script.guests}
    unknown = {"exposed": "yes", "nesting": "unknown", "nesting_by": "no count"}
    script.guests = [
        described("alpha", int(str(known["alpha"]["pid"])), **unknown),
        known["beta"],
        described("passing", guests.pid("passing")),
        described("vm", 1, vmm="firecracker"),
    ]
    script.blockers = [*script.blockers, ("process", "probe", 2, "has /dev/kvm open")]
    done = stop(bus, guests, script, "save", "--yes")
    document = json.loads(stop(bus, guests, script, "save", "--yes", "--json").out)
    guests.virsh("destroy", "passing")
    guests.virsh("resume", "beta")
    assert (done.code, script.calls_of("SetNested")) == (3, [])
    assert states(guests) == {"alpha": "running (booted)", "beta": "running (unpaused)"}
    for text in (
        "): it may have run guests of its own (no count)",
        "): paused: it runs afterwards, or its state is lost",
        "): transient: libvirt would forget it once it is stopped",
        "vm (pid 1): not managed by libvirt's system daemon but by firecracker",
        "probe (pid 2): has /dev/kvm open",
    ):
        assert text in done.err
    names = {each["name"] for each in document["error"]["blockers"]}
    assert names == {"alpha", "beta", "passing", "vm", "probe"}


@pytest.mark.parametrize(
    ("value", "how", "refused"),
    [("off", "save", True), ("off", "shutdown", False), ("on", "save", False)],
)
def test_one_that_has_run_guests_of_its_own_is_not_saved_into_a_loss(
    value: str, how: str, refused: bool, bus: PrivateBus, guests: Guests, script: Script
) -> None:
    script.guests = [{**each, "exposed": "yes", "nesting": "used"} for each in script.guests]
    with scripted_nestd(bus.address, script):
        done = guests.nestctl("nested", value, "--stop-machines", how, "--yes")
    assert done.code == (3 if refused else 0), done.err
    assert ("would be lost" in done.err) == refused
    assert bool(script.calls_of("SetNested")) == (not refused)


@pytest.mark.parametrize(
    ("value", "how", "exposed", "warned"),
    [
        ("off", "save", "yes", "has nesting"),
        ("off", "save", "unknown", "may have nesting"),
        ("off", "save", "no", ""),
        ("off", "shutdown", "yes", ""),
        ("on", "save", "yes", ""),
    ],
)
def test_one_that_may_have_loaded_kvm_is_not_saved_without_a_warning(
    value: str,
    how: str,
    exposed: str,
    warned: str,
    bus: PrivateBus,
    guests: Guests,
    script: Script,
) -> None:
    """It is not visible from outside; if it has, its saved state needs nesting."""
    script.guests = [{**script.guests[0], "exposed": exposed}, script.guests[1]]
    words = ("nested", value, "--stop-machines", how, "--dry-run")
    with scripted_nestd(bus.address, script):
        plan = guests.nestctl(*words)
        as_json = guests.nestctl(*words, "--json")
    assert (plan.code, as_json.code, states(guests)) == (0, 0, RUNS)
    warning = f"Warning: alpha {warned}: if KVM is loaded in it, its saved state may be lost"
    for each in (plan, as_json):
        assert (warning in each.err) == bool(warned), each.err
        assert "beta" not in each.err
    alpha, beta = json.loads(as_json.out)["machines"]
    assert (alpha["name"], alpha["waits"], beta["warning"]) == ("alpha", False, "")
    assert bool(alpha["warning"]) == bool(warned)


KILLS = [
    (how, when, word, count)
    for how, word in (("save", "managedsave"), ("shutdown", "shutdown"))
    for step in (word, "start")
    for when in ("before", "during", "after")
    for count, word in ((1, step), (2, step))
]


@pytest.mark.parametrize(("how", "when", "word", "count"), KILLS)
def test_killed_at_each_step_resume_finishes(
    how: str,
    when: str,
    word: str,
    count: int,
    bus: PrivateBus,
    guests: Guests,
    script: Script,
) -> None:
    action = {
        "before": "kill -9 $PPID; exit 1",
        "during": 'kill -9 $PPID; exec $VIRSH "$@"',
        "after": '$VIRSH "$@"; kill -9 $PPID; exit 1',
    }[when]
    counter = guests.libvirtd.root / "count"
    counter.unlink(missing_ok=True)
    wrapper = f"""\
case " $* " in *" {word} "*)
    echo x >> {counter}
    if [ "$(wc -l < {counter})" = {count} ]; then {action}; fi;;
esac"""
    with scripted_nestd(bus.address, script):
        with guests.virsh_that(wrapper):
            killed = guests.nestctl(*OFF, how, "--yes")
        resumed = guests.nestctl("machines", "resume")
    assert killed.code == -signal.SIGKILL, killed
    assert resumed.code == 0, resumed.out + resumed.err
    assert {state.split()[0] for state in states(guests).values()} == {"running"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_during_the_change_resume_finishes(
    number: signal.Signals, bus: PrivateBus, guests: Guests, script: Script
) -> None:
    process: list[subprocess.Popen[str]] = []

    def interrupt() -> None:
        os.kill(process[0].pid, number)
        process[0].wait()

    script.before = {"SetNested": interrupt}
    with scripted_nestd(bus.address, script):
        process.append(guests.start_nestctl(*OFF, "save", "--yes"))
        _, err = process[0].communicate()
        listed = guests.nestctl("machines")
        resumed = guests.nestctl("machines", "resume")
        again = guests.nestctl("machines", "resume")
    if number == signal.SIGINT:
        assert process[0].returncode == 128 + number
        assert "Interrupted. To start the guests that are stopped:" in err
    assert "To be started: alpha, beta." in listed.out
    assert states(guests) == dict.fromkeys(NAMES, "running (restored)")
    assert resumed.out.endswith("alpha goes on where it was.\nbeta goes on where it was.\n")
    assert (again.code, again.out) == (0, "No guest is to be started.\n")
