# SPDX-License-Identifier: LGPL-2.1-or-later
"""The modules' use of nestctl, with programs of that name that print what a test sets."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.nestd.kvm.plugins.module_utils import logs
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused


class Failed(Exception):
    """Raised by fail_json, with its arguments."""


class Module:
    """The used part of AnsibleModule, for programs in one directory."""

    def __init__(self, directory):
        self._directory = directory

    def get_bin_path(self, name, required):
        path = os.path.join(str(self._directory), name)
        return path if os.path.exists(path) else None

    def run_command(self, command, data=None, environ_update=None):
        done = subprocess.run(
            command, input=data, capture_output=True, text=True, env=environ_update, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def fail_json(self, **result):
        raise Failed(result)


@pytest.fixture
def nestctl(tmp_path):
    """Create a nestctl from a shell script."""

    def make(script):
        path = tmp_path / "nestctl"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return Nestctl(Module(tmp_path))

    return make


def test_without_nestctl_the_task_fails_and_says_what_to_install(tmp_path):
    with pytest.raises(Failed) as failed:
        Nestctl(Module(tmp_path))
    assert "the package nestctl" in str(failed.value)


def test_an_answer_is_read_whatever_the_exit_status(nestctl):
    assert nestctl("echo '{\"ready\": false}'; exit 1").json("validate") == {"ready": False}


def test_it_is_asked_for_json_and_never_for_a_password(nestctl):
    found = nestctl('printf \'{"words": "%s"}\' "$*"').json("log", "show")
    assert found == {"words": "--no-ask-password log show --json"}


def test_what_it_reads_is_handed_on(nestctl):
    assert nestctl("cat").json("check-guest", "-", data='{"a": 1}') == {"a": 1}


def test_a_refusal_keeps_name_sentence_and_blockers(nestctl):
    error = '{"error": {"name": "org.nestd1.Error.Busy", "text": "No.", "blockers": [{"pid": 1}]}}'
    with pytest.raises(Refused) as refused:
        nestctl(f"echo '{error}'; exit 3").json("nested", "on")
    assert (refused.value.name, refused.value.text) == ("org.nestd1.Error.Busy", "No.")
    assert refused.value.blockers == [{"pid": 1}]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (2, "org.freedesktop.DBus.Error.InvalidArgs"),
        (4, "org.freedesktop.DBus.Error.AccessDenied"),
        (5, "org.freedesktop.DBus.Error.ServiceUnknown"),
        (127, "org.freedesktop.DBus.Error.Failed"),
    ],
)
def test_without_json_the_exit_status_names_the_error(nestctl, status, name):
    with pytest.raises(Refused) as refused:
        nestctl(f"echo usage: >&2; echo nestctl: Not so. >&2; exit {status}").json("x")
    assert (refused.value.name, refused.value.text) == (name, "Not so.")


def test_a_failure_is_data_for_rescue(tmp_path):
    with pytest.raises(Failed) as failed:
        Refused("org.nestd1.Error.Busy", "No.", ({"pid": 1},)).fail(Module(tmp_path))
    [result] = failed.value.args
    assert result["msg"] == "No."
    assert result["error"]["blockers"] == [{"pid": 1}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"preset": "qemu"}, ["--preset", "qemu"]),
        ({"filters": ["1:qemu 3:rpc"]}, ["1:qemu", "3:rpc"]),
        ({"filters": ["1:qemu", "3:rpc"]}, ["1:qemu", "3:rpc"]),
        ({"filters": []}, ["--clear"]),
        ({"filters": ["1:qemu"], "outputs": []}, ["1:qemu", "--outputs", ""]),
        ({"outputs": ["1:stderr", "3:journald"]}, ["--outputs", "1:stderr 3:journald"]),
    ],
)
def test_filters_and_outputs_become_arguments(given, words):
    empty = {"preset": None, "filters": None, "outputs": None}
    assert logs.words(dict(empty, **given)) == words
