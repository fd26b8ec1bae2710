# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl, the command line. It talks D-Bus only: it imports dbus, and formats for pure text.

commands/ holds a file a command, service/ the client of nestd's interface, screen/ what is printed
and in which words, local/ the programs that the client's side runs. Begin with main.py.
"""
