# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reloading a module: as a job, as a transaction on record, undone where it fails.

queue serves jobs one after the other, execution does the steps of one, waiting holds those for an
idle host, repair and recovery finish what a failure or a crash cut off. Imports core.modules.
Begin with queue.
"""
