# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of a guest, a file a family: pure functions of a Guest.

Each returns what it found, None where it does not concern this guest.
"""
