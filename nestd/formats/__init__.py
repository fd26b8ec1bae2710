# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pure text: bytes in, values or bytes out. No I/O, and no imports from the rest of nestd.

modprobe/ is modprobe.d and the kernel command line, libvirt/ the daemons' configuration files and
log settings, libvirt_xml/ domain XML and QEMU's capabilities, redaction/ the secrets that an
archive may not show. The modules beside them are small formats. Begin with modprobe/next_load.py.
"""
