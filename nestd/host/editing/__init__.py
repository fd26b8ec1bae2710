# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replaces a configuration file atomically, even while editors write to it.

replacement prepares, commits and undoes; exchange swaps two names, lease keeps writers out
meanwhile, attributes copies owner, mode and labels. Imports host.files. Begin with replacement.
"""
