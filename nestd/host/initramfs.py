# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the initial RAM disk has a copy of a module, with a copy of its options."""

from __future__ import annotations

from pathlib import Path

from nestd.host import program
from nestd.host.root import Root

_SECONDS = 30.0
# Fedora and RHEL (dracut), Debian and Ubuntu (initramfs-tools), SUSE.
_IMAGES = ("/boot/initramfs-{}.img", "/boot/initrd.img-{}", "/boot/initrd-{}")
_LISTERS = ("lsinitrd", "lsinitramfs")


async def holding(root: Root, release: str, module: str) -> str:
    """The path of RELEASE's image if MODULE is in it, else ""; also where nothing can list it."""
    for pattern in _IMAGES:
        path = pattern.format(release)
        image = root.at(path)
        if image.is_file() and await _lists(image, module):
            return path
    return ""


async def _lists(image: Path, module: str) -> bool:
    for lister in _LISTERS:
        try:
            answer = await program.run(lister, str(image), timeout=_SECONDS)
        except (OSError, TimeoutError):
            continue
        if answer.status == 0:
            file = module.replace("_", "-").encode() + b".ko"
            return file in answer.stdout.replace(b"_", b"-")
    return False
