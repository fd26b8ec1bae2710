# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others change: modules loaded and files edited behind nestd's back.

drift finds the differences, watch reacts as nestd.conf says. Imports core.changes and
core.reloads. Begin with drift.
"""
