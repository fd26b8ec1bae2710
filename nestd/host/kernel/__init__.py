# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel as nestd sees it: modules, their parameters, events, /dev/kvm and who holds it.

The rest of nestd uses interface; real is the running kernel (the simulated one is in
host.simulated). sysfs reads modules, kmod runs modprobe and modinfo, uevents receives events.
Imports host.files, program and root. Begin with interface.
"""
