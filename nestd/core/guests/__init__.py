# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running virtual machines and their use of nesting (Manager.ListGuests).

guest is the answer, exposure decides whether a guest's processor has what a hypervisor needs,
usage whether it has run guests of its own; guests combines them. Imports core.modules, host.guests.
Begin with guests.
"""
