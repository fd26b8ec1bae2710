# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reloads a module: as a job, as a recorded transaction, undone if it fails.

queue runs jobs one at a time, execution carries out a job's steps, waiting holds jobs until the
host is idle; roll_back, retry_undo and recovery handle failures and crashes. Imports core.modules.
Begin with queue.
"""
