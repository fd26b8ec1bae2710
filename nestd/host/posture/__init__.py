# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the posture reads: the processor's vulnerabilities, the distribution's own data.

Nothing here judges; where the distribution's data is not at hand, the answer says so. Imports
host.files, program and root, and formats. Begin with distribution.
"""
