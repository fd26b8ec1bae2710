# SPDX-License-Identifier: LGPL-2.1-or-later
"""The archive for a support request: what goes in, redacted, as a stream.

index says what is in it, writer packs it, archives serves one request after the other. Imports
host.collect and formats.redaction. Begin with archives.
"""
