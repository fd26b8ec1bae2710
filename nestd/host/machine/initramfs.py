# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether an initial RAM disk contains a copy of a module, and so of its options.

Images are searched where distributions put them. The search does not trigger automounts (systemd
mounts /efi and /boot this way): directories below an idle one are skipped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from nestd.host import fingerprint, program
from nestd.host.files import matching, read_regular
from nestd.host.fingerprint import Fingerprint
from nestd.host.root import Root

_SECONDS = 30.0
_BOOT = ("/boot", "/boot/efi", "/efi")
# dracut (Fedora, RHEL), initramfs-tools (Debian, Ubuntu), SUSE, Void; {} is the release.
_NAMES = (
    *("initramfs-{}.img", "initrd.img-{}", "initrd-{}", "initrd-{}.img", "initramfs-{}"),
    *("ostree/*/initramfs-{}.img", "ostree/*/initramfs-{}"),
)
_OF_PACKAGE = ("initramfs-{}.img", "initramfs-{}-fallback.img")  # Arch; {} is the package
_BESIDE_MODULES = "initramfs*"  # image mode and ostree, in the modules' directory
_ENTRIES = ("*/{}/initrd", "*/{}/initrd-*", "*/{}/*.initrd")  # kernel-install's: MACHINE-ID/VERSION
_UNIFIED = ("EFI/Linux/*{}*.efi", "EFI/Linux/{}*.efi")
_ANY_UNIFIED = "EFI/Linux/*.efi"
_NIXOS_SYSTEMS = ("/run/booted-system", "/nix/var/nix/profiles/system")
_LISTERS = ("lsinitrd", "lsinitramfs")
_MOUNTS = "/proc/self/mountinfo"


@dataclass(frozen=True)
class Initramfs:
    """A kernel's image: its path ("" if there is none), and whether it contains the module.

    holds is None if no installed program can list the image. unseen are images and directories
    that were skipped.
    """

    path: str = ""
    holds: bool | None = False
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """The images of one release, and the paths that were skipped."""

    images: tuple[str, ...]
    unseen: tuple[str, ...]


# The latest answer for each image, valid while the image is unchanged: listing takes seconds,
# and any user may ask. By path; with module and fingerprint.
_known: dict[Path, tuple[tuple[str, Fingerprint], bool | None]] = {}


async def look(root: Root, release: str, module: str) -> Initramfs:
    """Search RELEASE's images for MODULE; the first that contains it, else one that may."""
    found = await asyncio.to_thread(_find, root, release)
    result = Initramfs(unseen=found.unseen)
    for path in found.images:
        image = root.at(path)
        try:
            identity = module, fingerprint.of(image.stat())
        except OSError:
            continue
        if _known.get(image, (None,))[0] != identity:
            _known[image] = (identity, await _lists(image, module))
        here = Initramfs(path, _known[image][1], found.unseen)
        if here.holds:
            return here
        if not result.path or here.holds is None:
            result = here
    return result


async def holding(root: Root, release: str, module: str) -> str:
    """The path of RELEASE's image if MODULE is in it; "" if not, or if nothing can list it."""
    found = await look(root, release, module)
    return found.path if found.holds else ""


def _find(root: Root, release: str) -> _Found:
    images: list[str] = []
    unseen: list[str] = []
    waiting = _idle_automounts(root)
    for directory in _BOOT:
        if any(directory == each or directory.startswith(f"{each}/") for each in waiting):
            unseen.append(directory)
            continue
        try:
            os.listdir(root.at(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            unseen.append(directory)
            continue
        images += _in(root, directory, release)
        unseen += _of_unknown_release(root, directory, images)
    for modules in ("/usr/lib/modules", "/lib/modules"):
        images += _matches(root, f"{modules}/{release}", (_BESIDE_MODULES,))
    images += _of_nixos(root)
    return _Found(tuple(_distinct(root, images)), tuple(dict.fromkeys(unseen)))


def _in(root: Root, directory: str, release: str) -> Iterator[str]:
    patterns = [each.format(release) for each in (*_NAMES, *_ENTRIES, *_UNIFIED)]
    package = _package(root, release)
    patterns += [each.format(package) for each in _OF_PACKAGE if package]
    yield from _matches(root, directory, patterns)


def _of_nixos(root: Root) -> Iterator[str]:
    """The images of the booted system and of the one that boots next."""
    for system in _NIXOS_SYSTEMS:
        try:
            image = root.follow(f"{system}/initrd")
        except OSError:
            continue
        if os.path.isfile(image):
            yield f"/{image.relative_to(root.path)}"


def _of_unknown_release(root: Root, directory: str, images: Collection[str]) -> Iterator[str]:
    """Unified kernel images whose names do not tell their kernel release."""
    for path in _matches(root, directory, (_ANY_UNIFIED,)):
        if path not in images:
            yield path


def _package(root: Root, release: str) -> str:
    """Arch's package name of the kernel, used in image names instead of the release."""
    for modules in ("/usr/lib/modules", "/lib/modules"):
        try:
            name = read_regular(root.at(f"{modules}/{release}/pkgbase")) or b""
        except OSError:
            continue
        if name.strip():
            return name.decode("utf-8", "replace").strip()
    return ""


def _matches(root: Root, directory: str, patterns: Collection[str]) -> Iterator[str]:
    place = root.at(directory)
    for pattern in patterns:
        for path in sorted(matching(place, pattern)):
            if os.path.isfile(path):
                yield f"{directory}/{path.relative_to(place)}"


def _distinct(root: Root, paths: Collection[str]) -> Iterator[str]:
    """Each file once, even if several paths lead to it (/lib is a link to /usr/lib)."""
    seen = set()
    for path in paths:
        try:
            status = os.stat(root.at(path))
        except OSError:
            continue  # gone meanwhile, or not accessible
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield path


def _idle_automounts(root: Root) -> frozenset[str]:
    """The mount points of automounts with nothing mounted now."""
    try:
        lines = (read_regular(root.at(_MOUNTS)) or b"").decode("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    topmost: dict[str, str] = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        words = before.split()
        if len(words) > 4 and after:
            topmost[words[4]] = after.split()[0]
    return frozenset(place for place, kind in topmost.items() if kind == "autofs")


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
