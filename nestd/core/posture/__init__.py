# SPDX-License-Identifier: LGPL-2.1-or-later
"""The risks of nested virtualization on this host (Manager.Posture).

posture collects the findings: host checks nesting and /dev/kvm, mitigations what the kernel says
about the processor, cves the known ones in known_cves.json, a dated file that
packaging/cves/refresh.py writes. Imports core.checks, core.guests and host.posture. Begin with
posture.
"""
