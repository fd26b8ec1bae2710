# SPDX-License-Identifier: LGPL-2.1-or-later
"""The result derived from a plan of nestd, before anything is done."""

from __future__ import annotations

import pytest
from ansible_collections.nestd.kvm.plugins.module_utils import change
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Refused

PLAN = {"diff": "", "steps": [], "blockers": [], "warnings": [], "token": "x"}
STATUS = {"host_module": "kvm_intel", "jobs": [{"id": 7, "module": "kvm_intel"}]}


class Nestctl:
    """Answers "status" only."""

    def json(self, *words):
        assert words == ("status",)
        return STATUS


def planned(when="now", name=None, **plan):
    return change._planned(Nestctl(), dict(PLAN, **plan), when, name)


def test_a_plan_without_steps_changes_nothing():
    assert planned()["changed"] is False


def test_steps_change_something():
    found = planned(diff="-a\n+b\n", steps=["reload"])
    assert (found["changed"], found["waiting"], found["job"]) == (True, False, None)
    assert found["diff"] == {"prepared": "-a\n+b\n"}


def test_what_is_in_the_way_is_waited_for():
    found = planned("idle", diff="-a\n+b\n", steps=["reload"], blockers=[{"pid": 1}])
    assert (found["changed"], found["waiting"], found["job"]) == (True, True, None)


@pytest.mark.parametrize(
    ("name", "job"), [(None, 7), ("kvm_intel", 7), ("kvm-intel", 7), ("kvm", None)]
)
def test_a_job_that_waits_already_is_no_change(name, job):
    found = planned("idle", name, steps=["reload"], blockers=[{"pid": 1}])
    assert (found["changed"], found["job"]) == (job is None, job)


def test_a_refusal_of_the_plan_is_one_of_the_task():
    refusal = {"name": "org.nestd1.Error.Busy", "text": "No."}
    with pytest.raises(Refused) as refused:
        planned(refusal=refusal, blockers=[{"pid": 1}])
    assert (refused.value.name, refused.value.blockers) == (refusal["name"], [{"pid": 1}])
