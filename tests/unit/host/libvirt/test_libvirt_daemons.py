# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which libvirt daemons are installed and running, and how to reach them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nestd.host.libvirt import daemons as libvirt_daemons
from nestd.host.libvirt import log_targets
from nestd.host.root import Root


def test_installed_is_what_has_a_program(tmp_path: Path) -> None:
    for program in ("usr/sbin/virtqemud", "usr/bin/virtproxyd", "usr/sbin/virtlogd"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).touch()
    (tmp_path / "etc/libvirt").mkdir(parents=True)
    (tmp_path / "etc/libvirt/libvirtd.conf").touch()
    assert libvirt_daemons.installed(Root(tmp_path)) == ("virtqemud", "virtproxyd")


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("libvirtd", "libvirtd:///system?socket=/run/libvirt/libvirt-admin-sock"),
        ("virtqemud", "virtqemud:///system?socket=/run/libvirt/virtqemud-admin-sock"),
        ("virtproxyd", "libvirtd:///system?socket=/run/libvirt/libvirt-admin-sock"),
    ],
)
def test_admin_uri(name: str, uri: str) -> None:
    assert libvirt_daemons.admin_uri(Root(), name) == uri


def test_a_process_is_found_by_its_pid_file_and_name(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "libvirtd").symlink_to("/bin/sleep")
    pid_file = tmp_path / "run/libvirtd.pid"
    root = Root(tmp_path)
    assert libvirt_daemons.read_process(root, "libvirtd") is None
    environment = {"LIBVIRT_DEBUG": "1", "SECRET": "x"}
    with subprocess.Popen([str(tmp_path / "libvirtd"), "60"], env=environment) as process:
        pid_file.write_text(str(process.pid))
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes().endswith(b"libvirtd\x0060\0"):
            pass
        found = libvirt_daemons.read_process(root, "libvirtd")
        process.kill()
    assert found is not None
    assert (found.pid, found.arguments) == (process.pid, ("60",))
    assert found.environment == {"LIBVIRT_DEBUG": "1"}
    for stale in (str(process.pid), str(os.getpid()), "", "x", "-1", "9" * 4000):
        pid_file.write_text(stale)
        assert libvirt_daemons.read_process(root, "libvirtd") is None


def test_where_clients_may_have_logs_written(tmp_path: Path) -> None:
    root = Root(tmp_path)
    logs = tmp_path / "var/log/libvirt"
    logs.mkdir(parents=True)
    (logs / "there.log").touch()
    (logs / "away").symlink_to("/etc")
    (logs / "inside").symlink_to("there.log")
    os.mkfifo(logs / "fifo")
    good = ("there.log", "new.log", "inside")
    bad = ("away/x", "fifo", ".", "../x", "../../../etc/passwd")
    for name in good:
        assert log_targets.objection(root, f"/var/log/libvirt/{name}") == ""
    for name in bad:
        assert log_targets.objection(root, f"/var/log/libvirt/{name}") != ""
    for path in ("/etc/passwd", "/var/log/libvirt", "/var/log/libvirtx", "/var/log/syslog"):
        assert log_targets.objection(root, path) != ""
