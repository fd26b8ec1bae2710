# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of the configuration of modprobe: what it does not do that it looks like doing.

configuration judges files and lines, options the options of KVM's modules, loading what keeps a
module from being loaded. Imports core.modules. Begin with configuration.
"""
