# SPDX-License-Identifier: LGPL-2.1-or-later
"""What keeps a module from being unloaded: machines, processes, modules, and clients' inhibitors.

blockers explains a refusal of the kernel's, it never decides; inhibitors are the clients that
asked for no reloads. Imports host.kernel. Begin with blockers.
"""
