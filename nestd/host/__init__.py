# SPDX-License-Identifier: LGPL-2.1-or-later
"""What touches the machine: files, sysfs, module load and unload, processes, udev, libvirt.

Every path comes from one Root object (root.py); program.py starts programs, files.py replaces
files atomically, inotify.py watches them. pyudev and subprocesses are used on this floor only.
Imports formats. Begin with root.py and kernel/interface.py.
"""
