# SPDX-License-Identifier: LGPL-2.1-or-later
"""The grammar of modprobe.d files, rule by rule; tests/differential compares with libkmod."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nestd.formats.modprobe import modprobe_d, shell_pattern
from nestd.formats.modprobe.logical_lines import BLANK, LogicalLine, logical_lines
from nestd.formats.modprobe.modprobe_d import (
    Alias,
    BadLine,
    Blacklist,
    Directive,
    Install,
    Options,
    Remove,
    Softdep,
    Weakdep,
    normalize,
    parse,
)


def options(data: bytes, kmod: int = 30) -> list[bytes]:
    """The text of the options lines for kvm_amd."""
    return [
        directive.text
        for directive in parse(data, kmod=kmod)
        if isinstance(directive, Options) and directive.module == b"kvm_amd"
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"options kvm_amd nested=1", b"nested=1"),
        (b"options kvm_amd nested=1\n", b"nested=1"),
        (b"  \toptions\tkvm_amd\tnested=1\tnpt=0", b"nested=1 npt=0"),
        (b"options kvm-amd nested=1\n", b"nested=1"),
        (b"options kvm_amd  ", b" "),
        (b"options kvm_amd nested=0 # was nested=1\n", b"nested=0 # was nested=1"),
        (b"options kvm_amd nes\\\nted=1\n", b"nested=1"),
        (b"opti\\\nons kvm_amd nested=1\n", b"nested=1"),
        (b'options kvm_amd a=\\\\b\\"c\\ d\n', b'a=\\b"c d'),
        (b"options kvm_amd nested=1\\ \n", b"nested=1 "),
        (b"options kvm_amd nested=1\r\n", b"nested=1\r"),
        (b"options kvm_amd nested=1\0 npt=0\n", b"nested=1"),
        (b"options kvm_amd caf\xc3\xa9=\xff\n", b"caf\xc3\xa9=\xff"),
        (b"options kvm_amd \"a b\" 'c'\n", b"\"a b\" 'c'"),
    ],
)
def test_what_an_options_line_passes(line: bytes, text: bytes) -> None:
    assert options(line) == [text]


@pytest.mark.parametrize(
    "data",
    [
        b"# options kvm_amd nested=1\n",
        b"# x \\\noptions kvm_amd nested=1\n",
        b"\\#options kvm_amd nested=1\n",
        b"options KVM_AMD nested=1\n",
        b"options kvm_amd.ko nested=1\n",
        b"options kvm* nested=1\n",
        b"options kvm_[a]md nested=1\n",
        b"options kvm_amd\rnested=1\n",
        b"options\vkvm_amd nested=1\n",
    ],
)
def test_what_is_no_option_of_the_module(data: bytes) -> None:
    assert options(data) == []


@pytest.mark.parametrize(
    "line",
    [
        b"  # comment",
        b"options kvm_amd",
        b"options kvm_amd ",
        b"options",
        b"Options kvm_amd nested=1",
        b"options kvm_amd] nested=1",
        b"options kvm[_amd nested=1",
        b"modprobe kvm_amd nested=1",
        b"kvm_amd nested=1",
        b"\xef\xbb\xbfoptions kvm_amd nested=1",
        b"include /etc/x",
        b"config y",
        b"\r",
        b"alias kvm_amd",
        b"blacklist",
        b"install kvm_amd",
        b"softdep kvm_amd ",
    ],
)
def test_bad_lines_are_named_and_skipped(line: bytes) -> None:
    first, second = parse(line + b"\nblacklist x\n", kmod=30)
    assert isinstance(first, BadLine)
    assert (first.line, first.text) == (1, line)
    assert second == Blacklist(b"x", 2)


def test_each_keyword_gives_its_directive() -> None:
    data = (
        b"alias my-kvm kvm-amd x\n"
        b"blacklist kvm-amd more\n"
        b"install kvm* /bin/true\t-x\n"
        b"remove kvm-amd  modprobe -r\n"
        b"softdep kvm-amd pre: ccp\n"
    )
    assert parse(data, kmod=30) == (
        Alias(b"my_kvm", b"kvm_amd", 1),
        Blacklist(b"kvm_amd", 2),
        Install(b"kvm*", b"/bin/true\t-x", 3),
        Remove(b"kvm_amd", b" modprobe -r", 4),
        Softdep(b"kvm_amd", b"pre: ccp", 5),
    )


def test_weakdep_is_known_since_kmod_33() -> None:
    line = b"weakdep kvm_amd ccp"
    assert isinstance(parse(line, kmod=32)[0], BadLine)
    assert parse(line, kmod=33) == (Weakdep(b"kvm_amd", b"ccp", 1),)


@pytest.mark.parametrize(("kmod", "text"), [(33, b"nested=1\xff"), (34, b"nested=1")])
def test_a_backslash_at_the_end_of_the_file(kmod: int, text: bytes) -> None:
    assert options(b"options kvm_amd nested=1\\", kmod) == [text]


def test_line_numbers_count_physical_lines() -> None:
    data = b"# a\\\nb\n\noptions kvm_amd \\\n nested=1 \\\n npt=0\nblacklist x"
    first, second = parse(data, kmod=30)
    assert isinstance(first, Options)
    assert first.line == 4
    assert [first.line_at(first.text.index(word)) for word in (b"nested", b"npt")] == [5, 6]
    assert second == Blacklist(b"x", 7)


def test_every_byte_of_text_is_found_again_in_the_file() -> None:
    data = b'\n\topt\\ions kvm-amd nes\\\nted=1\\\\ \\"a\ttail\n'
    (found,) = (item for item in parse(data, kmod=30) if isinstance(item, Options))
    assert found.source is not None
    for position, byte in enumerate(found.text):
        start = found.source.raw_start(found.offset + position)
        end = found.source.raw_end(found.offset + position)
        raw = data[start:end]
        assert raw[-1:].replace(b"\t", b" ") == bytes([byte])
        assert len(raw) == (2 if data[start : start + 1] == b"\\" else 1)


def test_a_file_of_carriage_returns_is_one_line() -> None:
    data = b"options kvm_amd nested=1\roptions kvm_amd npt=0\r"
    assert options(data) == [b"nested=1\roptions kvm_amd npt=0\r"]


def test_utf_16_gives_nothing() -> None:
    data = "options kvm_amd nested=1\n".encode("utf-16")
    assert options(data) == []


def test_a_line_of_a_megabyte_is_read() -> None:
    text = b" ".join(b"p%d=1" % number for number in range(100_000))
    assert options(b"options kvm_amd " + text + b"\n") == [text]


@pytest.mark.parametrize("data", [b"", b"\n", b"\\", b"\\\n", b" \t\n", b"\0"])
def test_nothing_gives_nothing(data: bytes) -> None:
    found: tuple[Directive, ...] = parse(data, kmod=34)
    assert found == ()


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        (b"kvm-amd", b"kvm_amd"),
        (b"a[-b]-c[--]", b"a[-b]_c[--]"),
        (b"a[[-]-", b"a[[-]_"),
        (b"a]", None),
        (b"a[", None),
        (b"a[b]]", None),
        (b"", b""),
    ],
)
def test_dashes_become_underscores_outside_of_brackets(name: bytes, normal: bytes | None) -> None:
    assert normalize(name) == normal


@given(st.lists(st.sampled_from([b"\\", b"\n", b"#", b" ", b"\t", b"a", b"\0", b"\\\n"])))
def test_only_lines_that_say_nothing_are_left_out(pieces: list[bytes]) -> None:
    def meaningful(skip: re.Pattern[bytes] | None) -> list[LogicalLine]:
        lines = logical_lines(b"".join(pieces), kmod=30, skip=skip)
        return [line for line in lines if line.text.strip(b"\t ") and line.text[:1] != b"#"]

    assert meaningful(BLANK) == meaningful(None)


def concerns(directive: Directive, module: bytes) -> bool:
    """Whether a load of MODULE depends on it."""
    if isinstance(directive, BadLine):
        return True
    if isinstance(directive, (Options, Blacklist)):
        return directive.module == module
    name = directive.alias if isinstance(directive, Alias) else directive.module
    return shell_pattern.matches(name, module)


_KEYWORDS = (b"options", b"blacklist", b"install", b"remove", b"softdep", b"weakdep", b"alias")
_PIECES = (
    *_KEYWORDS,
    *(b" ", b"\t", b"\n", b" ", b"\n", b"#", b"\\", b"\\\n", b"\0", b"\r", b"\xff", b"include"),
    *(b"kvm_intel", b"kvm-intel", b"kvm", b"_", b"-", b"*", b"?", b"[", b"]", b"[!k]", b"a=1"),
)


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(_PIECES)), st.sampled_from([28, 33, 34]))
@example([b"options", b" ", b"other", b" "], 30)
@example([b"options", b" ", b" ", b"kvm_intel", b" ", b"a=1", b"\n"], 30)
@example([b"alias", b" ", b"a", b" ", b"[", b"\n"], 30)
def test_of_other_modules_only_what_is_plain_is_left_out(pieces: list[bytes], kmod: int) -> None:
    data = b"".join(pieces)
    for module in (b"kvm_intel", b"kvm", b"a"):
        whole = [each for each in parse(data, kmod=kmod) if concerns(each, module)]
        part = parse(data, kmod=kmod, about=module)
        assert [each for each in part if concerns(each, module)] == whole


def test_plain_lines_about_others_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modprobe_d, "_directive", None)  # any call of it fails
    data = b"options snd_hda_intel power_save=1\nalias net-pf-3 off\n# x\nblacklist kvm\n"
    assert parse(data, kmod=30, about=b"kvm_intel") == ()


def test_comments_cost_next_to_nothing() -> None:
    before = time.process_time()
    assert parse(b"# comment line here\n" * 50_000, kmod=30) == ()
    assert time.process_time() - before < 0.1


def test_large_files_are_not_all_kept_in_memory() -> None:
    line = b"options kvm nx_huge_pages=auto\n"
    data = [line * 1000 + b"# %d\n" % number for number in range(10)]
    first = parse(data[0], kmod=30)
    assert parse(data[0], kmod=30) is first
    for other in data[1:]:
        parse(other, kmod=30)
    assert parse(data[0], kmod=30) is not first
