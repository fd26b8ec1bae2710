# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changing kvm.conf: the requested value is set, and every foreign byte stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestd.formats.modprobe.edit import EditError, configured, set_parameters

# What RHEL's qemu-kvm-common installs.
STOCK = b"""\
# Setting modprobe kvm_intel/kvm_amd nested = 1
# only enables Nested Virtualization until the next reboot or
# module reload. Uncomment the option applicable
# to your system below to enable the feature permanently.
#
# User changes in this file are preserved across upgrades.
#
# For Intel
#options kvm_intel nested=1
#
# For AMD
#options kvm_amd nested=1
"""


def edit(data: bytes, kmod: int = 30, **changes: str | None) -> bytes:
    return set_parameters(data, "kvm_amd", changes, kmod=kmod)


def test_the_stock_files_examples_are_left_alone() -> None:
    assert configured(STOCK, "kvm_amd", kmod=30) == {}
    edited = edit(STOCK, nested="1")
    assert edited == STOCK + b"options kvm_amd nested=1\n"
    assert edit(edited, nested="0") == STOCK + b"options kvm_amd nested=0\n"
    assert edit(edited, nested=None) == STOCK


@pytest.mark.parametrize(
    ("data", "edited"),
    [
        (b"", b"options kvm_amd nested=1\n"),
        (b"\n", b"\noptions kvm_amd nested=1\n"),
        (b"x", b"x\noptions kvm_amd nested=1"),
        (b"x\r\n", b"x\r\noptions kvm_amd nested=1\r\n"),
        (b"x\r\ny", b"x\r\ny\noptions kvm_amd nested=1"),
        (b"x\r", b"x\r\noptions kvm_amd nested=1"),
        (b"x\\", b"options kvm_amd nested=1\nx\\"),
        (b"x\n# y \\\n", b"x\noptions kvm_amd nested=1\n# y \\\n"),
        (b"x\r\ny\\\n", b"x\r\noptions kvm_amd nested=1\r\ny\\\n"),
        (b"x\\\\\n", b"x\\\\\noptions kvm_amd nested=1\n"),
        (b"x\0", b"x\0\noptions kvm_amd nested=1"),
        (b"\xef\xbb\xbf", b"\xef\xbb\xbf\noptions kvm_amd nested=1"),
        (b"options kvm_amd npt=1\n", b"options kvm_amd npt=1\noptions kvm_amd nested=1\n"),
        (b"options kvm nested=0\n", b"options kvm nested=0\noptions kvm_amd nested=1\n"),
    ],
)
def test_a_new_line_comes_and_goes_without_a_trace(data: bytes, edited: bytes) -> None:
    assert edit(data, nested="1") == edited
    assert edit(edited, nested="") == data


@pytest.mark.parametrize(
    ("data", "edited"),
    [
        (b"options kvm_amd nested=0", b"options kvm_amd nested=1"),
        (b"options\tkvm-amd\tnested=0\r\n", b"options\tkvm-amd\tnested=1\r\n"),
        (b"options kvm_amd npt=1 nested=0 avic=1\n", b"options kvm_amd npt=1 nested=1 avic=1\n"),
        (b"options kvm_amd nested=0 nested=0\n", b"options kvm_amd nested=0 nested=1\n"),
        (
            b"options kvm_amd nested=0\noptions kvm_amd nested=0\n",
            b"options kvm_amd nested=0\noptions kvm_amd nested=1\n",
        ),
        (b'options kvm_amd nested="0" a\n', b"options kvm_amd nested=1 a\n"),
        (b'options kvm_amd "nested=0" a\n', b"options kvm_amd nested=1 a\n"),
        (b"options kvm_amd nested a\n", b"options kvm_amd nested=1 a\n"),
        (b"options kvm_amd \\\n nes\\\nted=0 \\\n a\n", b"options kvm_amd \\\n nested=1 \\\n a\n"),
        (b"options kvm_amd \\nested=\\0\n", b"options kvm_amd nested=1\n"),
        (b"options kvm_amd nested=0 # nested=0\n", b"options kvm_amd nested=0 # nested=1\n"),
        (b"options kvm_amd nested=0\0 nested=0\n", b"options kvm_amd nested=1\0 nested=0\n"),
        (b'options kvm_amd nested="0\n', b"options kvm_amd nested=1\n"),
        (b"options kvm_amd nested=0 -- nested=0\n", b"options kvm_amd nested=1 -- nested=0\n"),
        (b"options kvm_amd nested=0\\", b"options kvm_amd nested=1"),
    ],
)
def test_the_last_assignment_changes_in_its_place(data: bytes, edited: bytes) -> None:
    assert edit(data, nested="1") == edited
    assert configured(edited, "kvm_amd", kmod=30)["nested"] == "1"


@pytest.mark.parametrize("data", [b"options kvm_amd nested=1", b'options kvm-amd nes\\\nted="1"\n'])
def test_what_has_the_value_already_stays(data: bytes) -> None:
    assert edit(data, nested="1") == data


@pytest.mark.parametrize(
    ("data", "edited"),
    [
        (b"a\noptions kvm_amd nested=1\nb\n", b"a\nb\n"),
        (b"a\r\noptions kvm_amd nested=1\r\nb\r\n", b"a\r\nb\r\n"),
        (b"options kvm_amd nested=1 npt=1\n", b"options kvm_amd npt=1\n"),
        (b"options kvm_amd npt=1 nested=1\n", b"options kvm_amd npt=1\n"),
        (b"options kvm_amd npt=1\tnested=1\r\n", b"options kvm_amd npt=1\r\n"),
        (b"options kvm_amd a nested=1 b\n", b"options kvm_amd a b\n"),
        (b"options kvm_amd nested=1 nested=0 b nested\n", b"options kvm_amd b\n"),
        (b"options kvm_amd nested nested\nb", b"b"),
        (b"b\noptions kvm_amd nested\noptions kvm_amd nested", b"b"),
        (b"b\noptions kvm_amd a nested", b"b\noptions kvm_amd a"),
        (b"options kvm_amd a \\\n nested=1\n", b"options kvm_amd a \\\n\n"),
        (b"options kvm_amd nested=1 # x\n", b"options kvm_amd # x\n"),
        (b"options kvm_amd a -- nested=1\n", b"options kvm_amd a -- nested=1\n"),
        (b"b\noptions kvm_amd nested=1 \\\n", b"b\n"),
        (b"blacklist kvm_amd\n", b"blacklist kvm_amd\n"),
    ],
)
def test_removing(data: bytes, edited: bytes) -> None:
    assert edit(data, nested=None) == edited


def test_several_changes_at_once() -> None:
    data = b"options kvm_amd nested=0 npt=1\n"
    edited = edit(data, nested="1", npt=None, avic="1")
    assert edited == b"options kvm_amd nested=1\noptions kvm_amd avic=1\n"
    assert configured(edited, "kvm-amd", kmod=30) == {"nested": "1", "avic": "1"}


def test_dashes_in_names_do_not_matter() -> None:
    data = b"options kvm-amd force-avic=0\n"
    assert configured(data, "kvm_amd", kmod=30) == {"force_avic": "0"}
    assert edit(data, force_avic="1") == b"options kvm-amd force_avic=1\n"


def test_a_value_with_blanks_is_quoted() -> None:
    edited = edit(b"", dyndbg="file x.c +p")
    assert edited == b'options kvm_amd dyndbg="file x.c +p"\n'
    assert configured(edited, "kvm_amd", kmod=30) == {"dyndbg": "file x.c +p"}


@pytest.mark.parametrize(
    "value",
    ['"', "'", "\\", "#", "a\nb", "a\tb", "\0", "\x7f", "\r", "\u00e9", "\udcff", "\u2028", "a#b"],
)
def test_values_that_would_not_pass_unchanged_are_refused(value: str) -> None:
    with pytest.raises(EditError, match="value of nested"):
        edit(b"", nested=value)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "--", "-a", "a\n", "\u00e9", "a.b", "#"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(EditError, match="name of a parameter"):
        set_parameters(b"", "kvm_amd", {name: "1"}, kmod=30)
    with pytest.raises(EditError, match="name of a module"):
        set_parameters(b"", name, {"nested": "1"}, kmod=30)


def test_a_long_name_does_not_make_a_long_sentence() -> None:
    with pytest.raises(EditError) as refused:
        edit(b"", **{"x " * 5000: "1"})
    assert len(str(refused.value)) < 80


@pytest.mark.parametrize(
    ("data", "value", "reason"),
    [
        (b'x\noptions kvm_amd a="b\n', "1", "quotation mark in line 2 is not closed"),
        (b'options kvm_amd a \\\n b="c\n', "1", "quotation mark in line 2 is not closed"),
        (b"options kvm_amd --\n", "1", "'--' in line 1 hides"),
        (
            b'options kvm_amd nested="0\noptions kvm_amd 1"\n',
            None,
            "quotation mark in line 1 is not closed there",
        ),
        (b"options kvm_amd nested=1\0 foreign\n", None, "Line 1 has a NUL byte"),
    ],
)
def test_files_that_prevent_the_change(data: bytes, value: str | None, reason: str) -> None:
    with pytest.raises(EditError, match=reason):
        edit(data, nested=value)


@pytest.mark.parametrize("kmod", [28, 30, 34])
@given(data=st.binary(), final=st.sampled_from((b"", b"\n", b"\r\n", b"\\", b"\\\n", b"\r")))
def test_any_bytes_come_back(kmod: int, data: bytes, final: bytes) -> None:
    before = data + final
    edited = edit(before, kmod, nested="1")
    assert configured(edited, "kvm_amd", kmod=kmod) == {"nested": "1"}
    assert edit(edited, kmod, nested=None) == before


def test_a_hostile_file_takes_no_time() -> None:
    data = b"options kvm_amd" + b" nested=0" * 20_000 + b"\n"
    assert edit(data, nested=None) == b""
    assert edit(data[:-1] + b" npt=1\n", nested=None) == b"options kvm_amd npt=1\n"
    assert edit(data, nested="1").count(b"nested=1") == 1
