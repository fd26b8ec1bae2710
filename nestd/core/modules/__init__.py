# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of KVM's modules: reads facts, and derives a frozen Snapshot from them.

vendors lists the modules of each architecture, values compares values as the kernel does, facts
has everything read (facts.module(name) is one module), derive computes the Snapshot, view keeps it
current, wording has shared texts. Imports host.kernel and host.modprobe. Begin with view, facts.
"""
