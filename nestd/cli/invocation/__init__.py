# SPDX-License-Identifier: LGPL-2.1-or-later
"""One invocation of nestctl: the command-line parser and the session passed to a command.

A session connects to the bus, or to the private service that --simulate and --root start. Imports
cli.screen, cli.service and cli.local. Begin with session.
"""
