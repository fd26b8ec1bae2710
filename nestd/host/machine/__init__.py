# SPDX-License-Identifier: LGPL-2.1-or-later
"""Facts about the machine that rarely change: processor, distribution, initramfs, hypervisor.

surroundings collects those that the checks need. Imports host.kernel and host.libvirt. Begin with
surroundings.
"""
