# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's D-Bus face: a method is argument check, core call, reply.

One file an interface; names are the frozen ones, errors the one table, authorization asks polkit,
peers/ are the services that nestd calls. Imports core and dbus. Begin with service.py.
"""
