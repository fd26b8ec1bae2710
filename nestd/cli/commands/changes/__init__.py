# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that change a KVM module or its configuration, plan a change or handle reload jobs.

Each calls the service, waits if requested, and lets outcome describe the result from the state
afterwards. Imports cli.invocation, cli.screen and cli.service. Begin with change.
"""
