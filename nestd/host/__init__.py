# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that touches the machine: files, sysfs, modules, processes, udev, libvirt.

Every path comes from one Root object (root.py); program.py runs programs, files.py reads files,
inotify.py watches directories. Only this package uses pyudev and subprocesses.
Imports formats. Begin with root.py and kernel/interface.py.
"""
