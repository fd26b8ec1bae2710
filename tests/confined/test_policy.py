# SPDX-License-Identifier: LGPL-2.1-or-later
"""The SELinux policy and the AppArmor profile compile, and allow what nestd needs, no more.

The policy is linked with Debian's own, which checks its neverallow rules, and queried with setools.
The files are those that Fedora's and RHEL's packages compile: names that differ there are selected
by ifdef.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Callable

import debian_image
import policy_image
import pytest
import tiers

sys.path.append(str(Path(__file__).parents[1] / "nspawn"))

from container import Overlay

pytestmark = pytest.mark.confined

CHECKOUT = Path(__file__).resolve().parents[2]
POLICY = CHECKOUT / "packaging" / "selinux" / "nestd.te"
COMPILE = """
cp -r /src/packaging/selinux /policy && cd /policy
make -f /usr/share/selinux/devel/Makefile NAME=default nestd.pp
"""
# semodule_expand checks the neverallow rules.
LINK = """
cd /usr/share/selinux/default
semodule_link -o /linked base.pp $(ls *.pp | grep -v '^base.pp$') /policy/nestd.pp
semodule_expand /linked /policy.bin
"""
REPLACED = ("create", "write", "rename", "unlink", "setattr", "relabelto", "relabelfrom")
# [source, target, class, permission]: what nestd does.
ALLOWED = [
    ["init_t", "nestd_t", "process2", "nnp_transition"],
    ["nestd_t", "kmod_t", "process2", "nnp_transition"],
    ["nestd_t", "kmod_t", "process", "transition"],
    *(["nestd_t", "modules_conf_t", "file", each] for each in REPLACED),
    *(["nestd_t", "virt_etc_t", "file", each] for each in REPLACED),
    ["nestd_t", "nestd_t", "capability", "sys_module"],
    ["nestd_t", "kmsg_device_t", "chr_file", "read"],
    ["nestd_t", "nestd_t", "netlink_kobject_uevent_socket", "create"],
    ["nestd_t", "policykit_t", "dbus", "send_msg"],
    ["nestd_t", "virt_log_t", "file", "read"],
    ["nestd_t", "virtd_t", "unix_stream_socket", "connectto"],
]
# What nestd does not need.
DENIED = [
    *(["nestd_t", "kvm_device_t", "chr_file", each] for each in ("read", "write", "open")),
    ["nestd_t", "shadow_t", "file", "read"],
    ["nestd_t", "etc_t", "file", "write"],
    ["nestd_t", "bin_t", "file", "write"],
    ["nestd_t", "virt_etc_rw_t", "file", "write"],
    ["nestd_t", "modules_object_t", "file", "write"],
    ["nestd_t", "systemd_unit_file_t", "file", "write"],
    ["nestd_t", "memory_device_t", "chr_file", "read"],
    ["nestd_t", "fixed_disk_device_t", "blk_file", "read"],
    ["nestd_t", "nestd_t", "process", "execmem"],
    ["nestd_t", "nestd_t", "capability", "sys_admin"],
    ["nestd_t", "nestd_t", "capability", "dac_override"],
    ["nestd_t", "nestd_t", "tcp_socket", "create"],
    ["nestd_t", "", "process", "ptrace"],
    ["nestd_t", "", "filesystem", "mount"],
]


@pytest.fixture(scope="session")
def root(
    tmp_path_factory: pytest.TempPathFactory,
    record_testsuite_property: Callable[[str, object], None],
) -> Overlay:
    """The root with Debian's SELinux policy."""
    if not policy_image.directory().exists() and os.geteuid() != 0:
        tiers.lacking([f"the image, which root builds with {policy_image.__file__}"])
    started = time.monotonic()
    try:
        image = policy_image.build()
    except debian_image.BuildError as error:
        pytest.fail(str(error), pytrace=False)
    record_testsuite_property("image", f"{time.monotonic() - started:.0f} s")
    return Overlay(image, tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def compiled(root: Overlay) -> str:
    """The compiler's output; nestd.pp is then in /policy."""
    return root.run("sh", "-euc", COMPILE, binds=(f"{CHECKOUT}:/src",))


@pytest.fixture(scope="session")
def answers(root: Overlay, compiled: str) -> dict[str, bool | None]:
    """The linked policy's answers, by the question as text."""
    root.run("sh", "-euc", LINK)
    questions = ALLOWED + DENIED
    (root.directory / "upper" / "questions").write_text(json.dumps(questions))
    ask = "python3 /src/tests/confined/in_image/ask_policy.py /policy.bin < /questions"
    said = root.run("sh", "-euc", ask, binds=(f"{CHECKOUT}:/src",))
    [line] = re.findall(r"^\[.*\]$", said, re.MULTILINE)
    return {str(question): each for question, each in zip(questions, json.loads(line))}


def test_the_policy_compiles_without_a_warning(compiled: str) -> None:
    assert "Creating default nestd.pp policy package" in compiled
    assert "warning" not in compiled.lower()


@pytest.mark.parametrize("question", ALLOWED, ids=" ".join)
def test_what_nestd_does_is_allowed(question: list[str], answers: dict[str, bool | None]) -> None:
    assert answers[str(question)] is True


@pytest.mark.parametrize("question", DENIED, ids=" ".join)
def test_what_is_not_its_work_is_denied(
    question: list[str], answers: dict[str, bool | None]
) -> None:
    assert answers[str(question)] is False


def test_the_apparmor_profile_compiles(root: Overlay) -> None:
    command = (
        "apparmor_parser --skip-kernel-load --skip-cache /src/packaging/apparmor/usr.bin.nestd"
    )
    assert "rror" not in root.run("sh", "-euc", command, binds=(f"{CHECKOUT}:/src",))


def test_each_rule_says_which_feature_needs_it() -> None:
    text = re.sub(r"^#{5,}\n#\n# .*\n#\n", "", POLICY.read_text(), flags=re.MULTILINE)
    paragraphs = [
        each for each in text.split("\n\n") if each.strip() and "policy_module" not in each
    ]
    assert len(paragraphs) > 30
    bare = [each for each in paragraphs if not re.match(r"\s*#", each) and each.strip() != "')"]
    assert bare == []
