# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the posture reads: the processor's vulnerabilities, the distribution's own data.

Imports host.files, program and root, and formats. Begin with distribution.
"""
