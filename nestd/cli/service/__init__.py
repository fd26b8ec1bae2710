# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client of nestd's D-Bus interface, the values that it answers with, and its errors.

Calls are made by the tables of formats.api. Nothing else of nestctl knows the connection. Imports
dbus and formats.api. Begin with client.
"""
