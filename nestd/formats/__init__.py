# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pure text: bytes in, values or bytes out. No I/O, and nothing else of nestd is imported.

modprobe/ is modprobe.d and the kernel command line, libvirt/ the daemons' configuration files and
log settings, libvirt_xml/ domain XML and QEMU's capabilities, redaction/ what an archive may not
show. What has no room is a small format of its own. Begin with modprobe/next_load.py.
"""
