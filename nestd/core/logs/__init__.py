# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of what libvirt's daemons log, and debug sessions.

change is what was asked for, transaction makes it, pending is its record; debug_session is a
session, debug_keeper keeps it until its end. Imports core.logs.settings. Begin with daemon.
"""
