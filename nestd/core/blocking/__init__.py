# SPDX-License-Identifier: LGPL-2.1-or-later
"""What prevents unloading a module: machines, processes, other modules and client inhibitors.

blockers explains the kernel's refusal but never decides; inhibitors are held by clients that must
not be interrupted. Imports host.kernel. Begin with blockers.
"""
