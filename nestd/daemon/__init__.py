# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start-up and wiring: options, settings, nestd's own log and journal, sd_notify, signals.

main creates every object once and passes it to those that need it; no other floor imports main.
Imports every floor except cli. Begin with main.
"""
