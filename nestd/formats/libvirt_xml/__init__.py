# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's XML: domains, and QEMU's capabilities from libvirt's cache.

safe_xml is the only parser: it refuses entities and documents that are too large or too deep.
domain_xml holds what the guest checks use. Imports formats.printable. Begin with domain_xml.
"""
