# SPDX-License-Identifier: LGPL-2.1-or-later
"""The logging of libvirt's daemons: what is configured, what runs, and debug sessions.

state is what was read, request a checked wish, change one of file and daemon; debug_session is the
session, debug_keeper its record and its end. Imports host.libvirt and formats.libvirt. Begin with
daemon.
"""
