# SPDX-License-Identifier: LGPL-2.1-or-later
"""Facts that only the posture needs: the processor's vulnerabilities, the distribution's own data.

Nothing here judges; if the distribution's data is not available, the answer says so. Imports
host.files, program and root, and formats. Begin with distribution.
"""
