# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module options on the kernel command line; tests/differential compares with libkmod."""

from __future__ import annotations

import pytest

from nestd.formats.modprobe.kernel_cmdline import parse
from nestd.formats.modprobe.modprobe_d import BadLine, Blacklist, Options


@pytest.mark.parametrize(
    ("word", "module", "text"),
    [
        (b"kvm_intel.nested=0", b"kvm_intel", b"nested=0"),
        (b"kvm-intel.nested", b"kvm_intel", b"nested"),
        (b'kvm_intel.q="a b"', b"kvm_intel", b'q="a b"'),
        (b'"kvm_intel.q=a b"', b"kvm_intel", b'q="a b"'),
        (b"kvm_intel.size=1.5G", b"kvm_intel", b"size=1.5G"),
        (b"kvm_intel.a==b", b"kvm_intel", b"a==b"),
        (b"modprobe.x=1", b"modprobe", b"x=1"),
        (b"a[-]b.c=1", b"a[-]b", b"c=1"),
    ],
)
def test_options(word: bytes, module: bytes, text: bytes) -> None:
    assert parse(b"quiet " + word + b" rw\n", kmod=30) == (Options(module, text, 0),)


@pytest.mark.parametrize(
    "word",
    [
        b"root=/dev/sda.1",
        b"initrd=\\a.img",
        b"ivrs_acpihid[14:00.5]=AMDI0020:0",  # brackets pair up, but the module name has a '.'
        b"kvm_intel.a.b=1",
        b'kvm_intel."a b"=1',
        b'"kvm_intel".a=1',
        b'kvm_intel.a="b',
        b"quiet",
    ],
)
def test_what_is_no_option(word: bytes) -> None:
    assert [item for item in parse(word, kmod=30) if isinstance(item, Options)] == []


def test_a_module_name_with_a_lone_bracket_is_bad() -> None:
    (bad,) = parse(b"kvm[.a=1", kmod=30)
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.text) == (0, b"kvm[")


def test_blacklisted_names_are_not_normalized() -> None:
    words = b"modprobe.blacklist=kvm-amd,kvm_amd modprobe.blacklist=x"
    assert parse(words, kmod=30) == tuple(
        Blacklist(name, 0) for name in (b"kvm-amd", b"kvm_amd", b"x")
    )


def test_only_4095_bytes_are_read() -> None:
    data = b"x" * 4076 + b" kvm_intel.nested=10"
    assert parse(data, kmod=30) == (Options(b"kvm_intel", b"nested=1", 0),)


def test_kmod_28_splits_at_blanks_of_the_first_line_only() -> None:
    data = b"a.b=1\tc.d=2 x=kvm.e=3 f.g=h.i=j\nk.l=4"
    assert parse(data, kmod=28) == (
        Options(b"a", b"b=1 c.d=2", 0),
        Options(b"f", b"g=h.i=j", 0),
    )
    assert [item.line for item in parse(data, kmod=29)] == [0, 0, 0, 0]


def test_kmod_28_takes_the_last_value_of_a_blacklist() -> None:
    assert parse(b"modprobe.blacklist=a=b", kmod=28) == (Blacklist(b"b", 0),)
    assert parse(b"modprobe.blacklist=a=b", kmod=29) == (Blacklist(b"a=b", 0),)


def test_kmod_28_ignores_a_word_quoted_as_a_whole() -> None:
    assert parse(b'"kvm_intel.q=a b" kvm.a="b c"', kmod=28) == (Options(b"kvm", b'a="b c"', 0),)
