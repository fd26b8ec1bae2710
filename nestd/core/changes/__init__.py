# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request for other parameter values: checked, planned, and carried out.

changes serves requests one at a time; change works one out without touching the host; plan says it
in words. Imports core.modules and core.reloads. Begin with changes.
"""
