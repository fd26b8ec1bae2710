# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removes secrets from logs and configuration files: a stream of bytes, line by line.

libvirt and QEMU log passwords of VNC and SPICE in clear text (docs/kbase/debuglogs.rst): in QMP
commands, domain XML, QEMU's command line and qemu.conf. They also log keys of network disks and
data passed to guests at start or through their agent. Everything else stays byte for byte, valid
UTF-8 or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nestd.formats.redaction.rules import BLOCKS, MARK, RULES, Block, triggered

MAX_LINE = 256 << 10
"""Bytes kept of a line; the rest of a longer one is cut, so that memory stays bounded."""
CUT_MARK = b"[line cut]"
MOST_BLOCK_LINES = 200  # of a secret without an end; a private key has fewer than 100
_MOST_BLOCKS = 16  # per line; after that many the rest of the line counts as secret


class Redactor:
    """One stream. The output of feed() and finish() does not depend on how the input is split."""

    def __init__(self) -> None:
        self._line_start: list[bytes] = []  # parts of a line whose end has not arrived yet
        self._held = 0  # bytes of these
        self._skipping = False  # inside the rest of an overlong line
        self._block: Block | None = None  # inside a secret of several lines
        self._block_lines = 0
        self._counts: Counter[str] = Counter()
        self.cut_bytes = 0  # of lines that were too long

    @property
    def counts(self) -> Mapping[str, int]:
        """How many secrets were removed, by kind."""
        return dict(self._counts)

    def forget_counts(self) -> None:
        """Start counting from zero."""
        self._counts.clear()
        self.cut_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The redacted lines up to the last one that DATA completes."""
        end = data.rfind(b"\n") + 1
        if not end:
            return self._hold(data)
        complete = self._take(data[:end])
        return complete + self._hold(data[end:])

    def finish(self) -> bytes:
        """The rest at the end of the stream: a line without a line end."""
        return self._take(b"")

    def _take(self, data: bytes) -> bytes:
        """The held beginning of the first line, followed by DATA."""
        kept = b""
        if self._skipping:
            rest, newline, data = data.partition(b"\n")
            self.cut_bytes += len(rest)
            self._skipping = False
            kept = newline
        if self._line_start:
            data = b"".join((*self._line_start, data))
            self._line_start, self._held = [], 0
        return kept + self._lines(data)

    def _hold(self, data: bytes) -> bytes:
        """Hold the beginning of a line; an overlong one is cut and returned at once."""
        if self._skipping:
            self.cut_bytes += len(data)
            return b""
        if data:
            self._line_start.append(data)
            self._held += len(data)
        if self._held <= MAX_LINE:
            return b""
        line = b"".join(self._line_start)
        self._line_start, self._held = [], 0
        self._skipping = True
        return self._line(line)

    def _lines(self, data: bytes) -> bytes:
        if self._block is None and len(data) <= MAX_LINE and not triggered(data.lower()):
            return data
        lines = data.split(b"\n")
        end = [] if lines[-1] else [lines.pop()]  # the empty piece after the last line end
        return b"\n".join([*(self._line(line) for line in lines), *end])

    def _line(self, line: bytes) -> bytes:
        if len(line) <= MAX_LINE:
            return self._redacted(line)
        self.cut_bytes += len(line) - MAX_LINE
        return self._redacted(line[:MAX_LINE]) + CUT_MARK

    def _redacted(self, line: bytes) -> bytes:
        parts = []
        for _ in range(_MOST_BLOCKS):
            if self._block is not None:
                line = self._rest_of_block(line)
                if self._block is not None:
                    break
            block, end = _opening(line)
            if block is None:
                parts.append(self._by_rules(line))
                break
            parts += [self._by_rules(line[:end]), MARK]
            line = line[end:]
            self._counts[block.kind] += 1
            self._block, self._block_lines = block, 0
        return b"".join(parts)

    def _rest_of_block(self, line: bytes) -> bytes:
        """The part of LINE after a secret that began on an earlier line."""
        assert self._block is not None
        ending = self._block.ending.search(line)
        self._block_lines += 1
        if ending is not None:
            self._block = None
            return line[ending.start() :]
        if self._block_lines > MOST_BLOCK_LINES:
            self._block = None
        return b""

    def _by_rules(self, line: bytes) -> bytes:
        lower = line.lower()
        if not triggered(lower):
            return line
        for rule in RULES:
            if any(trigger in lower for trigger in rule.triggers):
                line, count = rule.apply(line)
                if count:
                    self._counts[rule.kind] += count
        return line


def redact(data: bytes) -> tuple[bytes, int]:
    """Redact a whole text; also returns the number of secrets removed."""
    redactor = Redactor()
    redacted = redactor.feed(data) + redactor.finish()
    return redacted, sum(redactor.counts.values())


def _opening(line: bytes) -> tuple[Block | None, int]:
    """The first multi-line secret that begins in LINE, and the offset where its opening ends."""
    lower = line.lower()
    found: tuple[Block | None, int] = (None, len(line) + 1)
    for block in BLOCKS:
        if any(trigger in lower for trigger in block.triggers):
            match = block.opening.search(line)
            if match is not None and match.end() < found[1]:
                found = block, match.end()
    return found
