# SPDX-License-Identifier: LGPL-2.1-or-later
"""The records that nestd keeps below /run/nestd and /var/lib/nestd.

records are running transactions, debug_records what a debug session has to put back, memory what
drift has already done; state_file writes all of them. Imports host.files and root. Begin with
records.
"""
