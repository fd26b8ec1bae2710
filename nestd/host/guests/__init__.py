# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads facts about running virtual machines without contacting libvirt or a VMM.

processes reads the VMM's process, live_domains libvirt's state files of domains below /run,
nested_runs KVM's counters in debugfs; look combines the three. Imports host.kernel,
host.libvirt and formats. Begin with look.
"""
