# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was changed on this host, by whom, and how it ended; kept over restarts and reboots.

entry is one event, history the latest of them with the totals; foreign and logs notice what others
did. Imports core.changes, core.logs, core.reloads and host.state. Begin with history.
"""
