# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd-metrics.timer and its service, as packaged."""

from __future__ import annotations

import pytest
from container import Container, wait_for

pytestmark = pytest.mark.nspawn

TIMER, SERVICE = "nestd-metrics.timer", "nestd-metrics.service"
FILE = "/run/nestd-metrics/nestd.prom"
SECONDS = 60.0  # for an operation that takes one second


def test_the_timer_is_not_enabled(machine: Container) -> None:
    assert machine.property("UnitFileState", TIMER) == "disabled"
    assert machine.property("ActiveState", TIMER) == "inactive"
    assert not machine.file(FILE).exists()


def test_everybody_can_read_what_a_user_without_rights_writes(machine: Container) -> None:
    machine.output("systemctl", "start", SERVICE)
    assert machine.property("Result", SERVICE) == "success"
    text = machine.output("cat", FILE, user="somebody")
    assert 'nestd_nested{at="running",state="no"} 1\n' in text
    assert machine.output("stat", "--format=%U %a", FILE) == "nestd-metrics 644\n"
    assert machine.output("id", "--groups", "nestd-metrics").split() == [
        machine.output("id", "--group", "nestd-metrics").strip()
    ]
    assert machine.output("ls", "-A", "/run/nestd-metrics") == "nestd.prom\n"


def test_without_nestd_the_file_stays_as_it_was(machine: Container) -> None:
    machine.output("systemctl", "start", SERVICE)
    before = machine.output("stat", "--format=%i", FILE)
    machine.output("systemctl", "start", SERVICE)
    after = machine.output("stat", "--format=%i", FILE)
    assert after != before, "a new file, put in the place of the old one"
    machine.output("systemctl", "mask", "--runtime", "--now", "nestd.service")
    try:
        assert machine.run("systemctl", "start", SERVICE).returncode != 0
        assert machine.output("stat", "--format=%i", FILE) == after
        assert machine.output("ls", "-A", "/run/nestd-metrics") == "nestd.prom\n"
    finally:
        machine.output("systemctl", "unmask", "--runtime", "nestd.service")
        machine.output("systemctl", "start", "nestd.service")


def test_the_timer_has_it_written(machine: Container) -> None:
    machine.output("rm", "-f", FILE)
    machine.output("systemctl", "enable", "--now", TIMER)
    try:
        assert wait_for(lambda: machine.file(FILE).exists(), SECONDS)
    finally:
        machine.output("systemctl", "disable", "--now", TIMER)
