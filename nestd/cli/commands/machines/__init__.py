# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations on guests with libvirt's virsh, on the client side: nestd never does them.

definitions allows or denies nesting for the next start, stopping stops guests around a reload
and starts them again, resume finishes what was interrupted. Imports cli.invocation, cli.screen,
cli.service and cli.local. Begin with definitions.
"""
