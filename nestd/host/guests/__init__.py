# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be read of the running virtual machines: nothing is asked of libvirt or of a VMM.

processes reads the VMM's process, live_domains what libvirt keeps of its domains below /run,
nested_runs KVM's counts in debugfs; look puts the three together. Imports host.kernel,
host.libvirt and formats. Begin with look.
"""
