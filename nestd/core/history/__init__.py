# SPDX-License-Identifier: LGPL-2.1-or-later
"""The history of changes on this host: what, by whom, and the result; it survives reboots.

entry is one event, history the latest events with totals; foreign and logs detect changes by
others. Imports core.changes, core.logs, core.reloads and host.state. Begin with history.
"""
