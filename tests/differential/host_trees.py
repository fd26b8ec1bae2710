# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generated host trees for hypothesis: modprobe.d directories and a kernel command line.

Most lines are nearly valid, because random text would seldom reach the interesting rules.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

DIRECTORIES = (
    "etc/modprobe.d",
    "run/modprobe.d",
    "usr/local/lib/modprobe.d",
    "usr/lib/modprobe.d",
    "lib/modprobe.d",
)

_NAMES = (
    b"kvm.conf", b"a.conf", b"zz.conf", b"kvm-intel.conf", b"kvm_amd.conf", b"Kvm.conf", b"10.conf",
    b"9.conf", "\u00e9.conf".encode(), b"\xff.conf", b"old.alias", b"modules.conf", b"n.conf",
    b"kvm.conf~", b"kvm.conf.rpmsave", b".kvm.conf", b".conf", b"kvm.CONF", b"modprobe.conf",
)  # fmt: skip
_MODULES = (
    b"kvm_intel", b"kvm_intel", b"kvm_intel", b"kvm-intel", b"kvm_amd", b"kvm", b"KVM_INTEL",
    b"kvm*", b"kvm_[a-i]ntel", b"kvm[-_]intel", b"kvm[", b"kvm]", b"[[-]", b"kvm_intel.ko", b"*",
    b"kvm_?ntel", b"kvm_[!a]ntel", b"kvm_[^i]ntel", b"\xef\xbb\xbfkvm_intel", b"kvm_intel\r",
    b"kvm_\\intel", b"kvm\\-intel", b"k\\\nvm_intel",
)  # fmt: skip
_KEYWORDS = (
    b"options", b"options", b"options", b"options", b"options", b"blacklist", b"install", b"remove",
    b"alias", b"softdep", b"weakdep", b"include", b"config", b"OPTIONS", b"modprobe", b"options=",
    b"opt\\\nions", b"opt\\ions", b"# options", b"#options", b"\\#options", b"\xef\xbb\xbfoptions",
)  # fmt: skip
_SEPARATORS = (
    b" ", b" ", b" ", b" ", b" ", b"\t", b"  ", b" \t ", b"\\ ", b" \\\n", b"\\\n ", b"\r", b"\v",
)  # fmt: skip
_WORDS = (
    b"nested=1", b"nested=0", b"nested", b"nested=Y", b'nested="1"', b'"nested=0"', b'a="b', b'c"',
    b"nes\\\nted=1", b"nest\\ed=1", b"npt=0x1", b"--", b"#", b"# was", b"=", b"a==b", b"en-able=1",
    b'""', b'"', b"'x'", b"pre:", b"post:", b"a\\\\", b"\xa0", b"caf\xc3\xa9=\xff", b"\xc3\xa0=1",
)  # fmt: skip
_ENDS = (
    b"\n", b"\n", b"\n", b"\n", b"\n", b"\r\n", b"\\\n", b"\\\\\n", b"\n\n", b" \n", b"\r", b"\0\n",
    b"\\\r\n",
)  # fmt: skip
_LAST_ENDS = (b"\n", b"\n", b"", b"\\", b"\\\n", b"\r\n", b"\0", b"\\\\", b" ")
_BOMS = (b"", b"", b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe")


@dataclass(frozen=True)
class Entry:
    """A directory entry: a file with these bytes, or something else."""

    kind: str  # "file", "directory", "dead link", "null"
    data: bytes = b""

    @property
    def is_dead_link(self) -> bool:
        return self.kind == "dead link"


@dataclass(frozen=True)
class Tree:
    """A host as libkmod sees it."""

    directories: dict[str, dict[bytes, Entry] | None]  # None: a file in the directory's place
    softdep: bytes | None
    cmdline: bytes

    def has_dead_link(self) -> bool:
        return any(
            entry.is_dead_link
            for entries in self.directories.values()
            for entry in (entries or {}).values()
        )

    def write(self, root: Path) -> None:
        """Write it below ROOT, which may contain an earlier tree."""
        for directory, entries in self.directories.items():
            path = root / directory
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            if entries is None:
                path.write_bytes(b"options kvm_intel from_a_file=1\n")
            elif entries:
                path.mkdir()
                for name, entry in entries.items():
                    _write(os.fsencode(path) + b"/" + name, entry)
        softdep = next((root / "lib/modules").iterdir()) / "modules.softdep"
        softdep.unlink(missing_ok=True)
        if self.softdep is not None:
            softdep.write_bytes(self.softdep)
        (root / "proc/cmdline").write_bytes(self.cmdline)


def _write(path: bytes, entry: Entry) -> None:
    if entry.kind == "file":
        with open(path, "wb") as file:
            file.write(entry.data)
    elif entry.kind == "directory":
        os.mkdir(path)
    else:
        os.symlink(b"/dev/null" if entry.kind == "null" else b"/nowhere", path)


def make_root(root: Path, release: str) -> None:
    """Make the parts that all trees share."""
    for directory in (*(os.path.dirname(name) for name in DIRECTORIES), "proc/sys/kernel", "dev"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "lib/modules" / release).mkdir(parents=True)
    (root / "proc/sys/kernel/osrelease").write_text(release + "\n")
    # Not the device: an empty file serves as well, and needs no privileges.
    (root / "dev/null").write_bytes(b"")


def _joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


def _weighted(*choices: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """Each strategy with its number as its weight; one_of() drops repetitions."""
    tickets = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.sampled_from(tickets).flatmap(lambda strategy: strategy)


def _product(*choices: Iterable[bytes]) -> st.SearchStrategy[bytes]:
    """A single draw that chooses one of each."""
    return st.sampled_from([b"".join(parts) for parts in itertools.product(*choices)])


_word = _weighted((6, st.sampled_from(_WORDS)), (1, st.binary(max_size=6)))
_spaced_word = _weighted(
    (9, _product(_SEPARATORS, _WORDS)),
    (1, _joined(st.sampled_from(_SEPARATORS), st.binary(max_size=6))),
)
_words = st.lists(_spaced_word, max_size=4).map(b"".join)
_plain_line = _joined(
    _product(
        (b"options ", b"options\t", b"install ", b"blacklist ", b"alias ", b"remove "),
        _MODULES,
        (b" ", b" ", b" ", b"\t", b"  "),
        _WORDS,
    ),
    _words,
)
_strange_line = _joined(
    _product((b"", b"", b"", b" ", b"\t", b"\\\n"), _KEYWORDS, _SEPARATORS, _MODULES), _words
)
_line = _weighted(
    (5, _plain_line),
    (3, _strange_line),
    (2, _joined(st.just(b"options kvm_intel "), _word, _words)),
    (1, _joined(st.just(b"# "), _word)),
    (
        1,
        st.sampled_from((b"", b" ", b"#", b"options", b"options kvm_intel", b"options kvm_intel ")),
    ),
    (1, st.binary(max_size=30)),
)
_spoilt_line = st.builds(
    lambda line, at, what: line[: at % (len(line) + 1)] + what + line[at % (len(line) + 1) :],
    _line,
    st.integers(0, 60),
    st.sampled_from((b"\0", b"\\", b"\\\n", b"\r", b"\xff", b'"', b"\t", b"[", b"]", b"\n")),
)
file_bytes = st.builds(
    lambda bom, lines, last: bom + b"".join(lines) + last,
    st.sampled_from(_BOMS),
    st.lists(_joined(_weighted((3, _line), (1, _spoilt_line)), st.sampled_from(_ENDS)), max_size=5),
    _joined(_line, st.sampled_from(_LAST_ENDS)),
)
_utf16 = file_bytes.map(lambda data: data.decode("latin-1").encode("utf-16"))
_entry = _weighted(
    (16, st.builds(Entry, st.just("file"), file_bytes)),
    (1, st.builds(Entry, st.just("file"), _utf16)),
    (1, st.builds(Entry, st.just("file"), st.binary())),
    (1, st.builds(Entry, st.just("file"))),
    (1, st.just(Entry("dead link"))),
    (1, st.just(Entry("null"))),
)
_with_directory = st.just(
    {b"x.conf": Entry("directory"), b"y.conf": Entry("file", b"options kvm_intel y\n")}
)
_directory = _weighted(
    (20, st.dictionaries(st.sampled_from(_NAMES), _entry, min_size=1, max_size=4)),
    (6, st.just({})),
    (1, _with_directory),
    (1, st.none()),
)

_CMDLINE_WORDS = (
    b"kvm_intel.nested=0", b"kvm-intel.nested=1", b"kvm_intel.nested", b'"kvm_intel.a=b c"',
    b'kvm_intel.a="b c"', b"kvm_intel.a=1.5G", b"modprobe.blacklist=kvm_intel,x", b"--", b"quiet",
    b"modprobe.blacklist=kvm-intel", b"modprobe.x=1", b'"', b"kvm[.a=1", b"kvm_intel.a.b=1",
    b'kvm_intel."a b"=1', b'"kvm_intel".a=1', b"kvm_intel.=", b"x=kvm_intel.nested=1", b"x.",
    b'x=kvm_intel.a="1"', b"modprobe.blacklist=a=kvm_intel", b'"modprobe.blacklist=kvm_intel,b"',
    b'modprobe.blacklist="kvm_intel,b"', b"kvm_intel.a=\xff\xfe", b".a=b", b"root=/a.b",
)  # fmt: skip
_CMDLINE_ENDS = (b" ", b" ", b" ", b" ", b"\t", b"\n", b"\v", b"\r", b"  ", b"\0", b"")
_cmdline_part = _weighted(
    (9, _product(_CMDLINE_WORDS, _CMDLINE_ENDS)),
    (1, _joined(st.binary(max_size=8), st.sampled_from(_CMDLINE_ENDS))),
)
cmdline = st.builds(
    lambda padding, parts: b"x" * padding + b" " * bool(padding) + b"".join(parts),
    st.sampled_from((0,) * 12 + (4050, 4080, 4093, 4094, 4095, 5000)),
    st.lists(_cmdline_part, max_size=6),
)
trees = st.builds(
    Tree,
    st.fixed_dictionaries(dict.fromkeys(DIRECTORIES, _directory)),
    _weighted((2, st.none()), (1, file_bytes)),
    cmdline,
)
