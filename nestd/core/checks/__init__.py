# SPDX-License-Identifier: LGPL-2.1-or-later
"""Findings about this host and about guests, and what they are judged from.

situation is the host as the checks look at it, finding what they say; host/, modprobe/ (the host's
configuration of modprobe) and guest/ hold the checks, a file a family. core.inspector runs them for
Validate and CheckGuest. Imports core.modules. Begin with situation.
"""
