# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files for polkit, the bus and systemd, against the code."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from contract import FILES

from nestd.bus.authorization import Action
from nestd.formats.api.names import BUS_NAME

CHECKOUT = Path(__file__).parents[3]
SYSTEMD = CHECKOUT / "systemd"
POLKIT_DTD = Path(__file__).parents[1] / "data" / "policyconfig-1.dtd"
IMPLY = "org.freedesktop.policykit.imply"
ANSWERS = ("no", "auth_self", "auth_admin", "auth_self_keep", "auth_admin_keep", "yes")


@pytest.mark.needs("xmllint")
def test_polkit_file_is_valid(tmp_path: Path) -> None:
    """Against a copy of polkit's DTD: the XML catalog with the original comes with polkit."""
    text = (SYSTEMD / "org.nestd1.policy").read_text()
    alone, removed = re.subn(r"<!DOCTYPE policyconfig PUBLIC[^>]*>", "", text)
    assert removed == 1
    (tmp_path / "org.nestd1.policy").write_text(alone)
    _xmllint("--dtdvalid", str(POLKIT_DTD), str(tmp_path / "org.nestd1.policy"))


@pytest.mark.needs("xmllint")
@pytest.mark.parametrize(
    "path", [SYSTEMD / "org.nestd1.conf", *FILES.values()], ids=lambda p: p.name
)
def test_xml_is_well_formed(path: Path) -> None:
    _xmllint(str(path))


def test_polkit_knows_each_action_and_one_for_all() -> None:
    actions = _actions()
    assert set(actions) == {action.value for action in Action}
    manage = Action.MANAGE.value
    notes = {note.get("key"): note.text for note in actions[manage].iter("annotate")}
    assert {manage, *str(notes[IMPLY]).split()} == set(actions)


def test_nothing_is_changed_without_an_administrator() -> None:
    for name, action in _actions().items():
        answers = {answer.tag: answer.text for answer in action.iter() if "allow" in answer.tag}
        assert set(answers) == {"allow_any", "allow_inactive", "allow_active"}
        assert set(answers.values()) <= set(ANSWERS)
        if name == "org.nestd1.inhibit":
            answers["allow_active"] = "auth_admin_keep"
        # Actions that one password must not authorize for later calls.
        not_kept = ("org.nestd1.collect-logs", "org.nestd1.manage")
        expected = "auth_admin" if name in not_kept else "auth_admin_keep"
        assert set(answers.values()) == {expected}, name


def test_prompts_name_what_it_is_about() -> None:
    for name, action in _actions().items():
        message = str(action.findtext("message"))
        assert message.startswith("Authentication is required to "), name
        assert ("$(module)" in message) == name.endswith("-modules"), name
        assert ("$(daemon)" in message) == name.endswith(("configure-logs", "debug-logs")), name


def test_bus_policy_denies_and_then_allows_by_interface() -> None:
    [default] = [
        policy
        for policy in ElementTree.parse(SYSTEMD / "org.nestd1.conf").iter("policy")
        if policy.get("context") == "default"
    ]
    first, *rest = default
    assert (first.tag, first.get("send_destination")) == ("deny", BUS_NAME)
    assert first.get("send_type") is None, "signals too"
    assert all(rule.tag == "allow" for rule in rest)
    assert {rule.get("send_type") for rule in rest} == {"method_call"}
    assert {rule.get("send_destination") for rule in rest} == {BUS_NAME}
    allowed = {rule.get("send_interface") for rule in rest}
    assert allowed == FILES.keys()


def test_activation_file_starts_the_unit() -> None:
    parser = configparser.ConfigParser()
    parser.read(SYSTEMD / "org.nestd1.service")
    section = parser["D-BUS Service"]
    assert section["Name"] == BUS_NAME
    assert (SYSTEMD / section["SystemdService"]).exists()
    assert f"\nBusName={BUS_NAME}\n" in (SYSTEMD / section["SystemdService"]).read_text()


def test_preset_enables_the_unit() -> None:
    assert "enable nestd.service" in (SYSTEMD / "90-nestd.preset").read_text().splitlines()


def test_settings_file_is_all_comments() -> None:
    lines = (SYSTEMD / "nestd.conf").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def _actions() -> dict[str, ElementTree.Element]:
    root = ElementTree.parse(SYSTEMD / "org.nestd1.policy")
    return {str(action.get("id")): action for action in root.iter("action")}


def _xmllint(*arguments: str) -> None:
    command = ["xmllint", "--noout", "--nonet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
