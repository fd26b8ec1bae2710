# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replaces a configuration file atomically while editors may write it at the same time.

replacement prepares, commits and undoes; exchange swaps two names, lease keeps writers out for that
moment, attributes copies owner, mode and labels. Imports host.files. Begin with replacement.
"""
