# SPDX-License-Identifier: LGPL-2.1-or-later
"""The risks of nested virtualization on this host (Manager.Posture).

posture collects the findings: host checks nesting and /dev/kvm, mitigations the kernel's reports on
the processor, cves the CVEs in known_cves.json, a dated file written by packaging/cves/refresh.py.
Imports core.checks, core.guests and host.posture. Begin with posture.
"""
