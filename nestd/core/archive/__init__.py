# SPDX-License-Identifier: LGPL-2.1-or-later
"""The archive for a support request: selected, redacted and packed as a stream.

index lists its contents, writer packs it, archives serves the requests. Imports
host.collect and formats.redaction. Begin with archives.
"""
