# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestd does. Knows no D-Bus and no path."""
