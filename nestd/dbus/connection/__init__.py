# SPDX-License-Identifier: LGPL-2.1-or-later
"""One connection to a bus: bytes, messages, outgoing and incoming calls, match rules.

stream reads and writes bytes, protocol parses and builds messages, dispatch passes calls to
handlers with a fair share for each sender. Imports only the floor's values and errors. Begin with
transport.
"""
