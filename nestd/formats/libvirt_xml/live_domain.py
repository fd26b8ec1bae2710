# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's state file of a running domain: /run/libvirt/qemu/NAME.xml
(virDomainObjFormat).

It contains passwords (VIR_DOMAIN_DEF_FORMAT_SECURE), all in <devices>, where reading stops.
"""

from __future__ import annotations

from nestd.formats.libvirt_xml import domain_xml, safe_xml
from nestd.formats.libvirt_xml.domain_xml import Domain

ROOT = "domstatus"
MOST_ELEMENTS = 5_000
_DEVICES = (3, "devices")  # of the domain; an earlier one, at depth 2, belongs to the status


def parse(text: str) -> Domain:
    """The domain without its devices and QEMU arguments. Raises safe_xml.XmlError."""
    domain = safe_xml.parse(text, ROOT, MOST_ELEMENTS, _DEVICES).find(domain_xml.ROOT)
    if domain is None:
        raise safe_xml.XmlError("The status file has no <domain>.")
    return domain_xml.from_element(domain)
