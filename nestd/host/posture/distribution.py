# SPDX-License-Identifier: LGPL-2.1-or-later
"""The distribution's own data about the running kernel, if present on this machine."""

from __future__ import annotations

import asyncio
import bz2
import contextlib
import gzip
import logging
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException

from nestd.formats import kernel_advice
from nestd.host import program
from nestd.host.files import matching, read_regular
from nestd.host.root import Root

_SECONDS = 20.0
_MOST_BYTES = 64 << 20  # limit for an unpacked changelog
_PACKAGES = ("linux-image", "linux-image-unsigned", "linux-binary", "linux-modules")
_UPDATES = ("/var/cache/dnf", "/var/cache/libdnf5")
_UNPACK = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open, ".xml": open}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fixes:
    """The CVEs that are fixed in the running kernel, and the source ("" if there is none)."""

    cves: frozenset[str] = frozenset()
    source: str = ""


class Distribution:
    """Reads the fixes once per process, since a running kernel does not change."""

    def __init__(self, root: Root, release: str) -> None:
        self._root = root
        self._release = release
        self._fixes: Fixes | None = None
        self._reading = asyncio.Lock()

    async def read(self) -> Fixes:
        """The known fixes. Never raises."""
        async with self._reading:
            if self._fixes is None or not self._fixes.source:
                self._fixes = await asyncio.to_thread(self._debian)
                if not self._fixes.source:
                    self._fixes = await self._rpm()
                if not self._fixes.source:
                    self._fixes = await asyncio.to_thread(self._updateinfo)
        return self._fixes

    def _debian(self) -> Fixes:
        text = self._text("/proc/version_signature") or self._text("/proc/version")
        version = kernel_advice.running_version(text)
        if not version:
            return Fixes()
        for package in _PACKAGES:
            for name in ("changelog.Debian.gz", "changelog.gz"):
                path = f"/usr/share/doc/{package}-{self._release}/{name}"
                with contextlib.suppress(OSError, EOFError):
                    with gzip.open(self._root.follow(path)) as file:
                        changelog = file.read(_MOST_BYTES).decode("utf-8", "replace")
                    found = kernel_advice.named_in_changelog(changelog, version)
                    if found is not None:
                        return Fixes(found, f"the changelog of {package} {version} ({path})")
        return Fixes()

    async def _rpm(self) -> Fixes:
        if not self._root.is_this_machine:
            return Fixes()
        file = f"/lib/modules/{self._release}/vmlinuz"
        try:
            answer = await program.run("rpm", "-qf", "--changelog", file, timeout=_SECONDS)
        except (OSError, TimeoutError):
            return Fixes()
        if answer.status:
            return Fixes()
        found = kernel_advice.named_in_rpm_changelog(answer.stdout.decode("utf-8", "replace"))
        return Fixes(found, f"the changelog of the package that has {file}")

    def _updateinfo(self) -> Fixes:
        found: set[str] = set()
        for path in self._update_files():
            try:
                with _unpacked(path) as file:
                    found.update(kernel_advice.fixed_by_updates(file, self._release))
            except (OSError, EOFError, ParseError, DefusedXmlException, lzma.LZMAError) as error:
                log.debug("%s is left out: %s", path, error)
        if not found:
            return Fixes()
        return Fixes(frozenset(found), f"the update that brought {self._release} (dnf's cache)")

    def _update_files(self) -> Iterator[Path]:
        for directory in _UPDATES:
            yield from matching(self._root.at(directory), "*/repodata/*updateinfo.xml*")

    def _text(self, path: str) -> str:
        try:
            return (read_regular(self._root.at(path)) or b"").decode("utf-8", "replace")
        except OSError:
            return ""


def _unpacked(path: Path) -> IO[bytes]:
    """Open PATH uncompressed. Raises OSError for compression that Python lacks (zstd)."""
    opener = _UNPACK.get(path.suffix)
    if opener is None:
        raise OSError("is packed in another way than gzip, xz or bzip2")
    return opener(path, "rb")  # type: ignore[operator,no-any-return]
