# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_filters
short_description: Set what a libvirt daemon logs
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - Sets log_filters, and log_outputs where they are given, in a libvirt daemon's file, and in the
    daemon itself where it runs.
extends_documentation_fragment:
  - nestd.kvm.nestctl
options:
  daemon:
    description: The daemon, such as C(libvirtd), or C(virtqemud) on hosts with modular daemons.
    type: str
    required: true
  filters:
    description:
      - Filters of the form C(LEVEL:CATEGORY), as a list or as one text with blanks.
      - An empty list stands for none.
    type: list
    elements: str
  preset:
    description: Filters that have a name, listed by C(nestctl log presets).
    type: str
  outputs:
    description:
      - Where to log, such as C(1:file:/var/log/libvirt/debug.log).
      - Where this is not given the outputs stay as they are.
    type: list
    elements: str
  when:
    description:
      - C(now) sets the file and, if it runs, the daemon.
      - C(runtime) sets the running daemon only, until it ends.
      - C(start) sets the file only, used from the daemon's next start on.
    type: str
    choices: [now, runtime, start]
    default: now
attributes:
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Warnings of QEMU's driver, errors of everything else
  nestd.kvm.log_filters:
    daemon: virtqemud
    filters:
      - "3:qemu"
      - "4:*"

- name: Filters by name, into a file
  nestd.kvm.log_filters:
    daemon: virtqemud
    preset: qemu
    outputs: ["1:file:/var/log/libvirt/qemu-debug.log"]

- name: No filters
  nestd.kvm.log_filters:
    daemon: virtqemud
    filters: []
"""

RETURN = r"""
daemon:
  description: The daemon's settings afterwards, as C(nestctl log show --json) has them.
  returned: success
  type: dict
steps:
  description: What is done to the file, in nestd's words.
  returned: success
  type: list
  elements: str
error:
  description: nestd's refusal, with C(name), C(text) and C(blockers).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nestd.kvm.plugins.module_utils import logs
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused

_WHEN = {"now": "--now", "runtime": "--runtime", "start": "--at-start"}


def main():
    """Run the module."""
    options = dict(
        logs.OPTIONS,
        daemon={"type": "str", "required": True},
        when={"type": "str", "choices": list(_WHEN), "default": "now"},
    )
    module = AnsibleModule(
        argument_spec=options,
        mutually_exclusive=[["filters", "preset"]],
        required_one_of=[["filters", "preset"]],
        supports_check_mode=True,
    )
    if module.params["outputs"] == [] and module.params["when"] != "start":
        module.fail_json(
            msg="What libvirt's default outputs are cannot be asked of a running daemon: no outputs"
            " go with when=start only."
        )
    try:
        result = _set(module, Nestctl(module))
    except Refused as refused:
        refused.fail(module)
    module.exit_json(**result)


def _set(module, nestctl):
    when = module.params["when"]
    command = ["log", "set", module.params["daemon"], *logs.words(module.params), _WHEN[when]]
    plan = nestctl.json(*command, "--dry-run")
    diff = "" if when == "runtime" else plan["diff"]
    for warning in plan["warnings"] if plan["changed"] else ():
        module.warn(warning)
    daemon = plan["log_daemon"]
    if plan["changed"] and not module.check_mode:
        daemon = nestctl.json(*command)
    return {
        "changed": plan["changed"],
        "diff": {"prepared": diff},
        "steps": plan["steps"] if diff else [],
        "daemon": daemon,
    }


if __name__ == "__main__":
    main()
