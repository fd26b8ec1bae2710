# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sources of a support archive, and readers that never block on them.

sources lists them, log_reader reads one of any size, spool and timed_pipe hand the archive over.
Imports host.modprobe. Begin with sources.
"""
