# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus face: a method is argument check, core call, reply."""
