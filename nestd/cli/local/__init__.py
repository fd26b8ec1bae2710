# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs on the client's side: a private nestd (--simulate, --root), polkit's agent.

The only room of nestctl that starts programs. Begin with private_service.
"""
