# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that change a KVM module or its configuration, plans of a change, and reload jobs.

outcome words what came of a change, from what the service says afterwards. Begin with change.
"""
