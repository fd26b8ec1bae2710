# SPDX-License-Identifier: LGPL-2.1-or-later
"""A change of a KVM module's parameters: planned by nestd, then made from the same plan."""

from __future__ import annotations

from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused

OPTIONS = {
    "when": {"type": "str", "choices": ["now", "idle", "boot"], "default": "now"},
    "wait": {"type": "int", "default": 0},
}
_WHEN = {"now": "--now", "idle": "--when-idle", "boot": "--at-boot"}
_ENDED_BADLY = {
    "rolled-back": "org.nestd1.Error.RolledBack",
    "failed": "org.nestd1.Error.ReloadFailed",
    "cancelled": "org.freedesktop.DBus.Error.Failed",
}


def run(module, *command):
    """Make the change that a nestctl command such as ("nested", "on") requests; ends the task."""
    if module.params["wait"] < 0:
        module.fail_json(msg="wait is a number of seconds: 0 or more.")
    nestctl = Nestctl(module)
    try:
        plan = nestctl.json(*command, "--dry-run", _WHEN[module.params["when"]])
        result = _planned(nestctl, plan, module.params["when"], module.params.get("module"))
        for warning in plan["warnings"] if result["changed"] else ():
            module.warn(warning)
        if not module.check_mode:
            if result["changed"]:
                result.update(_changed(nestctl, command, plan, module.params["when"]))
            if result["job"] and module.params["wait"]:
                result.update(_waited(nestctl, result["job"], module.params["wait"]))
    except Refused as refused:
        refused.fail(module)
    module.exit_json(**result)


def _planned(nestctl, plan, when, name):
    """The result of the change by nestd's plan. Raises Refused if it will be refused."""
    refusal = plan.get("refusal")
    if refusal:
        raise Refused(refusal["name"], refusal["text"], plan["blockers"])
    waiting = when == "idle" and bool(plan["blockers"])
    job = None
    if waiting and not plan["diff"]:
        # The file is as requested, and an already waiting job does the rest.
        job = _waiting_job(nestctl, name)
    return {
        "changed": bool(plan["steps"]) and job is None,
        "diff": {"prepared": plan["diff"]},
        "steps": plan["steps"],
        "blockers": plan["blockers"],
        "waiting": waiting,
        "job": job,
    }


def _waiting_job(nestctl, name):
    """The number of the job waiting for a module, by default the one with "nested"; else None."""
    host = nestctl.json("status")
    name = (name or host["host_module"]).replace("-", "_")
    jobs = [job["id"] for job in host["jobs"] if job["module"] == name]
    return jobs[0] if jobs else None


def _changed(nestctl, command, plan, when):
    done = nestctl.json(*command, _WHEN[when], "--token", plan["token"])
    # With "now" the job has ended already.
    jobs = nestctl.json("jobs")["jobs"] if done["job"] and when == "idle" else []
    waiting = done["job"] in [job["id"] for job in jobs]
    return {"changed": done["changed"], "job": done["job"] or None, "waiting": waiting}


def _waited(nestctl, number, seconds):
    job = nestctl.json("wait", str(number), "--for", str(seconds) + "s")["job"]
    name = _ENDED_BADLY.get(job["state"])
    if name:
        text = job["error"] or f"Job {number} was cancelled, or replaced by a later request."
        raise Refused(name, text)
    return {"waiting": job["state"] != "done"}
