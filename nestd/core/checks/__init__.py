# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks of this host and of guests.

situation is the checks' input, finding their result; host/, modprobe/ (the host's configuration of
modprobe) and guest/ hold the checks, one file per family. "Guide, N" is statement N of Red Hat's
guide, as in tests/system/test_guide.py. core.inspector runs the checks for Validate and CheckGuest.
Imports core.modules. Begin with situation.
"""
