# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log settings of a libvirt daemon: configured, running and requested, and the daemon's unit.

state is what was read, request a checked request; file and runtime read and change the settings in
the file and in the daemon, service starts the daemon. Imports host.libvirt and formats.libvirt.
Begin with state.
"""
