# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of KVM's modules: facts are read, and a frozen Snapshot is derived from them.

vendors knows the modules of each architecture, values compares values as the kernel does, facts
holds what was read (facts.module(name) is one module), derive computes the Snapshot, view keeps it
current, wording has shared texts. Imports host.kernel and host.modprobe. Begin with view, facts.
"""
