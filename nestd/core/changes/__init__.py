# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request for other parameter values: checked, planned, and carried out.

change works a request out without touching the host, plan says it in words. Imports core.modules.
Begin with change.
"""
