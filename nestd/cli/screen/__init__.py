# SPDX-License-Identifier: LGPL-2.1-or-later
"""The output of nestctl: columns, colours on a terminal, and nestd's terms in words.

Nothing else of nestctl writes to the terminal. Imports cli.service for the values, and formats for
pure text. Begin with output.
"""
