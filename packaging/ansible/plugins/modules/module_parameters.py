# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: module_parameters
short_description: Set or remove parameters of a KVM module
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - Sets parameters of one of KVM's modules in C(/etc/modprobe.d/kvm.conf), and brings the module to
    run with them. Comments and other options in the file stay as they are.
  - A parameter that the kernel can change while the module is loaded needs no reload.
  - For nested virtualization M(nestd.kvm.nested) finds the module by itself.
extends_documentation_fragment:
  - nestd.kvm.nestctl
  - nestd.kvm.change
options:
  module:
    description: The module, such as C(kvm), C(kvm_intel), C(kvm_amd) or C(kvm_hv).
    type: str
    required: true
  parameters:
    description:
      - The parameters and their values. C(true) and C(false) are written as 1 and 0.
      - With C(state=absent) the values are not looked at, and may be null.
    type: dict
    required: true
  state:
    description:
      - C(present) sets the parameters.
      - C(absent) removes their assignments from C(/etc/modprobe.d/kvm.conf), so that another file
        or the kernel's default decides.
    type: str
    choices: [present, absent]
    default: present
attributes:
  diff_mode:
    support: full
seealso:
  - module: nestd.kvm.nested
"""

EXAMPLES = r"""
- name: Let idle processors poll for a shorter time, for which no reload is needed
  nestd.kvm.module_parameters:
    module: kvm
    parameters:
      halt_poll_ns: 50000

- name: Switch AVIC off as soon as no virtual machine runs
  nestd.kvm.module_parameters:
    module: kvm_amd
    parameters:
      avic: false
    when: idle

- name: Have the kernel's default again from the next boot on
  nestd.kvm.module_parameters:
    module: kvm_intel
    parameters:
      ple_gap:
    state: absent
    when: boot
"""

RETURN = r"""
changed:
  description: Whether anything was changed, or a reload was asked for.
  returned: success
  type: bool
steps:
  description: What is done for it, in order, in nestd's words.
  returned: success
  type: list
  elements: str
  sample: [unload kvm_intel, write /etc/modprobe.d/kvm.conf, load kvm_intel with modprobe]
warnings:
  description: What nestd's plan warns of, such as a copy of the module in the initramfs.
  returned: when something is changed
  type: list
  elements: str
blockers:
  description: What was in the way of a reload before the change.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: C(machine), C(process), C(module), C(inhibitor) and so on.
      type: str
    name:
      description: The virtual machine's name where it is known, else the program's.
      type: str
    pid:
      description: The process, 0 where it is none.
      type: int
    detail:
      description: The same in words.
      type: str
waiting:
  description: Whether the reload waits until nothing is in the way.
  returned: success
  type: bool
job:
  description: The number of nestd's job; null where no reload is needed, and in check mode.
  returned: success
  type: int
error:
  description: nestd's refusal.
  returned: failure
  type: dict
  contains:
    name:
      description: The name of the D-Bus error.
      type: str
      sample: org.nestd1.Error.Busy
    text:
      description: nestd's sentence.
      type: str
    blockers:
      description: What is in the way, as C(blockers).
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nestd.kvm.plugins.module_utils import change


def main():
    """Run the module."""
    options = dict(
        change.OPTIONS,
        module={"type": "str", "required": True},
        parameters={"type": "dict", "required": True},
        state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    )
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    given = module.params
    if not given["parameters"]:
        module.fail_json(msg="parameters names none.")
    absent = given["state"] == "absent"
    assigned = [
        f"{name}={'' if absent else _text(module, name, value)}"
        for name, value in given["parameters"].items()
    ]
    change.run(module, "set", given["module"], *assigned)


def _text(module, name, value):
    """A value in the form that the kernel reads."""
    if isinstance(value, bool):
        return str(int(value))
    text = "" if value is None else str(value)
    if not text:
        module.fail_json(msg=f"{name} has no value: give one, or state=absent to remove it.")
    return text


if __name__ == "__main__":
    main()
