# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestd does, without D-Bus types and path literals.

modules/ derives the state of KVM's modules from facts, changes/ and reloads/ modify it, drift/
detects changes by others; logs/ handles libvirt's logging, checks/ checks host and guests, archive/
packs a support archive. All share the values in model.py and the errors in errors.py. Imports host
and formats. Begin with model.py and modules/view.py.
"""
