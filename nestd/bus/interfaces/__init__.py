# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus contract, one XML file an interface."""
