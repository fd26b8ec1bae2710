# SPDX-License-Identifier: LGPL-2.1-or-later
"""Objects with interfaces: introspection, properties, change signals, ObjectManager.

interface is a contract read from XML, exported an object that implements interfaces, tree all
objects of one service. Imports dbus.connection. Begin with tree.
"""
