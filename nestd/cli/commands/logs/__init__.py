# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands "nestctl log ...": what libvirt's daemons log, debug sessions, support archives.

debug counts a session down and ends it with Ctrl-C. Imports commands.changes for the words of a
plan, and cli.invocation, cli.screen and cli.service. Begin with show.
"""
