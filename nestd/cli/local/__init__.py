# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs on the client's side: a private nestd (--simulate, --root), polkit's agent, virsh.

The only room of nestctl that starts programs. Imports cli.service, and of host the program runner
and the writer of state files alone. Begin with private_service.
"""
