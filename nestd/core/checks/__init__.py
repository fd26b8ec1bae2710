# SPDX-License-Identifier: LGPL-2.1-or-later
"""Validate and CheckGuest: findings about this host and about guests.

situation is what the checks judge, finding what they say, inspector runs them. host/ and guest/
hold the checks, a file a family. Imports core.modules. Begin with inspector.
"""
