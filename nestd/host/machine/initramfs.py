# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the initial RAM disk has a copy of a module, with a copy of its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nestd.host import program
from nestd.host.root import Root

_SECONDS = 30.0
# Fedora and RHEL (dracut), Debian and Ubuntu (initramfs-tools), SUSE.
_IMAGES = ("/boot/initramfs-{}.img", "/boot/initrd.img-{}", "/boot/initrd-{}")
_LISTERS = ("lsinitrd", "lsinitramfs")


@dataclass(frozen=True)
class Initramfs:
    """A kernel's image: its path ("" where there is none), and whether it holds the module.

    holds is None where no program here can list the image.
    """

    path: str = ""
    holds: bool | None = False


# The last answer of each image's list, good as long as the image is the same: listing takes
# seconds, and anybody may ask. By path; with module, time of change and size.
_known: dict[Path, tuple[tuple[str, int, int], bool | None]] = {}


async def look(root: Root, release: str, module: str) -> Initramfs:
    """Look into RELEASE's image for MODULE."""
    for pattern in _IMAGES:
        path = pattern.format(release)
        image = root.at(path)
        try:
            status = image.stat()
        except OSError:
            continue
        identity = (module, status.st_mtime_ns, status.st_size)
        if _known.get(image, (None,))[0] != identity:
            _known[image] = (identity, await _lists(image, module))
        return Initramfs(path, _known[image][1])
    return Initramfs()


async def holding(root: Root, release: str, module: str) -> str:
    """The path of RELEASE's image if MODULE is in it, else ""; also where nothing can list it."""
    found = await look(root, release, module)
    return found.path if found.holds else ""


async def _lists(image: Path, module: str) -> bool | None:
    for lister in _LISTERS:
        try:
            answer = await program.run(lister, str(image), timeout=_SECONDS)
        except (OSError, TimeoutError):
            continue
        if answer.status == 0:
            file = module.replace("_", "-").encode() + b".ko"
            return file in answer.stdout.replace(b"_", b"-")
    return None
