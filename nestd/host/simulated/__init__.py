# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated hosts: a kernel and a file tree that behave as the real ones do (--simulate).

They serve authors of frontends, demonstrations and tests; nothing outside daemon.main knows which
it has. Imports host.kernel and host.modprobe. Begin with host.
"""
