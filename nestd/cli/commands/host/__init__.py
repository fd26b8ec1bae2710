# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that show the host: its state, guests, and findings of the checks.

Nothing here changes anything; watch prints the same lines as they change. Imports cli.invocation,
cli.screen and cli.service. Begin with status.
"""
