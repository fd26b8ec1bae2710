# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus library around dbus_next that knows nothing of nestd and imports no other floor.

connection/ is one connection to a bus, with fair queues; objects/ exports objects with interfaces,
properties and signals; values and errors are shared with the other floors. Nothing else imports
dbus_next. Begin with connection/transport.py and objects/tree.py.
"""
