# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes by others: modules loaded and files edited without nestd.

drift finds the differences, watch reacts as set in nestd.conf. Imports core.changes and
core.reloads. Begin with drift.
"""
