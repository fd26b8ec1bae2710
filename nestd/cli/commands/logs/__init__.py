# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands "nestctl log ...": what libvirt's daemons log, debug sessions, support archives.

Imports commands.changes for the words of a plan. Begin with show.
"""
