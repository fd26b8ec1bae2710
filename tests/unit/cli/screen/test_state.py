# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of nested virtualization in words, for all values that the contract allows."""

from __future__ import annotations

from typing import Any

import pytest

from nestd.cli.screen import state
from nestd.cli.service.values import Assignment, Difference, Host, Module, Nested
from nestd.formats.modprobe.load_obstacle import LoadObstacle

INSTALL = LoadObstacle("install", "install kvm_intel /bin/false", "/etc/modprobe.d/x.conf", 4)
UNKNOWN = LoadObstacle("unknown-parameter", "nested_=1", "/etc/modprobe.d/x.conf", 1)
NEEDED = LoadObstacle("dependency", "kvm value: halt_poll_ns=off", "/etc/modprobe.d/x.conf", 2)
SAYS = "/etc/modprobe.d/x.conf:4 runs a command instead of loading kvm_intel (install kvm_intel"


def module(**given: Any) -> Module:
    usual: dict[str, Any] = {
        **{"name": "kvm_intel", "availability": "loadable", "loaded": True, "refcount": 0},
        **{"parameters": {}, "configured": {}, "assignments": (), "nested": "yes"},
        **{"nested_configured": "unset", "nested_next": "default", "state": "in-sync"},
    }
    return Module(**{**usual, **given})


def host(*modules: Module, at_boot: str = "", **given: Any) -> Host:
    main = modules[0] if modules else None
    running = given.pop("running", main.nested if main else "unknown")
    usual: dict[str, Any] = {
        "nested": Nested(running, at_boot, "unset", "default", "in-sync", None),
        **{"version": "1", "vendor": "intel", "host_virtualization": "none", "machine_count": 0},
        **{"host_module": main.name if main else "", "backend": main.name if main else ""},
        **{"machines_known": True, "machines": (), "jobs": (), "inhibitors": ()},
        **{"modules": {each.name: each for each in modules}, "log_daemons": {}},
    }
    return Host(**{**usual, **given})


@pytest.mark.parametrize(
    ("nested", "at_boot", "said"),
    [
        ("yes", "yes", "is on, and stays on after a reboot."),
        ("no", "no", "is off, and stays off after a reboot."),
        ("yes", "no", "is on now, and will be off after a reboot."),
        ("no", "yes", "is off now, and will be on after a reboot."),
        ("yes", "unknown", "is on. What a reboot brings is not known."),
        ("unknown", "yes", "is not known; after a reboot it will be on."),
    ],
)
def test_what_runs_and_what_the_next_boot_brings(nested: str, at_boot: str, said: str) -> None:
    found = state.headline(host(module(nested=nested), at_boot=at_boot))
    assert found == f"Nested virtualization {said}"


@pytest.mark.parametrize(
    ("given", "at_boot", "said"),
    [
        ({"nested": "yes"}, "no", "is on now, but not after a reboot. "),
        ({"nested": "no"}, "no", "is off, and after a reboot kvm_intel is not loaded. "),
        (
            {"nested": "unknown", "loaded": False},
            "no",
            "is not in use: kvm_intel is not loaded, nor will it be after a reboot. ",
        ),
        (
            {"nested": "yes"},
            "unknown",
            "is on. Whether kvm_intel is loaded after a reboot is not known. ",
        ),
    ],
)
def test_what_keeps_a_module_from_being_loaded_is_named(
    given: dict[str, Any], at_boot: str, said: str
) -> None:
    one = module(load_obstacles=(INSTALL,), **given)
    found = state.headline(host(one, at_boot=at_boot))
    assert found.startswith(f"Nested virtualization {said}{SAYS}")
    assert "stays" not in found
    assert state.at_boot(host(one, at_boot=at_boot), one).endswith("/etc/modprobe.d/x.conf:4")


def test_what_does_not_keep_it_from_being_loaded_is_no_obstacle() -> None:
    for one in (module(load_obstacles=(UNKNOWN,)), module(load_obstacles=(INSTALL,))):
        there = host(one, at_boot="yes")
        assert state.headline(there).endswith("stays on after a reboot.")
        assert state.at_boot(there, one) == ""


def test_an_obstacle_of_a_module_that_is_needed_is_told_once() -> None:
    kvm = module(
        name="kvm",
        nested="unknown",
        state="config-error",
        load_obstacles=(LoadObstacle("value", "halt_poll_ns=off", "/etc/modprobe.d/x.conf", 2),),
    )
    both = host(module(load_obstacles=(NEEDED,)), kvm, at_boot="no")
    assert "halt_poll_ns=off, which kvm refuses" in state.headline(both)
    assert list(state.drift(both, kvm)) == []
    [alone] = state.drift(host(module(), kvm, at_boot="yes"), kvm)
    assert alone.startswith("/etc/modprobe.d/x.conf:2 sets halt_poll_ns=off, which kvm refuses")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backend": "kvm_pvm"}, "KVM runs through kvm_pvm, which nestd does not know"),
        ({"backend": "builtin"}, "KVM is built into this kernel"),
        ({"backend": ""}, "Nested virtualization is not available"),
        ({"backend": "builtin", "running": "yes", "at_boot": "yes"}, "is on, and stays on"),
        ({"backend": "builtin", "running": "no", "at_boot": "yes"}, "is off, and will be on"),
    ],
)
def test_a_host_without_a_module_that_nestd_knows(given: dict[str, Any], said: str) -> None:
    assert said in state.headline(host(**given))


def test_a_value_that_cannot_be_read_is_not_known() -> None:
    one = module(nested="unknown", read_error="sysfs cannot be read: Input/output error.")
    found = state.headline(host(one, at_boot="yes"))
    assert found == (
        "Nested virtualization is not known (sysfs cannot be read: Input/output error);"
        " after a reboot it will be on."
    )


def test_pending_is_what_the_service_says() -> None:
    differing = (Difference("nested", "Y", "0"), Difference("halt_poll_ns", "128", "0x40"))
    one = module(state="reload-pending", pending=differing)
    [sentence] = state.drift(host(one), one)
    assert sentence == (
        "kvm_intel was loaded before its configuration was changed"
        " (nested 1 -> 0, halt_poll_ns 128 -> 0x40)."
    )
    # nestctl does not compare: without Pending it reports nothing about single parameters.
    one = one._replace(pending=None, parameters={"nested": "Y"})
    assert "(its parameters)" in next(state.drift(host(one), one))


def test_the_line_that_decides_over_kvm_conf_is_named() -> None:
    winner = Assignment("nested", "0", "/etc/modprobe.d/zz.conf", 1)
    own = Assignment("nested", "1", "/etc/modprobe.d/kvm.conf", 1)
    one = module(state="overridden", configured={"nested": "1"}, assignments=(own, winner))
    [sentence] = state.drift(host(one), one)
    assert "but /etc/modprobe.d/zz.conf:1 sets nested=0 and decides" in sentence
