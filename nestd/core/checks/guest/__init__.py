# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of a guest, one file per family: pure functions of a Guest.

check_guest selects them by the guest's architecture. Imports core.checks.host for what depends on
the host. Begin with check_guest.
"""
