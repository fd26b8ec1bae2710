# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that modprobe reads, and kvm.conf, which is nestd's own.

config reads every directory by libkmod's rules, watch tells when one of them changes, kvm_conf is
the file that nestd writes. Imports host.files and formats.modprobe. Begin with config.
"""
