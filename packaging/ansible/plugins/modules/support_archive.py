# SPDX-License-Identifier: LGPL-2.1-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: support_archive
short_description: Fetch what a support request needs from a KVM host
version_added: 0.2.0
author: The nestd developers (!UNKNOWN)
description:
  - Collects libvirt's logs, those of the virtual machines, state and configuration in a .tar.gz,
    without passwords, and fetches it to the controller. Nothing of it stays on the host.
  - A new archive is made each time.
extends_documentation_fragment:
  - nestd.kvm.nestctl
options:
  dest:
    description:
      - The file on the controller. It is written with mode 0600.
      - With a slash at its end it is a folder, and the file is C(INVENTORY_NAME.tar.gz) in it.
    type: path
    required: true
  max_size:
    description: How much of logs at most, such as C(500M); nestd's default is 100M.
    type: str
attributes:
  action:
    support: full
    description: Has an action plugin that does its part on the controller.
notes:
  - In check mode nothing is collected; C(changed) is true, as in a run.
"""

EXAMPLES = r"""
- name: Collect from all hosts
  nestd.kvm.support_archive:
    dest: tickets/4711/
"""

RETURN = r"""
dest:
  description: The archive on the controller.
  returned: success
  type: str
size:
  description: Its size in bytes.
  returned: success, not in check mode
  type: int
error:
  description: nestd's refusal, with C(name), C(text) and C(blockers).
  returned: failure
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nestd.kvm.plugins.module_utils.nestctl import Nestctl, Refused


def main():
    """Make the archive at the path that the action plugin gives, which then fetches it."""
    options = {"dest": {"type": "path", "required": True}, "max_size": {"type": "str"}}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    path, size = module.params["dest"], module.params["max_size"]
    words = [] if size is None else ["--max-size", size]
    words += ["--dry-run"] if module.check_mode else []
    try:
        Nestctl(module).json("log", "collect", "--output", path, *words)
    except Refused as refused:
        refused.fail(module)
    if module.check_mode:
        module.exit_json(changed=True, dest=path)
    module.exit_json(changed=True, dest=path, size=os.stat(path).st_size)


if __name__ == "__main__":
    main()
