# SPDX-License-Identifier: LGPL-2.1-or-later
"""What keeps a module from being unloaded: machines, processes, modules, and clients' inhibitors.

blockers explains a refusal by the kernel but never decides; inhibitors are held by clients that
must not be interrupted. Imports host.kernel. Begin with blockers.
"""
