# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a libvirt daemon logs: configured and running, asked for and warned of, and its unit.

state is what was read, request a checked wish, file and runtime read and set the two places where
settings are, service starts the daemon. Imports host.libvirt and formats.libvirt. Begin with state.
"""
