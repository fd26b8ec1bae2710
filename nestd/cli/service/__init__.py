# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client of nestd's D-Bus interface, the values that it returns, and its errors.

Calls use the tables in formats.api. Nothing else in nestctl uses the connection. Imports dbus and
formats.api. Begin with client.
"""
