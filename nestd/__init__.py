# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd: nested virtualization and libvirt debug logs of a KVM host, over D-Bus."""

__version__ = "0.1.0"
