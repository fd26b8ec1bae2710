# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request for other parameter values: checked, planned, and carried out.

changes serves requests one at a time; change derives what a request means without touching the
host; plan describes it in words. Imports core.modules and core.reloads. Begin with changes.
"""
