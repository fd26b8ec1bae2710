# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removes secrets from logs and configuration files before they leave the host.

rules are the patterns of secrets, redact applies them to a stream. Imports nothing from nestd.
Begin with redact.
"""
