# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's records below /run/nestd and /var/lib/nestd.

records holds running transactions, undo_records the settings to restore after a debug session,
json_file the drift already handled; state_file writes all of them. Imports host.files and root.
Begin with records.
"""
