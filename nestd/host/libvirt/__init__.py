# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's daemons, their units and files, and the names of running domains.

Only virt_admin contacts a daemon, and only a running one. Imports host.files,
program and root. Begin with daemons.
"""
