# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documentation shared by the modules that change a KVM module."""

from __future__ import annotations


class ModuleDocFragment:
    """nestd.kvm.change"""

    DOCUMENTATION = r"""
options:
  when:
    description:
      - C(now) reloads the module at once. If anything is in the way, such as a virtual machine that
        runs, nothing is changed and the task fails with C(org.nestd1.Error.Busy).
      - C(idle) writes the file now and reloads the module as soon as nothing is in the way. A
        reload that waits already for the same is no change.
      - C(boot) writes the file only; the next load of the module uses it.
    type: str
    choices: [now, idle, boot]
    default: now
  wait:
    description:
      - How many seconds to wait for the reload, with C(when=idle). C(0) returns at once.
      - A reload that still waits after this time goes on waiting; the task succeeds with
        C(waiting=true).
    type: int
    default: 0
"""
