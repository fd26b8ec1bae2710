# SPDX-License-Identifier: LGPL-2.1-or-later
"""The CVEs that a kernel has fixed, according to the distribution's own data.

Debian's and Ubuntu's changelog of the kernel's package, RPM's, and the updateinfo of a repository
(https://github.com/rpm-software-management/createrepo_c). A CVE counts as fixed if an entry for
this kernel or an older one names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from defusedxml.ElementTree import iterparse

_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_HEAD = re.compile(r"^[\w.+-]+ \(([^)]+)\) ", re.MULTILINE)
_RUNNING = (re.compile(r"\bDebian (\S+)"), re.compile(r"^Ubuntu (\d\S*?)-[a-z]\S* "))
_KERNELS = re.compile(r"kernel(-64k|-rt|-uek|-default)?(-core)?")


def running_version(text: str) -> str:
    """The package's version in /proc/version (Debian) or /proc/version_signature (Ubuntu)."""
    for pattern in _RUNNING:
        if found := pattern.search(text):
            return found.group(1)
    return ""


def named_in_changelog(text: str, version: str) -> frozenset[str] | None:
    """The CVEs that the entry of VERSION and all older ones name; None if VERSION has no entry.

    A signed kernel's package has 6.1.176+1 where the running kernel says 6.1.176-1.
    """
    for head in _HEAD.finditer(text):
        if _plain(head.group(1)) == _plain(version):
            return frozenset(_CVE.findall(text[head.start() :]))
    return None


def named_in_rpm_changelog(text: str) -> frozenset[str]:
    """The CVEs in a package's changelog, whose newest entry is the package's own release."""
    return frozenset(_CVE.findall(text))


def fixed_by_updates(file: IO[bytes], release: str) -> Iterator[str]:
    """The CVEs of the updates in an updateinfo.xml that brought the kernel RELEASE (uname -r)."""
    for _, element in iterparse(file, forbid_dtd=True):
        if element.tag != "update":
            continue
        packages = {
            f"{each.get('version')}-{each.get('release')}.{each.get('arch')}"
            for each in element.iter("package")
            if _KERNELS.fullmatch(each.get("name", ""))
        }
        if release in packages:
            for reference in element.iter("reference"):
                yield from _CVE.findall(f"{reference.get('id')} {reference.get('title')}")
        element.clear()


def _plain(version: str) -> str:
    return version.replace("+", "-")
