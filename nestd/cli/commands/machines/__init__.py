# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done to guests with libvirt's own virsh, on the client's side: nestd never does it.

definitions gives and withholds nesting for the next start, stopping stops guests around a reload
and starts them again, resume finishes what was interrupted. Imports cli.invocation, cli.screen,
cli.service and cli.local. Begin with definitions.
"""
