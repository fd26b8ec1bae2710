# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated hosts: a kernel and a file tree that behave as the real ones do (--simulate).

They serve frontend authors, demonstrations and tests; only daemon.main knows whether a host is
simulated. Imports host.kernel and host.modprobe. Begin with host.
"""
