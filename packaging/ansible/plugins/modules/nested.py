# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nested
short_description: Switch nested virtualization of a KVM host on or off
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - Sets the C(nested) parameter of this host's KVM module, for now and for every boot to come.
    Which module that is, nestd knows.
  - No virtual machine is ever stopped for it. A module that a machine uses is not reloaded; what
    happens then is decided by C(when).
extends_documentation_fragment:
  - nestd.kvm.nestctl
  - nestd.kvm.change
options:
  enabled:
    description: Whether virtual machines may run virtual machines of their own.
    type: bool
    required: true
attributes:
  diff_mode:
    support: full
seealso:
  - module: nestd.kvm.module_parameters
"""

EXAMPLES = r"""
- name: Switch nested virtualization on; fail where a virtual machine runs
  nestd.kvm.nested:
    enabled: true

- name: Switch it off as soon as no virtual machine runs, and wait ten minutes for that
  nestd.kvm.nested:
    enabled: false
    when: idle
    wait: 600
  register: nesting

- name: Tell which hosts still wait
  ansible.builtin.debug:
    msg: "Waits for {{ nesting.blockers | map(attribute='name') | join(', ') }}."
  when: nesting.waiting

- name: Decide by the error
  block:
    - name: Reload at once
      nestd.kvm.nested:
        enabled: false
  rescue:
    - name: Not while machines run
      nestd.kvm.nested:
        enabled: false
        when: idle
      when: ansible_failed_result.error.name == 'org.nestd1.Error.Busy'
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
    options = dict(change.OPTIONS, enabled={"type": "bool", "required": True})
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    change.run(module, "nested", "on" if module.params["enabled"] else "off")


if __name__ == "__main__":
    main()
