# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon's log settings according to its configuration file, its unit and its process."""

from __future__ import annotations

import time

import pytest

from nestd.core.errors import ConfigUnparsable
from nestd.core.logs.settings.file import FileChange, change_file, duplicates
from nestd.core.logs.settings.request import LogSettings
from nestd.core.logs.settings.state import overridden_by, read_config, timeout_of
from nestd.formats import environment_file
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.log_readback import filters_to_set, outputs_to_set
from nestd.formats.unified_diff import unified_diff
from nestd.host.libvirt.daemons import DaemonProcess
from nestd.host.libvirt.interface import UnitFacts

PATH = "/etc/libvirt/libvirtd.conf"
STOCK = b'# Logging\n#log_filters="1:qemu"\n\n#log_outputs="3:syslog:libvirtd"\nmax_clients = 5\n'


def settings(filters: str, outputs: str | None = None) -> LogSettings:
    wanted = log_filters.parse_strict(filters)
    return LogSettings(wanted, None if outputs is None else log_outputs.parse_strict(outputs))


def change(data: bytes | None, filters: str, outputs: str | None = None) -> FileChange:
    return change_file(PATH, data, settings(filters, outputs))


def test_config_values() -> None:
    config = read_config(b'log_filters = "1:*qemu*  3:+x"\nlog_level = 2\n', PATH)
    assert log_filters.canonical(config.filters) == "1:qemu 3:x"
    assert (config.outputs, config.level, config.error) == ((), 2, "")
    assert read_config(None, PATH).error == ""


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a = 1\nlog-filters = 1\n", f"{PATH}:2: expecting an assignment"),
        (b"log_filters = 1\n", f"{PATH}:1: expected a string for 'log_filters' parameter"),
        (b"\nlog_level = 5\n", f"{PATH}:2: log_level is 5, but goes from 0 to 4"),
        (b'log_outputs = "1:bar"\n', f"{PATH}:1: output 1, '1:bar', at character 1: an output is"),
        (b" " * (10 << 20) + b"\n", f"{PATH}: the file is larger"),
    ],
)
def test_config_errors(data: bytes, error: str) -> None:
    assert read_config(data, PATH).error.startswith(error)


def test_a_change_touches_one_line_and_can_be_taken_back() -> None:
    changed = change(STOCK, "1:util", "3:journald")
    assert changed.data == (
        b'# Logging\n#log_filters="1:qemu"\nlog_filters = "1:util"\n\n'
        b'#log_outputs="3:syslog:libvirtd"\nlog_outputs = "3:journald"\nmax_clients = 5\n'
    )
    assert change(changed.data, "", "").data == STOCK
    assert not change(changed.data, "1:util").edits
    assert change(None, "1:x").data == b'log_filters = "1:x"\n'


def test_what_means_the_same_stays_as_it_is_written() -> None:
    data = b"log_filters = '1:*qemu*   3:+x'\n"
    assert change(data, "1:qemu 3:x").data == data
    assert change(b'log_filters = ""\n', "").data == b'log_filters = ""\n'


def test_values_that_libvirt_refuses_are_replaced() -> None:
    assert change(b'log_filters = "5:x"\n', "").data == b""
    assert change(b"log_filters = 7\n", "1:a").data == b'log_filters = "1:a"\n'
    with pytest.raises(ConfigUnparsable, match=f"libvirt cannot read {PATH}:1: "):
        change(b'log_filters = "1:a\n', "1:a")


def test_dead_duplicates_are_told() -> None:
    data = b'log_filters = "1:a"\nlog_filters = "1:b"\n'
    told = (f"{PATH}:2: log_filters is assigned again, which has no effect.",)
    assert duplicates(change(data, "1:c")) == told


def test_overrides() -> None:
    unit = UnitFacts(
        known=True,
        environment={"LIBVIRTD_ARGS": "--timeout 120"},
        arguments=("$LIBVIRTD_ARGS",),
    )
    assert overridden_by(None, unit, []) == ""
    variables = environment_file.parse(
        b"# comment\nLIBVIRTD_ARGS=\"--config '/srv/x y.conf' -v\"\nLIBVIRT_DEBUG=1\n"
    )
    assert overridden_by(None, unit, [variables]) == (
        "LIBVIRT_DEBUG in the unit, --config /srv/x y.conf in the unit, --verbose in the unit"
    )
    process = DaemonProcess(1, 2, ("-f/x", "-dv"), {"LIBVIRT_DEBUG": "1"})
    assert overridden_by(process, UnitFacts(), []) == (
        "LIBVIRT_DEBUG in its environment, --config /x on its command line,"
        " --verbose on its command line"
    )


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (("--timeout", "120"), 120),
        (("--timeout=30",), 30),
        (("-t", "5"), 5),
        (("-t7",), 7),
        (("--timeout", "0"), None),
        (("--verbose",), None),
        (("--config", "--timeout"), None),
    ],
)
def test_timeout(arguments: tuple[str, ...], seconds: int | None) -> None:
    assert timeout_of(DaemonProcess(1, 2, arguments, {})) == seconds


def test_environment_file() -> None:
    data = b"A=1\n  B = 2\n;C=3\n#D=4\nE='x y'\"z\"\\ w \nF=a\\\nb\n G=\xff\nA=2"
    parsed = environment_file.parse(data)
    assert parsed == {"A": "2", "E": "x yz w", "F": "ab", "G": "\udcff"}


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        ("1:*qemu* 3:*** ", "1:qemu 3:*"),
        ("1:**a** ", "1:*a*"),
        ("2:*+b* ", "2:++b"),
        ("1:qemu", "1:qemu"),
        ("", ""),
    ],
)
def test_filters_are_set_again_as_they_were(reported: str, text: str) -> None:
    assert filters_to_set(reported) == text


def test_outputs_are_set_again_as_they_were() -> None:
    assert outputs_to_set("3:journald 1:file:/x ") == "3:journald 1:file:/x"
    assert outputs_to_set("") == " "


def test_a_diff_is_that_of_diff_and_quick() -> None:
    before = b"".join(b"%d\n" % number for number in range(400_000))
    after = before.replace(b"\n300000\n", b"\n300000\nnew\n")
    started = time.monotonic()
    assert unified_diff(before, after, "x") == (
        "--- x\n+++ x\n@@ -299999,6 +299999,7 @@\n 299998\n 299999\n 300000\n+new\n 300001\n"
        " 300002\n 300003\n"
    )
    assert time.monotonic() - started < 5
    assert unified_diff(b"a", b"a\nb", "x") == (
        "--- x\n+++ x\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"
        "\\ No newline at end of file\n"
    )
    assert unified_diff(b"", b"b\n", "x") == "--- x\n+++ x\n@@ -0,0 +1 @@\n+b\n"
    assert unified_diff(b"a\n", b"a\n", "x") == ""
