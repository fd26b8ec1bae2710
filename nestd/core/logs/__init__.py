# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of libvirt daemons' log settings, and debug sessions.

change is the request, transaction carries it out, pending is its record; debug_session is the
record of a session, debug_keeper maintains it until its end. Imports core.logs.settings. Begin with
daemon.
"""
