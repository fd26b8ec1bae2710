# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestd does. It knows no D-Bus type and no path.

modules/ derives the state of KVM's modules from the facts, changes/ and reloads/ alter it, drift/
watches what others alter; logs/ is libvirt's logging, checks/ judges host and guests, archive/
packs a support archive. model.py and errors.py are the values and errors of all of them. Imports
host and formats. Begin with model.py and modules/view.py.
"""
