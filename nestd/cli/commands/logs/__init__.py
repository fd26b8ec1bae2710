# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands "nestctl log ...": log settings of libvirt's daemons, debug sessions, archives.

debug shows a countdown of its session and ends it on Ctrl-C. Imports commands.changes for the
wording of a plan, and cli.invocation, cli.screen and cli.service. Begin with show.
"""
