# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of modprobe's configuration: lines that do not do what they seem to do.

configuration checks files and lines, options the options of KVM's modules, loading the obstacles
to loading a module. Imports core.modules. Begin with configuration.
"""
