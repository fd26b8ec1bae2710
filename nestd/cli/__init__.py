# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestctl, the command line of nestd: it knows the service by its D-Bus interface only."""
