# SPDX-License-Identifier: LGPL-2.1-or-later
"""The services that nestd itself calls on the bus: logind and systemd.

Begin with systemd_units.
"""
