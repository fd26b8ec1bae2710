# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: info
short_description: Read the state of a KVM host as facts
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - What nestd knows of the host and what it thinks of it, for conditions and reports.
  - It needs no rights, starts nothing and loads nothing.
extends_documentation_fragment:
  - nestd.kvm.nestctl
attributes:
  check_mode:
    description: Reads as in a run.
options:
  gather:
    description:
      - What to read besides.
      - C(guests) is what the running virtual machines have of nesting, and whether they use it.
      - C(posture) is what makes nesting a risk on this host.
    type: list
    elements: str
    choices: [guests, posture]
    default: []
"""

EXAMPLES = r"""
- name: Read the state
  nestd.kvm.info:

- name: Name what keeps this host from nesting
  ansible.builtin.debug:
    msg: "{{ item.summary }}"
  loop: "{{ ansible_facts.nestd.findings | selectattr('verdict', 'equalto', 'fail') }}"
  loop_control:
    label: "{{ item.id }}"

- name: Where machines run
  ansible.builtin.debug:
    msg: "{{ ansible_facts.nestd.host.machines | map(attribute='name') | join(', ') }}"
  when: ansible_facts.nestd.host.machine_count > 0
"""

RETURN = r"""
ansible_facts:
  description: Facts of the host.
  returned: success
  type: dict
  contains:
    nestd:
      description: All of them are below this one name.
      type: dict
      contains:
        host:
          description: "The document of C(nestctl describe): its keys are stable."
          type: dict
        nested:
          description: Nested virtualization in short, as C(nestctl status --json) has it.
          type: dict
        ready:
          description: Whether the host is fit for nested virtualization. No finding is C(fail).
          type: bool
        findings:
          description: The findings of C(nestctl validate).
          type: list
          elements: dict
          contains:
            id:
              description: A stable word.
              type: str
            verdict:
              description: C(pass), C(note), C(warn) or C(fail).
              type: str
            summary:
              description: One sentence.
              type: str
            hint:
              description: What can be done, empty where nothing has to be.
              type: str
        guests:
          description: What C(nestctl guests --json) lists, with C(gather=guests).
          type: list
          elements: dict
        posture:
          description: The findings of C(nestctl posture), with C(gather=posture).
          type: list
          elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused


def main():
    """Run the module."""
    extra = {"type": "list", "elements": "str", "choices": ["guests", "posture"], "default": []}
    module = AnsibleModule(argument_spec={"gather": extra}, supports_check_mode=True)
    parts = [f"--with={part}" for part in ("checks", *module.params["gather"])]
    try:
        facts = Nestctl(module).json("describe", *parts)
    except Refused as refused:
        refused.fail(module)
    module.exit_json(changed=False, ansible_facts={"nestd": facts})


if __name__ == "__main__":
    main()
