# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that modprobe reads, and kvm.conf, which nestd writes.

config reads every directory by libkmod's rules, watch detects their changes, kvm_conf is the file
that nestd writes. Imports host.files and formats.modprobe. Begin with config.
"""
