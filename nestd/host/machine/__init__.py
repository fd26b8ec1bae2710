# SPDX-License-Identifier: LGPL-2.1-or-later
"""Facts of the machine that change rarely: processor, distribution, initramfs, hypervisor.

surroundings gathers those that the checks need. Imports host.kernel and host.libvirt for what they
know of the same machine. Begin with surroundings.
"""
