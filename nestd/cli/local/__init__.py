# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs run on the client side: a private nestd (--simulate, --root), polkit's agent, virsh.

Apart from inhibit and shell, only this package starts programs. Imports cli.service, and from host
only the program runner and the writer of state files. Begin with private_service.
"""
