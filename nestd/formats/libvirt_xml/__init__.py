# SPDX-License-Identifier: LGPL-2.1-or-later
"""The XML of libvirt: a domain, and QEMU's capabilities from libvirt's cache.

safe_xml is the only reader: it refuses entities, and documents that are too large or too deep.
domain_xml is what the guest checks look at. Imports formats.printable. Begin with domain_xml.
"""
