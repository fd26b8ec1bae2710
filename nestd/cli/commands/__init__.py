# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of nestctl, a file a subject.

host/ shows, changes/ changes, logs/ is about libvirt's logs. A command adds its arguments to the
parser, calls the service and prints what it answers. Imports cli.invocation, cli.screen and
cli.service. Begin with host/status.
"""
