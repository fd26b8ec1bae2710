# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd.conf and the modular daemons' files, log filters and log outputs, as libvirt reads them.

conf reads a configuration file, conf_edit changes one value in it; log_filters and log_outputs are
the two lists' grammar, log_warnings says what a filter will not do. Imports nothing but the
standard library. Begin with log_filters.
"""
