# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sources of a support archive, and non-blocking readers for them.

sources lists them, log_reader reads logs of any size, spool and timed_pipe deliver the archive.
Imports host.modprobe. Begin with sources.
"""
