# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd.conf and the modular daemons' files, log filters and log outputs, as libvirt reads them.

conf reads a configuration file, conf_edit changes one value in it; log_filters and log_outputs are
the grammar of the two lists, log_warnings finds valid settings without effect. Imports nothing but
the standard library. Begin with log_filters.
"""
