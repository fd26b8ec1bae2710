# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of nestctl, one file per subject.

host/ shows the host, changes/ changes modules, logs/ handles libvirt's logs. A command adds its
arguments to the parser, calls the service and prints the answer. Imports cli.invocation,
cli.screen and cli.service. Begin with host/status.
"""
