# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start-up and wiring: options, settings, nestd's own log and journal, sd_notify, signals.

main builds every object once and hands it to those that need it; nothing below knows main. Imports
every floor but cli. Begin with main.
"""
