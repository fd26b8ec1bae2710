# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own reading of options: splitting, types and values (lib/cmdline.c, kstrtox.c)."""

from __future__ import annotations

import pytest

from nestd.formats.modprobe.kernel_params import (
    Parameter,
    ParameterType,
    accepts,
    number,
    parameter_type,
    split,
    tokens,
    truth,
)

BOOL, INT = ParameterType.BOOL, ParameterType.INT


def words(text: bytes) -> list[tuple[bytes, bytes | None]]:
    return [(parameter.name, parameter.value) for parameter in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"  \t\n\v\f\r \xa0 ", []),
        (b"nested=1 npt=0", [(b"nested", b"1"), (b"npt", b"0")]),
        (b"nested", [(b"nested", None)]),
        (b"nested=", [(b"nested", b"")]),
        (b'nested="0"', [(b"nested", b"0")]),
        (b'"nested=0"', [(b"nested", b"0")]),
        (b'"a=b c" d', [(b"a", b"b c"), (b"d", None)]),
        (b'a="b c" d', [(b"a", b"b c"), (b"d", None)]),
        (b"'nested=0'", [(b"'nested", b"0'")]),
        (b'a="b c=1', [(b"a", b"b c=1")]),
        (b'a=b"c d"e f', [(b"a", b'b"c d"e'), (b"f", None)]),
        (b'a="', [(b"a", b"")]),
        (b'"a="b" c"', [(b"a", b"b\" c")]),
        (b'""', [(b"", None)]),
        (b"=x", [(b"=x", None)]),
        (b"=x=y", [(b"=x", b"y")]),
        (b"a==b", [(b"a", b"=b")]),
        (b"nested=1\r", [(b"nested", b"1")]),
        (b"a=1\xa0b=2", [(b"a", b"1"), (b"b", b"2")]),
        (b"nested = 0", [(b"nested", None), (b"=", None), (b"0", None)]),
        (b"a=0 # was a=1", [(b"a", b"0"), (b"#", None), (b"was", None), (b"a", b"1")]),
        (b"nested=1 -- npt=0", [(b"nested", b"1")]),
        (b"nested=1 --x --=y", [(b"nested", b"1"), (b"--x", None), (b"--", b"y")]),
        (b'"--" a', []),
    ],
)  # fmt: skip
def test_split(text: bytes, expected: list[tuple[bytes, bytes | None]]) -> None:
    assert words(text) == expected


def test_places_and_open_quotes() -> None:
    text = b' a-b="1"  c="2 d'
    assert split(text) == (
        Parameter(b"a-b", b"1", 1, 8, False),
        Parameter(b"c", b"2 d", 10, 16, True),
    )
    assert split(text)[0].key == b"a_b"
    assert [token.is_end_mark for token in tokens(b"a -- b")] == [False, True, False]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("bool", BOOL),
        ("int", INT),
        ("charp", ParameterType.CHARP),
        ("array of int", ParameterType.INT_ARRAY),
        ("array of charp", ParameterType.CHARP_ARRAY),
        ("", ParameterType.UNKNOWN),
        ("zpool", ParameterType.UNKNOWN),
    ],
)
def test_types_by_modinfos_words(declared: str, expected: ParameterType) -> None:
    assert parameter_type(declared) is expected


def test_parameters_that_kvm_reads_itself() -> None:
    nx = parameter_type("bool", module="kvm", parameter="nx_huge_pages")
    assert nx is ParameterType.NX_HUGE_PAGES
    assert all(accepts(nx, word) for word in (b"off", b"force", b"auto", b"never", b"1"))
    assert not accepts(nx, b"always")
    assert not accepts(nx, None)
    flush = parameter_type("", module="kvm_intel", parameter="vmentry_l1d_flush")
    assert accepts(flush, b"cond")
    assert not accepts(flush, b"not required")
    assert parameter_type("bool", module="kvm", parameter="tdp_mmu") is BOOL


@pytest.mark.parametrize("value", [b"1", b"y", b"Yes", b"on", b"oN", b"0", b"N", b"off", b"OFF"])
def test_every_kernel_takes_these_for_a_bool(value: bytes) -> None:
    meaning = value[:1] in b"1yY" or value.lower() == b"on"
    assert accepts(BOOL, value)
    assert truth(BOOL, value) is meaning
    assert accepts(ParameterType.BINT, value)


@pytest.mark.parametrize("value", [b"", b"2", b"o", b"ok", b" 1", b"-1", b"x", b"\xff"])
def test_no_kernel_takes_these_for_a_bool(value: bytes) -> None:
    assert not accepts(BOOL, value, kernel=(99, 0))
    assert truth(BOOL, value, kernel=(99, 0)) is None


@pytest.mark.parametrize(
    ("value", "since", "meaning"),
    [
        (b"true", (5, 19), True),
        (b"False", (5, 19), False),
        (b"enable", (6, 16), True),
        (b"D", (6, 16), False),
    ],
)
def test_newer_words_for_a_bool(value: bytes, since: tuple[int, int], meaning: bool) -> None:
    assert not accepts(BOOL, value)
    assert not accepts(BOOL, value, kernel=(since[0], since[1] - 1))
    assert truth(BOOL, value, kernel=since) is meaning


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1", 1),
        (b"+1", 1),
        (b"-1", -1),
        (b"0x1F", 31),
        (b"-0X1f", -31),
        (b"010", 8),
        (b"0", 0),
        (b"1\n", 1),
        (b"2147483647", 2**31 - 1),
        (b"-2147483648", -(2**31)),
        (b"00000000000000000000000000001", 1),
    ],
)
def test_integers(value: bytes, expected: int) -> None:
    assert number(INT, value) == expected
    assert truth(INT, value) is (expected != 0)


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"Y", b"on", b"1;", b"0,", b"08", b"0x", b"1 ", b"--1", b"+-1", b"1\n\n"),
        *(b"2147483648", b"-2147483649", b"9" * 5000, b"\xd9\xa1"),
    ],
)
def test_what_fails_the_load_of_an_int(value: bytes) -> None:
    assert not accepts(INT, value)
    assert truth(INT, value) is None


@pytest.mark.parametrize(
    ("declared", "lowest", "highest"),
    [
        ("byte", 0, 2**8 - 1),
        ("short", -(2**15), 2**15 - 1),
        ("ushort", 0, 2**16 - 1),
        ("int", -(2**31), 2**31 - 1),
        ("uint", 0, 2**32 - 1),
        ("hexint", 0, 2**32 - 1),
        ("long", -(2**63), 2**63 - 1),
        ("ulong", 0, 2**64 - 1),
        ("ullong", 0, 2**64 - 1),
    ],
)
def test_ranges(declared: str, lowest: int, highest: int) -> None:
    type_ = parameter_type(declared)
    for value in (lowest, highest):
        assert number(type_, b"%d" % value) == value
    for value in (lowest - 1, highest + 1):
        assert not accepts(type_, b"%d" % value)
    assert accepts(type_, b"-0") is (lowest < 0)


def test_a_bare_name_is_true_for_a_bool_and_fails_all_others() -> None:
    taking = {kind for kind in ParameterType if accepts(kind, None)}
    assert taking == {BOOL, ParameterType.BINT, ParameterType.UNKNOWN}
    assert truth(BOOL, None) is True
    assert truth(INT, None) is None
    assert truth(ParameterType.UNKNOWN, None) is None


def test_arrays_and_strings() -> None:
    assert accepts(ParameterType.INT_ARRAY, b"1,-2,0x3")
    assert not accepts(ParameterType.INT_ARRAY, b"1,,2")
    assert accepts(ParameterType.BOOL_ARRAY, b"1,n")
    assert accepts(ParameterType.CHARP, b"x" * 1024)
    assert not accepts(ParameterType.CHARP, b"x" * 1025)
    assert accepts(ParameterType.UNKNOWN, b"anything")


@pytest.mark.parametrize(
    ("value", "expected"), [(b"Y", True), (b"N", False), (b"-1", True), (b"0", False), (b"x", None)]
)
def test_sysfs_is_understood_without_the_type(value: bytes, expected: bool | None) -> None:
    assert truth(ParameterType.UNKNOWN, value) is expected
