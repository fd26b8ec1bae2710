# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_check
short_description: Check whether a guest can run virtual machines itself
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - Reads a guest's domain XML and tells whether it can run virtual machines on this host, and which
    XML it lacks. Nothing is changed or started.
  - A guest that is not ready is no failure. Use C(failed_when) where it shall be one.
  - A file or text may hold several domains, one after the other, as C(virt-install --print-xml) and
    several C(virsh dumpxml) print them. Each is checked.
extends_documentation_fragment:
  - nestd.kvm.nestctl
attributes:
  check_mode:
    description: Reads as in a run.
options:
  name:
    description: The guest's name in libvirt, whose persistent definition is read with virsh.
    type: str
  path:
    description: A file with the XML, on the managed host.
    type: path
  xml:
    description: The XML itself.
    type: str
"""

EXAMPLES = r"""
- name: Check a guest of libvirt's
  nestd.kvm.guest_check:
    name: web1
  register: guest
  failed_when: guest.failed or not guest.ready

- name: Check a definition before it is used
  nestd.kvm.guest_check:
    xml: "{{ lookup('ansible.builtin.template', 'web1.xml.j2') }}"
  register: planned
"""

RETURN = r"""
ready:
  description: Whether the guest can run virtual machines on this host; of several, whether all can.
  returned: success
  type: bool
findings:
  description: What was found, each with C(id), C(verdict), C(summary) and C(hint).
  returned: success
  type: list
  elements: dict
guests:
  description: The same of each guest by itself, with its C(name).
  returned: success
  type: list
  elements: dict
error:
  description: nestd's refusal, with C(name), C(text) and C(blockers).
  returned: failure
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused


def main():
    """Run the module."""
    ways = ["name", "path", "xml"]
    module = AnsibleModule(
        argument_spec={"name": {}, "path": {"type": "path"}, "xml": {}},
        mutually_exclusive=[ways],
        required_one_of=[ways],
        supports_check_mode=True,
    )
    given = module.params
    nestctl = Nestctl(module)
    try:
        if given["xml"] is not None:
            found = nestctl.json("check-guest", "-", data=given["xml"])
        elif given["path"] is not None:
            found = nestctl.json("check-guest", os.path.abspath(given["path"]))
        else:
            found = nestctl.json("check-guest", given["name"])
    except Refused as refused:
        refused.fail(module)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
