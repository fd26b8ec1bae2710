# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests to change parameter values: checked, planned and carried out.

changes serves requests one at a time; change derives the effect of a request without touching the
host; plan describes it in text. Imports core.modules and core.reloads. Begin with changes.
"""
