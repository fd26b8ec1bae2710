# SPDX-License-Identifier: LGPL-2.1-or-later
"""What makes nesting a risk on this host (Manager.Posture).

posture puts the findings together: host is how nesting and /dev/kvm are set, mitigations what the
kernel says of the processor, cves the known ones of known_cves.json, a dated file that
packaging/cves/refresh.py writes. Imports core.checks, core.guests and host.posture. Begin with
posture.
"""
