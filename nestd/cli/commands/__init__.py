# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of nestctl, a file a subject.

A command reads its arguments, calls the service and prints what it answers. Imports cli.service
and cli.screen. Begin with status.
"""
