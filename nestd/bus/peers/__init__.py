# SPDX-License-Identifier: LGPL-2.1-or-later
"""The services that nestd itself calls on the bus: logind and systemd.

Each implements an interface of core, which knows no D-Bus. Imports dbus and core. Begin with
systemd_units.
"""
