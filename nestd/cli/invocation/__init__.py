# SPDX-License-Identifier: LGPL-2.1-or-later
"""One call of nestctl: the parser of its command line and the session that a command gets.

Imports cli.screen, cli.service and cli.local. Begin with session.
"""
