# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client of nestd's D-Bus interface, and the values that it answers with.

Imports dbus. Begin with client.
"""
