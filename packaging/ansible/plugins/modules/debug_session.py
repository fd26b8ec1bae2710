# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: debug_session
short_description: Have debug logs of a libvirt daemon for some time
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - Starts a debug session. nestd ends it when its time is over or its logs have grown too large;
    the daemon then logs again what it did before.
  - A session with the same filters that runs already stays as it is, with the time it has left.
extends_documentation_fragment:
  - nestd.kvm.nestctl
options:
  daemon:
    description: The daemon, such as C(libvirtd), or C(virtqemud) on hosts with modular daemons.
    type: str
    required: true
  state:
    description: Whether a session runs.
    type: str
    choices: [started, stopped]
    default: started
  duration:
    description: How long it runs, such as C(90s), C(10m) or C(1h30m).
    type: str
    default: 10m
  filters:
    description: Filters of the form C(LEVEL:CATEGORY), as a list or as one text with blanks.
    type: list
    elements: str
  preset:
    description:
      - Filters that have a name, listed by C(nestctl log presets).
      - C(qemu) where neither this nor C(filters) is given.
    type: str
  outputs:
    description:
      - Where to log. The default is where it logs now, and C(/var/log/libvirt/DAEMON-debug.log).
    type: list
    elements: str
  max_size:
    description: End the session when its logs have grown by this, such as C(500M). nestd's
      default is 1G.
    type: str
"""

EXAMPLES = r"""
- name: Debug logs while the fault is provoked
  nestd.kvm.debug_session:
    daemon: virtqemud
    duration: 20m

- name: End it
  nestd.kvm.debug_session:
    daemon: virtqemud
    state: stopped
"""

RETURN = r"""
daemon:
  description: The daemon's settings afterwards, as C(nestctl describe) has them.
  returned: success
  type: dict
error:
  description: nestd's refusal, with C(name), C(text) and C(blockers).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nestd.kvm.plugins.module_utils import logs
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused


def main():
    """Run the module."""
    options = dict(
        logs.OPTIONS,
        daemon={"type": "str", "required": True},
        state={"type": "str", "choices": ["started", "stopped"], "default": "started"},
        duration={"type": "str", "default": "10m"},
        max_size={"type": "str"},
    )
    module = AnsibleModule(
        argument_spec=options,
        mutually_exclusive=[["filters", "preset"]],
        supports_check_mode=True,
    )
    nestctl = Nestctl(module)
    try:
        result = (_started if module.params["state"] == "started" else _stopped)(module, nestctl)
    except Refused as refused:
        refused.fail(module)
    module.exit_json(**result)


def _started(module, nestctl):
    given = module.params
    command = ["log", "debug", given["daemon"], *logs.words(given), "--for", given["duration"]]
    command += [] if given["max_size"] is None else ["--max-size", given["max_size"]]
    plan = nestctl.json(*command, "--dry-run")
    for warning in plan["warnings"] if plan["changed"] else ():
        module.warn(warning)
    daemon = plan["log_daemon"]
    if plan["changed"] and not module.check_mode:
        daemon = nestctl.json(*command, "--no-wait")
    return {"changed": plan["changed"], "daemon": daemon}


def _stopped(module, nestctl):
    dry_run = ["--dry-run"] if module.check_mode else []
    found = nestctl.json("log", "debug", module.params["daemon"], "--stop", *dry_run)
    return {"changed": found["changed"], "daemon": found["log_daemon"]}


if __name__ == "__main__":
    main()
