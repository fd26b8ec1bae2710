# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons, their units and files, and the names of running domains.

virt_admin is the only one that speaks to a daemon, and only to one that runs. Imports host.files,
program and root. Begin with daemons.
"""
