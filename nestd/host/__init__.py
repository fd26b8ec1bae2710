# SPDX-License-Identifier: LGPL-2.1-or-later
"""What touches the machine. Every path comes from one Root object."""
