# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pure text: bytes in, values or bytes out. No I/O, nothing else of nestd."""
