# SPDX-License-Identifier: LGPL-2.1-or-later
"""Facts for the posture: the processor's vulnerabilities and the distribution's own data.

Facts only, no judgement; missing distribution data is reported as such. Imports
host.files, program and root, and formats. Begin with distribution.
"""
