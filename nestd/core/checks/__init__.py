# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of this host and of guests.

situation is the checks' input, finding their result; host/, modprobe/ (the host's configuration of
modprobe) and guest/ hold the checks, one file per family. core.inspector runs them for
Validate and CheckGuest. Imports core.modules. Begin with situation.
"""
