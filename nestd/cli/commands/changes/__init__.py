# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that change a KVM module or its configuration, plans of a change, and reload jobs.

Each asks the service, waits where it is told to, and lets outcome word what came of it, from what
the service says afterwards. Imports cli.invocation, cli.screen and cli.service. Begin with change.
"""
