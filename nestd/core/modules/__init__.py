# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of KVM's modules: facts are read, and a frozen Snapshot is derived from them.

vendors says which modules a host has, values when two values are the same to the kernel, facts is
what was read (facts.module(name) is one module), derive what follows from it, view keeps it
current, wording says it. Imports host.kernel and host.modprobe. Begin with view, then facts.
"""
