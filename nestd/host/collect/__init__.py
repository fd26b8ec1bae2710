# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the files of a support archive come from, and reading them without waiting for them.

sources lists them, log_reader reads one of any size, spool and patient_pipe hand the archive over.
Imports host.modprobe. Begin with sources.
"""
