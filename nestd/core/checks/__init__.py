# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of a host, a file a family: pure functions of a Situation.

Each looks at one thing and returns what it found, None where that does not concern this host.
"""
