# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the posture reads of a host.

vulnerabilities is what the kernel says of the processor, distribution what the distribution's own
data say that the running kernel has fixed. Imports host.files, program and root, and formats.
Begin with distribution.
"""
