# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is taken out of a log or a configuration file before it leaves the host.

rules are the patterns of secrets, redact applies them to a stream. Imports nothing of nestd.
Begin with redact.
"""
