# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl, the command line. It talks D-Bus only: it imports dbus, and formats for pure text.

commands/ holds one file per command, service/ the client of nestd's interface, screen/ the output
and its wording, local/ the programs that the client side runs. Begin with main.py.
"""
