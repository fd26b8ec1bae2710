# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running virtual machines and their use of nesting (Manager.ListGuests).

guest defines the result, exposure decides whether a guest's processor can run a hypervisor, usage
whether it has run nested guests; guests combines them. Imports core.modules and host.guests.
Begin with guests.
"""
