# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documentation shared by all modules."""

from __future__ import annotations


class ModuleDocFragment:
    """nestd.kvm.nestctl"""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Predicts what a run does, refusals included, and changes nothing.
  diff_mode:
    support: none
    description: Shows the change of the file that nestd has planned.
requirements:
  - nestd and nestctl 0.2.0 or later on the managed host
  - Python 3.9 or later on the managed host
notes:
  - A refusal of nestd's fails the task with nestd's sentence as C(msg). C(error.name) is the name
    of the D-Bus error, such as C(org.nestd1.Error.Busy), and C(error.blockers) is what is in the
    way, so that C(rescue) can decide.
  - nestctl is found on the C(PATH) and reaches nestd on the system bus, or on the bus that
    C(DBUS_SYSTEM_BUS_ADDRESS) names.
"""
