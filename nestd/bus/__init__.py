# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's D-Bus interface: each method checks its arguments, calls core and replies.

There is one file per interface; names holds the frozen names, errors the one table of errors,
authorization asks polkit, peers/ holds the services that nestd calls. Imports core and dbus.
Begin with service.py.
"""
