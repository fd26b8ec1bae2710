# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl, the command line. It uses D-Bus only: it imports dbus, and formats for pure text.

commands/ holds one file per subject, service/ the client of nestd's interface, screen/ the output
and its wording, local/ the programs that the client side runs. Begin with main.py.
"""
